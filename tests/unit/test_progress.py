"""
What a user sees of a run while it goes on.
"""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from analysis.formatting import percent
from experiments.declare.variants import Comparison, Target
from experiments.plan.stopping import Rule
from experiments.records.failures import Failures
from experiments.run.progress import GUESS_S, Progress, format_seconds
from tests.unit.samples import compare, failed_trial, side_by_side

NAMES = ["netns", "docker"]
MATCHED = Comparison("matched", "", "netns", "docker")


class Clock:
    """
    A clock that stands still until a test moves it.
    """

    def __init__(self) -> None:
        """
        Any time will do.
        """
        self.now_s = 100.0

    def monotonic(self) -> float:
        """
        What it shows.
        """
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """
    The clock that the progress looks at.
    """
    made = Clock()
    monkeypatch.setattr("experiments.run.progress.time", SimpleNamespace(monotonic=made.monotonic))
    return made


def a_progress(blocks: int, half_width: float | None = None) -> tuple[Progress, io.StringIO]:
    """
    The progress of a run of one pair, in a pipe.
    """
    out = io.StringIO()
    targets = [Target("netns", "docker", half_width)] if half_width else []
    return Progress(Rule(blocks, targets), NAMES, Console(file=out, soft_wrap=True)), out


def last_line(out: io.StringIO) -> str:
    """
    What was printed last.
    """
    return out.getvalue().splitlines()[-1]


def test_a_pipe_gets_whole_lines_without_control_characters() -> None:
    """
    One for each block with the time left, and one for each trial with what it measured.
    """
    progress, out = a_progress(blocks=2)
    progress.begin(1, [NAMES])
    progress.phase("bringing up 1 of 2")
    progress.finished(side_by_side(1, 1, "netns", [4000.0, 4000.0]))
    progress.finished(failed_trial(2, 1, "docker"))
    first, second, third, *_ = out.getvalue().splitlines()
    assert first == "block 1 of about 2: 2 deployments; about 24 s left"
    assert second.startswith("    1  netns     250.00 requests/s   median ")
    assert third == "    2  docker  ERROR: gateway did not become healthy"
    assert "\x1b" not in out.getvalue()
    assert progress.under_load_s == pytest.approx(2 * 250 * 4000e-6)


def test_no_record_of_a_trial_that_ended_is_kept() -> None:
    """
    A long run has thousands, and its memory stays as it is.
    """
    progress, _ = a_progress(blocks=2)
    failures = Failures()
    for record in (side_by_side(1, 1, "netns", [4000.0]), failed_trial(2, 1, "docker")):
        references = sys.getrefcount(record)
        progress.finished(record)
        failures.add(record)
        assert sys.getrefcount(record) == references


def test_errors_in_the_answers_are_told() -> None:
    """
    They make a trial look faster than it is.
    """
    progress, out = a_progress(blocks=1)
    progress.finished(side_by_side(1, 1, "netns", [4000.0, 4000.0], non_2xx=3))
    assert last_line(out).endswith("   6 not OK")


def test_a_terminal_shows_what_is_being_done() -> None:
    """
    In a line that is rewritten, cut to the terminal's width; with the time left, in a block.
    """
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=40)
    progress = Progress(Rule(1, []), ["netns"], console)
    progress.phase("round 1 of 8")
    assert out.getvalue().endswith("\x1b[2Kround 1 of 8")
    progress.begin(1, [["netns"]])
    progress.phase("warming up, 1 of 1")
    line = out.getvalue().rpartition("\x1b[2K")[2]
    assert line.startswith("block 1: warming up, 1 of 1 … about ")
    assert "\r" in out.getvalue()
    assert len(line) < 40


def test_the_time_left_follows_from_the_blocks_that_have_ended(clock: Clock) -> None:
    """
    And, before any has, from a guess; the block that is under way counts with what is left of it.
    """
    progress, _ = a_progress(blocks=3)
    progress.begin(1, [NAMES])
    assert progress.seconds_left() == 3 * 2 * GUESS_S
    clock.now_s += 10
    assert progress.seconds_left() == 3 * 2 * GUESS_S - 10
    clock.now_s += 10
    # Longer than was guessed, so that it may end any moment.
    assert progress.seconds_left() == 2 * 2 * GUESS_S
    progress.ended()
    assert progress.seconds_left() == 2 * 2 * 10
    progress.begin(2, [["netns"], ["docker", "netns"]])
    assert progress.seconds_left() == 2 * 3 * 10


def test_the_time_left_is_never_more_than_the_budget(clock: Clock) -> None:
    """
    A block that is not begun any more takes no time.
    """
    progress, out = a_progress(blocks=1000)
    progress.deadline = clock.now_s + 60
    progress.begin(1, [NAMES])
    assert progress.seconds_left() == 60
    assert last_line(out) == "block 1 of about 5: 2 deployments; about 1 min 00 s left"
    clock.now_s += 70
    assert progress.seconds_left() == 0


def test_a_block_fits_if_it_would_end_before_the_budget_does(clock: Clock) -> None:
    """
    By what the deployments of other blocks took.
    """
    progress, _ = a_progress(blocks=2)
    progress.begin(1, [NAMES])
    clock.now_s += 20
    progress.ended()
    progress.deadline = clock.now_s + 30
    assert progress.fits([["netns", "docker"], ["netns"]])
    assert not progress.fits([["netns", "docker"], ["netns", "docker"]])


def test_a_block_in_parts_says_why() -> None:
    """
    All of its deployments count.
    """
    progress, out = a_progress(blocks=1)
    progress.begin(1, [["netns", "docker"], ["netns"]])
    assert last_line(out) == (
        "block 1 of about 1: 3 deployments in 2 parts that fit in memory; about 18 s left"
    )


def test_after_each_block_the_comparisons_so_far_are_shown() -> None:
    """
    Those of which any block has both, with their intervals as soon as there are two blocks.
    """
    progress, out = a_progress(blocks=2)
    trials = [
        *(side_by_side(1, 1, "netns", [4000.0] * 2), side_by_side(2, 1, "docker", [5000.0] * 2)),
        *(side_by_side(3, 2, "netns", [4000.0] * 2), side_by_side(4, 2, "docker", [4975.0] * 2)),
    ]
    progress.finished(trials[0])
    progress.interim(1, [MATCHED])
    assert "so far" not in out.getvalue()
    progress.finished(trials[1])
    progress.interim(1, [MATCHED])
    assert last_line(out) == "so far, time per request after block 1: matched +25.0 %"
    for trial in trials[2:]:
        progress.finished(trial)
    progress.interim(2, [MATCHED])
    difference = compare("netns", "docker", trials)
    assert difference is not None
    shown = percent(difference.relative["us_per_request"])
    assert last_line(out).endswith(f"after block 2: matched {shown}")


def test_arms_that_cannot_be_compared_have_no_difference_in_time() -> None:
    """
    Not even so far.
    """
    progress, out = a_progress(blocks=1)
    progress.finished(side_by_side(1, 1, "netns", [4000.0] * 2))
    progress.finished(side_by_side(2, 1, "docker", [2000.0] * 2, non_2xx=100))
    progress.interim(1, [MATCHED])
    assert last_line(out) == (
        "so far, time per request after block 1: matched not comparable: 100.00 % of the "
        "baseline's 500 answers were good, and 60.00 % of the treatment's 500 answers; time is "
        "compared from 99.9 %"
    )


def test_a_run_that_has_a_target_says_how_far_it_is(clock: Clock) -> None:
    """
    The pair that is furthest from its target, its half-width, and about how many blocks it takes.
    """
    progress, out = a_progress(blocks=2, half_width=0.02)
    progress.deadline = clock.now_s + 600
    for block, docker_us in enumerate((5000.0, 4545.0, 5263.0), start=1):
        progress.begin(block, [NAMES])
        progress.finished(side_by_side(2 * block - 1, block, "netns", [4000.0] * 2))
        progress.finished(side_by_side(2 * block, block, "docker", [docker_us] * 2))
        progress.ended()
        progress.interim(block, [MATCHED])
    lines = out.getvalue().splitlines()
    assert "block 1: 2 deployments; about 10 min 00 s left" in lines
    assert "no interval yet for docker against netns" in lines
    assert any(line.startswith("block 3 of about ") for line in lines)
    assert lines[-1].startswith("furthest from its target: docker against netns, ±18.")
    assert "; target ±2 %: about " in lines[-1]
    assert lines[-1].endswith(" blocks in total, if time permits")


def test_what_is_no_part_of_the_results_is_printed_and_not_counted() -> None:
    """
    The trials of a pilot or a search.
    """
    progress, out = a_progress(blocks=1)
    for number, name in enumerate(NAMES, start=1):
        progress.rehearsed("pilot", side_by_side(number, 0, name, [4000.0]))
    assert last_line(out).startswith("  pilot   2  docker    250.00 requests/s")
    assert progress.estimates.of("netns", "docker") is None
    assert progress.under_load_s == 0


def test_durations_are_written_for_people() -> None:
    """
    Seconds below a minute, minutes and seconds above.
    """
    assert format_seconds(41.6) == "42 s"
    assert format_seconds(185) == "3 min 05 s"


@pytest.mark.usefixtures("clock")
def test_the_trials_of_earlier_sessions_count_and_are_not_printed() -> None:
    """
    In the estimates, the time under load, and the expected duration of a block.
    """
    trials = [
        side_by_side(number, number // 2 + 1, NAMES[number % 2], [4000.0 + number] * 2)
        for number in range(4)
    ]
    live, _ = a_progress(blocks=3)
    for each in trials:
        live.finished(each)
    resumed, out = a_progress(blocks=3)
    resumed.recall(trials)
    assert out.getvalue() == ""
    assert resumed.estimates.of(*NAMES) == live.estimates.of(*NAMES)
    assert resumed.under_load_s == live.under_load_s > 0
    # Each block of two deployments lasted two seconds from its first to its last moment.
    assert resumed.expected_s(2) == 2.0
    assert live.expected_s(2) == 2 * GUESS_S
