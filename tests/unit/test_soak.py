"""
The soak's own instruments: plans, the search for lost loads, the table, the growth.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

from experiments.lab import userland
from experiments.paths import PROJECT
from experiments.processes import Process
from experiments.records.files import RAW, TRIALS
from experiments.records.manifest import RUNNING, Session
from experiments.records.trials import STOPPED
from tests.soak.__main__ import table
from tests.soak.builds import Builds
from tests.soak.endurance import FIGURES, endurance_table, growth
from tests.soak.host import Before, left, lost_loads, record_faults
from tests.soak.plans import IN_THE_VM, PHASES, Outcome, Plan, ends
from tests.soak.processes import BUILD_STEP, IN_A_TRIAL, OWNERS, ROLES, Tree
from tests.soak.session import own_traceback
from tests.unit.samples import failed_trial, manifest, side_by_side, stored

if TYPE_CHECKING:
    from experiments.records.trials import TrialRecord

PLANS = [Plan.of(f"seed-{number}") for number in range(400)]


def test_a_seed_is_one_plan() -> None:
    """
    So that a fault can be repeated.
    """
    assert Plan.of("7-3") == Plan.of("7-3")
    assert len(set(PLANS)) == len(PLANS)


def test_plans_reach_all_phases_and_targets() -> None:
    """
    More than half of them are pairs, because the second one may come too late.
    """
    assert {plan.phase for plan in PLANS} == set(PHASES)
    assert {plan.targets[0][0] for plan in PLANS} == {*OWNERS, *IN_A_TRIAL}
    assert {Plan.of(plan.seed, IN_THE_VM).phase for plan in PLANS} == {*IN_THE_VM}
    for plan in PLANS:
        for wanted in plan.targets:
            assert {*wanted} - {PHASES[plan.phase].role} == {*OWNERS, *IN_A_TRIAL}
    pairs = sum(len(plan.targets) == 2 for plan in PLANS)
    assert 200 < pairs < 280
    signals = Counter(name for plan in PLANS for name in plan.signals)
    assert set(signals) == {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"}
    assert signals["SIGKILL"] > sum(signals.values()) / 2


def test_cheap_plans_need_no_run_of_their_own_and_mostly_spare_it() -> None:
    """
    They are what every test run can afford.
    """
    cheap = [Plan.of(f"seed-{number}", cheap=True) for number in range(200)]
    assert not any(PHASES[plan.phase].own for plan in cheap)
    assert sum(plan.targets[0][0] in OWNERS for plan in cheap) < 50


def a_build(cache: Path, content: str) -> Path:
    """
    A whole userland in a cache, as far as its description goes.
    """
    made = cache / "userland" / userland.digest_of("")
    made.mkdir(parents=True)
    described = {"digest": made.name, "content_sha256": content, "mirror": "", "layer": "x"}
    text = json.dumps({**described, "packages": {}, "wheels": {}})
    (made / userland.MARKER).write_text(text)
    return made


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """
    Builds beside a cache that has a whole userland.
    """
    (tmp_path / "scratch").mkdir()
    a_build(tmp_path / "cache", "right")
    return Builds(tmp_path / "cache", tmp_path / "scratch")


def test_a_killed_build_begins_anew_and_its_parts_must_go(builds: Builds) -> None:
    """
    So that there is something to strike, and the next command is seen to clean up.
    """
    cache = builds.begin("userland")
    whole = a_build(cache, "right")
    part = whole.with_name(f"{whole.name}.partial")
    part.mkdir()
    assert builds.stale() == []
    assert builds.begin("userland") == cache
    assert not whole.exists()
    assert builds.stale() == [f"not removed by the next build: {part}"]
    shutil.rmtree(part)
    part.mkdir()
    assert builds.stale() == []
    assert builds.faults("userland", 137, unfinished=True) == []
    assert builds.faults("userland", 130, unfinished=False) == [f"left: {part}"]


def test_only_a_whole_build_is_found_and_it_is_the_same_as_without_a_kill(builds: Builds) -> None:
    """
    A build that ended well is there.
    """
    cache = builds.begin("userland")
    (gone,) = builds.faults("userland", 0, unfinished=False)
    assert gone == "the userland is not there, although its build ended well"
    a_build(cache, "right")
    assert builds.faults("userland", 0, unfinished=False) == []
    builds.begin("userland")
    a_build(cache, "wrong")
    (words,) = builds.faults("userland", 143, unfinished=False)
    assert words == "the userland is another one: wrong"


def test_a_signal_that_a_run_may_survive_does_not_end_it() -> None:
    """
    Processes of a trial cost that trial alone.
    """
    assert ends("keeper", "SIGTERM")
    assert ends("unshare", "SIGKILL")
    assert ends("unshare", "SIGHUP")
    assert not ends("unshare", "SIGTERM")
    assert not ends("dockerd", "SIGKILL")
    assert not ends(BUILD_STEP, "SIGKILL")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (PROJECT / "noxfile.py", "KeyboardInterrupt"),
        ("/usr/bin/mmtarfilter", ""),
        ("/srv/bridgetoll/services/gateway/app.py", ""),
    ],
)
def test_only_a_traceback_of_the_project_is_a_fault(place: Path | str, told: str) -> None:
    """
    A tool of a killed build, or a killed service, may have one of its own.
    """
    frames = [f'  File "{place}", line 1, in <module>', "    x()"]
    lines = ["said", "Traceback (most recent call last):", *frames, "KeyboardInterrupt", "error: x"]
    assert own_traceback(lines) == told


def a_run(folder: Path, last: TrialRecord, printed: int) -> Path:
    """
    Two blocks; of the last trial, ab ended so many rounds.
    """
    trials = [side_by_side(1, 1, "netns", [4000.0] * 2), side_by_side(2, 1, "docker", [4000.0] * 2)]
    stored(folder, manifest(), [*trials, last])
    for number, name, rounds in ((1, "netns", 2), (2, "docker", 2), (3, "netns", printed)):
        for each in range(1, rounds + 1):
            raw = folder / RAW / f"{number:03}-{name}" / f"round-{each:02}"
            raw.mkdir(parents=True)
            (raw / "ab.txt").write_text("Complete requests:      250\n")
    return folder


WHOLE = side_by_side(3, 2, "netns", [4000.0] * 2)
STOPPED_AFTER_ONE = structs.replace(
    side_by_side(3, 2, "netns", [4000.0]), failed_phase=STOPPED, error="stopped by the user"
)


@pytest.mark.parametrize(
    ("last", "printed", "lost"),
    [
        (WHOLE, 2, []),
        (WHOLE, 1, []),
        (WHOLE, 3, ["trial 003-netns lost its rounds [3]"]),
        (STOPPED_AFTER_ONE, 2, []),
        (STOPPED_AFTER_ONE, 3, ["trial 003-netns lost its rounds [2]"]),
        (failed_trial(3, 2, "netns"), 2, []),
    ],
)
def test_a_load_that_ab_ended_is_in_the_record_or_its_trial_failed(
    tmp_path: Path, last: TrialRecord, printed: int, lost: list[str]
) -> None:
    """
    A stop may cost the load that had just ended, and no other.
    """
    assert lost_loads(a_run(tmp_path, last, printed), hard=False) == lost


def test_only_a_hard_end_may_leave_the_last_block_without_records(tmp_path: Path) -> None:
    """
    Earlier blocks have theirs.
    """
    run = a_run(tmp_path, WHOLE, 2)
    lines = (run / TRIALS).read_text().splitlines(keepends=True)
    (run / TRIALS).write_text("".join(lines[:-1]))
    words = ["trial 003-netns ended 2 loads and has no record"]
    assert lost_loads(run, hard=False) == words
    assert lost_loads(run, hard=True) == []
    (run / TRIALS).write_text("".join(lines[1:]))
    assert lost_loads(run, hard=True) == ["trial 001-netns ended 2 loads and has no record"]


def test_broken_records_are_faults(tmp_path: Path) -> None:
    """
    A torn line may follow from SIGKILL of its writer alone; so may a run that still says it runs.
    """
    run = a_run(tmp_path, WHOLE, 2)
    assert record_faults(run, hard=False, orphaned=False) == []
    path = run / TRIALS
    path.write_text(path.read_text()[:-9])
    torn, lost, *_ = record_faults(run, hard=False, orphaned=False)
    assert "it was cut off" in torn
    assert "has no record" in lost
    assert record_faults(run, hard=True, orphaned=False) == []


def test_a_run_without_anybody_left_is_said_to_be_killed(tmp_path: Path) -> None:
    """
    Where nobody could say so in the manifest; otherwise the manifest has to.
    """
    trials = [side_by_side(1, 1, "netns", [4000.0])]
    running = manifest(RUNNING)
    stored(tmp_path / "nobody", running, trials)
    (words,) = record_faults(tmp_path / "nobody", hard=True, orphaned=True)
    assert words.startswith("the report does not say that the run was killed")
    killed = dataclasses.replace(running, sessions=[Session(1.7e9, 5.0, owner="1:1")])
    stored(tmp_path / "killed", killed, trials)
    assert record_faults(tmp_path / "killed", hard=True, orphaned=True) == []
    words = "the manifest says that the run is running"
    assert record_faults(tmp_path / "killed", hard=True, orphaned=False) == [words]


def test_a_process_that_is_left_is_named_with_its_role(tmp_path: Path) -> None:
    """
    Although its parent is gone.
    """
    before = Before.now(tmp_path)
    code = "import os, time; input() if os.fork() else time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        tree = Tree(process.pid)
        while len(tree.known) < 2:
            tree.look()
        process.communicate(b"\n")
    found = [each for each in left(before, tree, tmp_path) if each.startswith("process ")]
    (child,) = tree.look()
    os.kill(child.process.pid, signal.SIGKILL)
    assert found == [f"process {child.process} (other)"]


def test_a_child_that_still_looks_like_an_owner_is_none() -> None:
    """
    The owner is the first with its command line; killing a child of it does not end the run.
    """
    code = "import os; os.fork(); input()"
    command = [sys.executable, "-c", code, "-m", "nox", "x"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        tree = Tree(process.pid)
        while len(found := tree.look()) < 2:
            pass
        process.communicate(b"\n\n")
    assert [each.role for each in found] == ["nox", "other"]
    assert found[0].process.pid == process.pid


@pytest.mark.parametrize("late", [False, True])
def test_a_namespace_is_left_if_who_is_in_it_began_during_the_run(*, late: bool) -> None:
    """
    A later process may be in a new namespace with the same number.
    """
    waits = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as process:
        tree = Tree(process.pid)
        tree.look()
        # As if the run had namespaces of its own, with numbers that this process has too.
        tree.namespaces = {str(link.readlink()) for link in Path("/proc/self/ns").iterdir()}
        process.communicate(b"\n")
    assert tree.held_namespaces()
    if late:
        tree._last_ticks = 0
        assert not tree.held_namespaces()


@pytest.mark.parametrize(
    ("name", "command", "role"),
    [
        ("nox", "/x/python -u -m nox -s measure -- --results x", "nox"),
        ("python", "python -m experiments --owner 1:2 measure", "host command"),
        ("python", "python -m experiments.lab.keeper 1:2 note 5 env setpriv unshare", "keeper"),
        ("unshare", "unshare --pid sh -euc … python3 -m experiments.run.runner", "unshare"),
        ("unshare", "unshare --pid --mount sh -c … dockerd", "other"),
        ("tini", "tini -- dockerd", "other"),
        ("tini", "tini -- python3 -m experiments.run.runner /srv/run", "init"),
        ("python3", "python3 -m experiments.lab.image", "runner"),
        ("perl", "perl mmdebstrap --variant=minbase", "other"),
        ("python3", "python3 -m experiments.run.runner /srv/run /r", "runner"),
        ("containerd-shim", "containerd-shim-runc-v2 -namespace moby", "shim"),
        ("python", "python -m analysis results/x", "report"),
        ("python3", "python3 -m services.gateway", "service"),
        ("sh", "sh -c x", "other"),
    ],
)
def test_roles_are_told_apart(name: str, command: str, role: str) -> None:
    """
    By name and command line.
    """
    assert next((each for each, fits in ROLES.items() if fits(name, command)), "other") == role


def test_the_table_counts_by_phase_and_target() -> None:
    """
    With pairs, ends and faults.
    """
    outcomes = [
        Outcome("1", "loading", ["ab"], ["SIGKILL"], went_on=True),
        Outcome("2", "loading", ["ab", "nox"], ["SIGKILL"] * 2, ended_s=3.0, clean_s=0.1),
        Outcome("3", "start", ["nox"], ["SIGINT"], ended_s=1.0, clean_s=0.2, faults=["x"]),
    ]
    text = table(outcomes)
    assert "| target | loading | start |" in text
    assert "| ab | 2 |  |" in text
    assert "| nox | 1 | 1 |" in text
    assert "3 kills, 1 of them pairs; 2 ended their run" in text
    assert "longest end 3.0 s, then clean in 0.2 s" in text
    assert "1 with a fault" in text


def samples(**changes: int) -> list[dict[str, int]]:
    """
    Forty blocks, in which each of these figures grows so much a block.
    """
    return [{n: 100 + block * changes.get(n, 0) for n in FIGURES} for block in range(40)]


def test_what_grows_is_not_flat() -> None:
    """
    But for what is allowed.
    """
    assert endurance_table(samples())[1]
    assert endurance_table(samples(runner_kb=39, results_kb=100))[1]
    text, flat = endurance_table(samples(groups=1))
    assert not flat
    assert "| control groups | 120 | 139 | 1 ± 0 | NO |" in text


def test_noise_around_a_level_is_flat() -> None:
    """
    The interval of its slope includes zero.
    """
    values = 100 + np.random.default_rng(1).normal(0, 5, 100)
    slope, margin = growth(values)
    assert abs(slope) < margin
    # Samples that come when the next block has begun.
    assert growth(np.array([50.0, 50.0, 70.0, 50.0] * 25)) == (0.0, 0.0)


def test_the_root_of_a_tree_is_a_process(tmp_path: Path) -> None:
    """
    And this test's own namespaces are nobody's residue.
    """
    tree = Tree(os.getpid())
    assert Process.of(os.getpid()) in {each.process for each in tree.look()}
    assert not tree.namespaces
    assert not [each for each in left(Before.now(tmp_path), tree, tmp_path) if "mount" in each]


def test_a_report_of_other_records_is_a_fault(tmp_path: Path) -> None:
    """
    Such as one that was cut off.
    """
    run = a_run(tmp_path, WHOLE, 2)
    assert record_faults(run, hard=False, orphaned=False) == []
    path = run / "report.md"
    path.write_text(path.read_text()[:-9])
    words = ["report.md was not of these records"]
    assert record_faults(run, hard=False, orphaned=False) == words
