"""
Runs that are interrupted for real, and continued to a complete report.
"""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from analysis.__main__ import main as report
from experiments.machines.lock import RunLock
from experiments.plan.order import block_order, orders_of, round_order
from experiments.records.files import ASIDE, RAW, TRIALS, latest_run
from experiments.records.manifest import COMPLETE, FAILED, INTERRUPTED, RUNNING
from experiments.records.raw import check_raw, raw_folder
from experiments.records.store import checked_trials, read_manifest, read_trials
from experiments.records.trials import OK
from tests.lab.conftest import residue, settled
from tests.lab.test_runs import (
    TINY,
    finish,
    keeper,
    measure,
    wait_for_line,
    wait_until_something_is_deployed,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

BLOCKS = 4
PLAN = [*TINY, "--variants", "netns,docker", "--blocks", str(BLOCKS), "--minutes", "30"]


def interrupted(results: Path, block: int = 3) -> subprocess.Popen[str]:
    """
    A run in its third block, in which something is deployed.
    """
    process = measure("--results", str(results), *PLAN)
    wait_for_line(process, f"block {block} ")
    wait_until_something_is_deployed()
    return process


def resumed(results: Path, *arguments: str) -> str:
    """
    What the rest of the run prints.
    """
    process = measure("--results", str(results), "--resume", *arguments)
    text = finish(process)
    assert process.returncode == 0, text
    return text


def assert_in_the_planned_turns(manifest: Manifest, trials: Sequence[TrialRecord]) -> None:
    """
    The loads of every round of a block are in the order that seed and block give.
    """
    names = [trial.variant for trial in trials]
    draw = orders_of(trials[0].block, 1, manifest.seed)
    # The order of the warm-up, which has no requests here.
    draw.sample(names, len(names))
    closest = [*manifest.focal, *((n.twin_of, n.name) for n in manifest.variants if n.twin_of)]
    for number in range(manifest.rounds):
        planned = round_order(names, manifest.side_by_side, draw, closest)
        turns = {trial.loads[number].turn: trial.variant for trial in trials}
        assert [turns[turn] for turn in sorted(turns)] == planned


def assert_as_without_a_pause(run: Path, states: list[str]) -> None:
    """
    All blocks of the plan are there, each in the order that the seed gives, whole and once.
    """
    manifest = read_manifest(run)
    assert manifest.state == COMPLETE
    assert [session.state for session in manifest.sessions] == states
    assert manifest.order == [
        [block_order(dict.fromkeys(manifest.levels, 1), block, manifest.seed)]
        for block in range(1, BLOCKS + 1)
    ]
    trials, faulty = checked_trials(run, manifest)
    assert faulty == []
    assert [trial.error for trial in trials if trial.status != OK] == []
    assert [trial.number for trial in trials] == list(range(1, 3 * BLOCKS + 1))
    assert {raw_folder(trial).partition("/")[2] for trial in trials} == {
        path.name for path in (run / RAW).iterdir() if path.name[0].isdigit()
    }
    check_raw(run, trials)
    for block in range(1, BLOCKS + 1):
        assert_in_the_planned_turns(manifest, [each for each in trials if each.block == block])
    for before, after in pairwise(manifest.sessions):
        assert before.finished_at is not None
        assert before.finished_at <= after.started_at
    assert len({session.boot_id for session in manifest.sessions}) == 1


@pytest.mark.usefixtures("built")
def test_a_run_that_was_interrupted_is_continued_as_if_it_had_not_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The last words say how, and the report says where.
    """
    before = residue()
    process = interrupted(tmp_path)
    process.send_signal(signal.SIGINT)
    text = finish(process)
    run = latest_run(tmp_path)
    how = f"the run is interrupted; `nox -s measure -- --resume {run}` continues it"
    assert text.splitlines()[-1] == how
    assert report([str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == how
    stopped = [trial.number for trial in read_trials(run) if trial.block == 3]
    text = resumed(tmp_path, run.name)
    assert "resuming run" in text
    assert "after block 2" in text
    assert_as_without_a_pause(run, [INTERRUPTED, COMPLETE])
    assert [trial.number for trial in read_trials(run / ASIDE / "1")] == stopped
    assert report([str(run)]) == 0
    words = (run / "report.md").read_text()
    assert "**This run was resumed** after block 2" in words
    assert "interrupted by the user" in words
    assert "--resume" not in capsys.readouterr().out
    assert settled(before) == before


@pytest.mark.usefixtures("built")
def test_a_run_whose_processes_were_all_killed_is_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Its manifest still says that it is running, and the last line of its records is torn.
    """
    process = interrupted(tmp_path)
    for victim in (keeper(process), process.pid):
        os.kill(victim, signal.SIGKILL)
    finish(process)
    run = latest_run(tmp_path)
    assert read_manifest(run).state == RUNNING
    with (run / TRIALS).open("a") as records:
        records.write('{"number": 7, "blo')
    assert report([str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("the run was killed; `nox -s meas")
    text = resumed(tmp_path)
    assert "unfinished, so set aside in" in text
    assert_as_without_a_pause(run, [FAILED, COMPLETE])
    assert min(path.name[:3] for path in (run / ASIDE / "1" / RAW).iterdir()) == "007"
    assert report([str(run)]) == 0
    assert "**This run was resumed** after block 2" in (run / "report.md").read_text()


@pytest.mark.usefixtures("built")
def test_what_contradicts_the_plan_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """
    And a complete run has nothing to resume.
    """
    process = interrupted(tmp_path, block=1)
    process.send_signal(signal.SIGINT)
    finish(process)
    run = latest_run(tmp_path)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    process = measure("--results", str(tmp_path), "--resume", "--seed", "2", "--variants", "netns")
    text = finish(process)
    assert process.returncode == 2
    assert "--seed 2, where the run has 1; --variants netns, where the run has docker,net" in text
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    with RunLock():
        pass
    resumed(tmp_path, "--seed", "1", "--minutes", "20")
    assert read_manifest(run).sessions[-1].minutes == 20
    assert_as_without_a_pause(run, [INTERRUPTED, COMPLETE])
    process = measure("--results", str(tmp_path), "--resume", run.name)
    assert "is complete; there is nothing to resume" in finish(process)
