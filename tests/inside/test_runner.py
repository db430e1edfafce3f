"""
The trial loop where it runs: what a fault after the load may not take away.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
from typing import TYPE_CHECKING

import pytest

from experiments.deployments.process import ProcessDeployment
from experiments.errors import DeployError, LoadError
from experiments.load.ab import ApacheBench
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.plan.sizing import LEAST_ROUNDS, PILOT_DEPLOYMENTS, PILOT_ROUNDS, REQUESTS_PER_LOAD
from experiments.records.files import PILOT_TRIALS, RAW
from experiments.records.manifest import COMPLETE, INTERRUPTED
from experiments.records.store import read_manifest, read_trials, write_manifest
from experiments.records.trials import ERROR, OK
from experiments.run import block, deployed, memory, runner
from experiments.run.runner import Runner
from experiments.run.stop import StopRequest
from experiments.run.trial import COLD_REQUESTS
from tests.inside.conftest import own_process_as_it_was

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from experiments.load import Client, LoadPlan
    from experiments.records.trials import LoadResult

TINY = ["--variants", "netns", "--workload", "fixed", "--warmup-requests", "0"]
TINY += ["--requests", "20", "--rounds", "2"]

MIB = 2**20


class Reluctant(ProcessDeployment):
    """
    A deployment that is gone when it says that it could not be taken down.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Take everything down, and complain.
        """
        super().__exit__(kind, error, trace)
        msg = "the teardown had a fault"
        raise DeployError(msg)


class Impatient(ProcessDeployment):
    """
    A deployment in whose teardown the user presses Ctrl-C.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Take everything down, and be interrupted.
        """
        super().__exit__(kind, error, trace)
        os.kill(os.getpid(), signal.SIGINT)


class Broken(ApacheBench):
    """
    A load generator that gives up.
    """

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Give up.
        """
        where = client.network_namespace_path
        msg = f"ab gave up on {plan.address} from {where} in {directory.name}"
        raise LoadError(msg)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """
    A runner takes signals and CPUs over; they are given back.
    """
    with own_process_as_it_was():
        yield


def planned(run: Path, blocks: int) -> Runner:
    """
    A runner of so many blocks.
    """
    write_manifest(
        run, draft_manifest(measure_parser().parse_args([*TINY, "--blocks", str(blocks)]), None)
    )
    return Runner(run, StopRequest())


def test_a_load_is_kept_when_its_teardown_has_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The number stands, the fault stands beside it, and the run goes on.
    """
    monkeypatch.setitem(deployed.DEPLOYMENT_CLASSES, "process", Reluctant)
    assert planned(tmp_path, 2).execute() == COMPLETE
    for record in read_trials(tmp_path):
        assert (record.status, record.failed_phase) == (OK, "teardown")
        assert record.error.startswith("deployment failed: the teardown had a fault\nNext: ")
        assert record.load is not None
        assert record.load.requests_ok == 40
        assert (tmp_path / RAW / f"00{record.number}-netns" / "gateway.log").exists()


def test_ctrl_c_in_a_teardown_keeps_the_load_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It had been measured, so it is not lost.
    """
    monkeypatch.setitem(deployed.DEPLOYMENT_CLASSES, "process", Impatient)
    made = planned(tmp_path, 2)
    assert made.execute() == INTERRUPTED
    (record,) = read_trials(tmp_path)
    assert (record.status, record.error, len(record.loads)) == (OK, "", 2)
    assert read_manifest(tmp_path).state == INTERRUPTED


def test_the_first_fault_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A teardown that fails too does not hide why the trial failed.
    """
    monkeypatch.setitem(deployed.DEPLOYMENT_CLASSES, "process", Reluctant)
    made = planned(tmp_path, 1)
    made.stage.load = Broken()
    assert made.execute() == COMPLETE
    (record,) = read_trials(tmp_path)
    assert (record.status, record.failed_phase, record.load) == (ERROR, "load", None)
    assert record.error.startswith("load failed: ab gave up on ")
    assert "; and then: deployment failed: the teardown had a fault\nNext: " in record.error


def runner_of(run: Path, *arguments: str) -> Runner:
    """
    A runner of what these options plan.
    """
    write_manifest(run, draft_manifest(measure_parser().parse_args(list(arguments)), None))
    return Runner(run, StopRequest())


def test_a_pilot_plans_the_loads_of_every_trial(tmp_path: Path) -> None:
    """
    Its own trials are kept apart, and every trial that counts has as many rounds as it found.
    """
    options = ("--variants", "netns,netns-as-published", "--workload", "fixed")
    made = runner_of(tmp_path, *options, "--blocks", "1", "--half-width", "50", "--minutes", "0.3")
    assert made.execute() == COMPLETE
    manifest = read_manifest(tmp_path)
    assert manifest.requests in REQUESTS_PER_LOAD
    pilot = manifest.pilot.rounds
    assert pilot is not None
    assert LEAST_ROUNDS <= manifest.rounds <= pilot.wanted_rounds
    assert pilot.own_sd > 0
    rehearsed = read_trials(tmp_path, PILOT_TRIALS)
    assert [len(record.loads) for record in rehearsed] == [PILOT_ROUNDS] * PILOT_DEPLOYMENTS
    trials = read_trials(tmp_path)
    assert trials
    for record in trials:
        assert [load.requests for load in record.loads] == [manifest.requests] * manifest.rounds
        assert record.cold is not None
        assert record.cold.requests == COLD_REQUESTS
        assert record.first_answer_s is not None
        assert 0 < record.first_answer_s < record.phases_s["deploy"] + record.phases_s["check"]
    # A later session takes the pilot's result over and goes on with the next block.
    blocks = len(manifest.order) + 1
    write_manifest(tmp_path, dataclasses.replace(manifest, blocks=blocks, minutes=5.0, targets=[]))
    assert Runner(tmp_path, StopRequest()).execute() == COMPLETE
    later = read_manifest(tmp_path)
    assert (later.pilot, later.rounds, later.requests) == (
        manifest.pilot,
        manifest.rounds,
        manifest.requests,
    )
    assert later.environment.memory == manifest.environment.memory
    assert read_trials(tmp_path, PILOT_TRIALS) == rehearsed
    assert [later.order[:-1], len(later.order)] == [manifest.order, blocks]
    numbers = [record.number for record in read_trials(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_budget_holds_where_a_variant_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What is left out changes the plan, and not when it has to end.
    """
    made = runner_of(tmp_path, "--variants", "netns,netns-cpus-1", "--minutes", "3")
    monkeypatch.setattr(runner, "too_many_cpus", lambda _manifest, _cpus: ["netns-cpus-1"])
    made._leave_out_what_the_machine_lacks()
    assert set(made.variants) == {"netns", "netns-again"}
    assert made.progress.deadline == made.started + 180


def test_an_open_loop_follows_the_load_that_found_the_capacity(tmp_path: Path) -> None:
    """
    Four shares of it and the common rate, each with its log; all requests are answered.
    """
    options = (*TINY, "--blocks", "1", "--requests", "100", "--open-loop")
    made = runner_of(tmp_path, *options, "--open-requests", "30", "--common-rate", "40")
    assert made.execute() == COMPLETE
    (record,) = read_trials(tmp_path)
    assert record.load is not None
    loads = record.open_loads
    assert [load.fraction for load in loads] == [0.3, 0.5, 0.7, 0.9, None]
    for load in loads[:-1]:
        assert load.fraction is not None
        assert load.rate_per_s == pytest.approx(load.fraction * record.load.requests_per_second)
    assert loads[-1].rate_per_s == 40
    for load in loads:
        assert load.requests_ok == 30
        assert len((tmp_path / load.log).read_text().splitlines()) == 31


def test_without_a_common_rate_half_of_the_slowest_is_taken(tmp_path: Path) -> None:
    """
    From one trial of each variant, which is no part of the results.
    """
    options = (*TINY, "--blocks", "1", "--requests", "100", "--open-loop")
    assert runner_of(tmp_path, *options, "--open-requests", "10").execute() == COMPLETE
    manifest = read_manifest(tmp_path)
    (capacity_per_s,) = manifest.pilot.capacities_per_s.values()
    assert manifest.common_rate_per_s == int(capacity_per_s / 2)
    assert len(read_trials(tmp_path)) == 1


def test_what_does_not_fit_into_the_memory_is_cut_into_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Here three deployments fit, and both of each pair of neighbours stand in one part.
    """
    monkeypatch.setattr(memory, "available_bytes", lambda: 400 * MIB)
    taking = itertools.cycle([400 * MIB, 300 * MIB])
    monkeypatch.setattr(block, "available_bytes", lambda: next(taking))
    options = (*TINY[2:], "--blocks", "2", "--variants", "bare,veth,bridge,tiers")
    made = runner_of(tmp_path, *options)
    assert made.execute() == COMPLETE
    manifest = read_manifest(tmp_path)
    assert manifest.environment.memory is not None
    assert manifest.environment.memory.fits == 3
    assert {("bare", "veth"), ("bare", "bare-again")} <= set(manifest.side_by_side)
    assert len(manifest.order) == 2
    trials = read_trials(tmp_path)
    assert all(record.status == OK for record in trials), [record.error for record in trials]
    for number, parts in enumerate(manifest.order, start=1):
        assert max(map(len, parts)) == 3
        for pair in manifest.side_by_side:
            assert any(set(pair) <= set(part) for part in parts)
        for part, names in enumerate(parts, start=1):
            found = [record for record in trials if (record.block, record.part) == (number, part)]
            assert [record.variant for record in found] == names
            assert {load.others for record in found for load in record.loads} == {len(names) - 1}


def test_a_variant_that_fails_three_times_is_set_aside_and_the_run_goes_on_without_it(
    tmp_path: Path,
) -> None:
    """
    The trials of the others are whole, and the plan stays in the manifest.
    """
    overlay = tmp_path / "broken.yaml"
    overlay.write_text("services: {gateway: {command: [sh, -c, 'echo out of paper; exit 1']}}")
    made = runner_of(tmp_path, *TINY[2:], "--variants", "netns,bare", "--blocks", "4")
    sound = made.variants["netns"]
    made.variants["netns"] = dataclasses.replace(sound, overlays=(overlay,))
    assert made.execute() == COMPLETE
    statuses = [(record.variant, record.status) for record in read_trials(tmp_path)]
    assert statuses.count(("netns", ERROR)) == 3
    assert statuses.count(("bare", OK)) == 4
    assert "netns" in {variant.name for variant in read_manifest(tmp_path).variants}
