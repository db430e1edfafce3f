"""
What a user sees of a run while it goes on.
"""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from analysis.estimates import compare
from analysis.formatting import percent
from experiments.progress import Progress, format_seconds
from experiments.stopping import Rule
from tests.unit.samples import failed_trial, trial


def test_a_pipe_gets_whole_lines_without_control_characters() -> None:
    """
    One for each trial: what it measured, and the time left.
    """
    out = io.StringIO()
    progress = a_progress(out, blocks=2)
    progress.begin(1, ["netns", "docker"])
    progress.phase(1, "netns", "deploy")
    progress.finished(trial(1, 1, "netns", 250))
    progress.finished(failed_trial(2, 1, "docker"))
    first, second, *_ = out.getvalue().splitlines()
    assert "[1/4] block 1/2  netns" in first
    assert "250.00 requests/s" in first
    assert first.endswith("s left")
    assert "docker  ERROR: gateway did not become healthy" in second
    assert "\x1b" not in out.getvalue()


def test_a_terminal_shows_what_is_being_done() -> None:
    """
    In a line that is rewritten, cut to the terminal's width.
    """
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=40)
    progress = Progress(Rule(1, None, []), lambda _: ["netns"], console)
    progress.begin(1, ["netns"])
    progress.phase(1, "netns", "warmup")
    assert "[1/1] block 1/1  netns: warmup" in out.getvalue()
    assert "\r" in out.getvalue()
    assert len(out.getvalue().rpartition("\x1b[2K")[2]) < 40


def test_the_time_left_is_never_more_than_the_budget() -> None:
    """
    A block that is not begun any more takes no time.
    """
    progress = a_progress(io.StringIO(), blocks=1000)
    progress.begin(1, ["netns", "docker"])
    progress.deadline = time.monotonic() + 60
    progress.finished(trial(1, 1, "netns", 250))
    assert progress.seconds_left() <= 60


def test_after_each_block_the_comparisons_so_far_are_shown() -> None:
    """
    Those of which any block has both, with their intervals as soon as there are two blocks.
    """
    out = io.StringIO()
    progress = a_progress(out, blocks=2)
    progress.finished(trial(1, 1, "netns", 250))
    pair = {"name": "matched", "baseline": "netns", "treatment": "docker"}
    progress.interim(1, [pair])
    assert "so far" not in out.getvalue()
    progress.finished(trial(2, 1, "docker", 200))
    progress.interim(1, [pair])
    line = out.getvalue().splitlines()[-1]
    assert line == "so far, time per request after block 1: matched +25.0 %"
    progress.finished(trial(3, 2, "netns", 250))
    progress.finished(trial(4, 2, "docker", 201))
    progress.interim(2, [pair])
    line = out.getvalue().splitlines()[-1]
    trials = [
        *(trial(1, 1, "netns", 250), trial(2, 1, "docker", 200)),
        *(trial(3, 2, "netns", 250), trial(4, 2, "docker", 201)),
    ]
    difference = compare("netns", "docker", trials)
    assert difference is not None
    assert line.endswith(f"after block 2: matched {percent(difference.relative['us_per_request'])}")


def test_a_block_that_is_left_out_takes_no_time() -> None:
    """
    And a block is expected to take what its variants took before.
    """
    blocks = {1: ["netns"], 2: ["netns", "docker"], 3: ["netns"]}
    console = Console(file=io.StringIO())
    progress = Progress(Rule(3, None, []), blocks.__getitem__, console)
    progress.begin(1, blocks[1])
    progress.finished(trial(1, 1, "netns", 250))
    took_s = sum(trial(1, 1, "netns", 250).phases_s.values())
    assert progress.expected_s(["netns", "docker"]) == pytest.approx(2 * took_s)
    assert progress.seconds_left() == pytest.approx(3 * took_s)
    progress.begin(3, blocks[3])
    assert progress.seconds_left() == pytest.approx(took_s)


def test_a_run_that_has_a_target_says_how_far_it_is() -> None:
    """
    The comparison that is known least well, its half-width, and about how many blocks are missing.
    """
    out = io.StringIO()
    progress = a_progress(out, blocks=2, half_width=0.02)
    pair = {"name": "matched", "baseline": "netns", "treatment": "docker"}
    rates = [(1, 250.0, 200.0), (2, 250.0, 220.0), (3, 250.0, 190.0)]
    for block, netns, docker in rates:
        progress.begin(block, ["netns", "docker"])
        progress.finished(trial(2 * block - 1, block, "netns", netns))
        progress.finished(trial(2 * block, block, "docker", docker))
        progress.interim(block, [pair])
    assert "[1] block 1  netns" in out.getvalue()
    assert "/~" in out.getvalue()
    last = out.getvalue().splitlines()[-1]
    assert last.startswith("known least well: docker against netns, to ±18.")
    assert "; the target is ±2 %: about " in last
    assert last.endswith(" blocks in all, if there is time")


def a_progress(out: io.StringIO, blocks: int, half_width: float | None = None) -> Progress:
    """
    The progress of a run of one pair, in a pipe.
    """
    rule = Rule(blocks, half_width, [("netns", "docker")])
    return Progress(rule, lambda _: ["netns", "docker"], Console(file=out, soft_wrap=True))


def test_durations_are_written_for_people() -> None:
    """
    Seconds below a minute, minutes and seconds above.
    """
    assert format_seconds(41.6) == "42 s"
    assert format_seconds(185) == "3 min 05 s"
