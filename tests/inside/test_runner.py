"""
The trial loop where it runs: what a fault after the load may not take away.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from experiments import trial
from experiments.deployments.process import ProcessDeployment
from experiments.errors import DeployError, LoadError
from experiments.load.ab import ApacheBench
from experiments.measure import plan
from experiments.options import measure_parser
from experiments.pilot import DEPLOYMENTS, LEAST_REQUESTS, STEP
from experiments.records import (
    COMPLETE,
    ERROR,
    INTERRUPTED,
    OK,
    PILOT_TRIALS,
    RAW,
    read_manifest,
    read_trials,
    write_manifest,
)
from experiments.runner import Runner
from experiments.stop import StopRequest
from experiments.trial import COLD_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from experiments.load import Client, LoadPlan
    from experiments.records import LoadResult

TINY = ["--variants", "netns", "--workload", "fixed", "--requests", "20", "--warmup-requests", "0"]


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
        signal.raise_signal(signal.SIGINT)


class Broken(ApacheBench):
    """
    A load generator that gives up.
    """

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Give up.
        """
        msg = f"ab gave up on {plan.address} from {client.network_namespace} in {directory.name}"
        raise LoadError(msg)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """
    A runner takes the signals over; they are given back.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def planned(run: Path, blocks: int) -> Runner:
    """
    A runner of so many blocks.
    """
    write_manifest(run, plan(measure_parser().parse_args([*TINY, "--blocks", str(blocks)])))
    return Runner(run, StopRequest())


def test_a_load_is_kept_when_its_teardown_has_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The number stands, the fault stands beside it, and the run goes on.
    """
    monkeypatch.setitem(trial.DEPLOYMENTS, "process", Reluctant)
    assert planned(tmp_path, 2).execute() == COMPLETE
    for record in read_trials(tmp_path):
        assert (record.status, record.failed_phase) == (OK, "teardown")
        assert record.error == "the teardown had a fault"
        assert record.load is not None
        assert record.load.requests_ok == 20
        assert (tmp_path / RAW / f"00{record.number}-netns" / "gateway.log").exists()


def test_ctrl_c_in_a_teardown_keeps_the_load_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It had been measured, so it is not lost.
    """
    monkeypatch.setitem(trial.DEPLOYMENTS, "process", Impatient)
    made = planned(tmp_path, 2)
    assert made.execute() == INTERRUPTED
    (record,) = read_trials(tmp_path)
    assert (record.status, record.failed_phase) == (OK, "teardown")
    assert "interrupted by the user" in record.error
    assert read_manifest(tmp_path).state == INTERRUPTED


def test_the_first_fault_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A teardown that fails too does not hide why the trial failed.
    """
    monkeypatch.setitem(trial.DEPLOYMENTS, "process", Reluctant)
    made = planned(tmp_path, 1)
    made.stage.load = Broken()
    assert made.execute() == COMPLETE
    (record,) = read_trials(tmp_path)
    assert (record.status, record.failed_phase, record.load) == (ERROR, "load", None)
    assert record.error.startswith("ab gave up on ")
    assert record.error.endswith("; and then: the teardown had a fault")


def runner_of(run: Path, *arguments: str) -> Runner:
    """
    A runner of what these options plan.
    """
    write_manifest(run, plan(measure_parser().parse_args(list(arguments))))
    return Runner(run, StopRequest())


def test_a_pilot_plans_the_requests_of_every_trial(tmp_path: Path) -> None:
    """
    Its own trials are kept apart, and every trial that counts has as many requests as it found.
    """
    options = ("--variants", "netns,netns-as-published", "--workload", "fixed")
    made = runner_of(tmp_path, *options, "--blocks", "1", "--half-width", "50", "--minutes", "0.7")
    assert made.execute() == COMPLETE
    manifest = read_manifest(tmp_path)
    assert manifest.requests % STEP == 0
    assert LEAST_REQUESTS <= manifest.requests <= manifest.pilot["wanted_requests"]
    assert manifest.pilot["own_sd"] > 0
    assert len((tmp_path / PILOT_TRIALS).read_text().splitlines()) == DEPLOYMENTS
    trials = read_trials(tmp_path)
    assert trials
    for record in trials:
        assert record.load is not None
        assert record.load.requests == manifest.requests
        assert record.cold is not None
        assert record.cold.requests == COLD_REQUESTS
        assert record.first_answer_s is not None
        assert 0 < record.first_answer_s < record.phases_s["deploy"] + record.phases_s["check"]
        assert record.pulse is not None
        assert record.pulse.opened[-1] >= manifest.requests


def test_an_open_loop_follows_the_load_that_found_the_capacity(tmp_path: Path) -> None:
    """
    Four shares of it and the common rate, each with its log; all requests are answered.
    """
    options = (*TINY[:4], "--blocks", "1", "--requests", "100", "--open-loop")
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
    options = (*TINY[:4], "--blocks", "1", "--requests", "100", "--open-loop")
    assert runner_of(tmp_path, *options, "--open-requests", "10").execute() == COMPLETE
    manifest = read_manifest(tmp_path)
    (capacity_per_s,) = manifest.pilot["capacities_per_s"].values()
    assert manifest.common_rate_per_s == int(capacity_per_s / 2)
    assert len(read_trials(tmp_path)) == 1
