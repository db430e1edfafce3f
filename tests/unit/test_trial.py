"""
A trial: thawed only while it is loaded, and what becomes of a load that something disturbed.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec import structs

from experiments.deployments.ended import EndedProcess
from experiments.errors import LoadError, ProofError
from experiments.lab.freezer import FREEZING_US
from experiments.records.trials import ERROR, OK
from experiments.run import deployed
from experiments.run.trial import Trial
from tests.unit.samples import CHECK, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from experiments.deployments import Deployment
    from experiments.lab.freezer import Freezer
    from experiments.load import Client
    from experiments.probes.alive import Watch
    from experiments.probes.steady import Steady
    from experiments.records.trials import LoadResult
    from experiments.run.conditions import Conditions, Identity


class StubFreezer:
    """
    A freezer that notes what it is told; each look at the CPU time finds ``runs_us`` more.
    """

    def __init__(self, runs_us: int = 0) -> None:
        """
        Nothing has run.
        """
        self.runs_us = runs_us
        self.told: list[str] = []
        self._ran_us = 0

    def freeze(self) -> None:
        """
        As a freezer.
        """
        self.told.append("freeze")

    def thaw(self) -> None:
        """
        As a freezer.
        """
        self.told.append("thaw")

    def ran_us(self) -> int:
        """
        As a freezer.
        """
        self._ran_us += self.runs_us
        return self._ran_us


class Loads:
    """
    A load generator whose loads come one after another; None for one that breaks off.
    """

    def __init__(self, *rates: float | None) -> None:
        """
        In requests per second.
        """
        self._rates = list(rates)

    def run(self, _plan: object, _client: Client, _directory: Path) -> LoadResult:
        """
        The next one.
        """
        rate = self._rates.pop(0)
        if rate is None:
            msg = "ab did not finish"
            raise LoadError(msg)
        return load(rate)

    def times_ms(self, _directory: Path) -> Counter[int]:
        """
        One request of four milliseconds.
        """
        return Counter({4: 1})


@pytest.fixture
def a_trial(tmp_path: Path) -> Callable[..., Trial]:
    """
    A trial that is up, with these loads ahead; nothing of it is probed.

    Its conditions note the plans of its loads.
    """

    def make(*rates: float | None, number: int = 1, runs_us: int = 0) -> Trial:
        raw = tmp_path / f"{number}"
        raw.mkdir()
        plans: list[tuple[Any, Any]] = []
        identity = SimpleNamespace(
            project=SimpleNamespace(is_own=True),
            number=number,
            block=2,
            part=1,
            position=3,
            variant=SimpleNamespace(name="netns", levels={}),
            site=SimpleNamespace(directory=raw),
            run_folder=raw.parent,
            raw=raw,
        )
        conditions = SimpleNamespace(
            requests=1000,
            requests_at_once=1000,
            warmup_requests=200,
            plans=plans,
            load_plan=lambda *given, **more: plans.append((given, more)),
            load=Loads(*rates),
            probing=lambda _: False,
            placement=SimpleNamespace(client={0}, stack={1}, apart=True),
            pinned=True,
        )
        trial = Trial(cast("Identity", identity), cast("Conditions", conditions), lambda: None)
        trial.fields["check"] = CHECK
        trial.freezer = cast("Freezer", StubFreezer(runs_us))
        trial.client = cast("Client", None)
        trial._address = "198.18.0.1:3000"
        trial.freeze()
        return trial

    return make


def told(trial: Trial) -> list[str]:
    """
    What its freezer was told.
    """
    return cast("StubFreezer", trial.freezer).told


def test_it_is_thawed_only_while_it_is_loaded(a_trial: Callable[..., Trial]) -> None:
    """
    And not for the looks at what the others did meanwhile.
    """
    trial = a_trial(250.0, 250.0)
    trial.load(1, 1, [])
    trial.load_at_once([])
    assert told(trial) == ["freeze", "thaw", "freeze", "thaw", "freeze"]
    assert trial.is_frozen


def test_a_load_beside_frozen_deployments_is_kept(a_trial: Callable[..., Trial]) -> None:
    """
    With its round, its turn and how many they were.
    """
    trial, other = a_trial(250.0), a_trial(number=2)
    gone = a_trial(number=3)
    gone.thaw()
    trial.load(4, 2, [other, gone])
    (kept,) = trial.loads
    assert (kept.round, kept.turn, kept.others, kept.others_ran_us) == (4, 2, 1, 0)
    assert kept.us_per_request == pytest.approx(4000)
    assert trial.going


def test_a_load_during_which_frozen_deployments_ran_is_none(a_trial: Callable[..., Trial]) -> None:
    """
    The trial ends there, and says how much CPU time they took.
    """
    trial, other = a_trial(250.0), a_trial(number=2, runs_us=FREEZING_US + 1)
    trial.load(1, 1, [other])
    assert (
        trial.fault
        == "not proved: frozen deployments took CPU time while another one was under load: netns "
        "101 µs"
    )
    assert (trial.loads, trial.going) == ([], False)
    record = trial.record()
    assert (record.status, record.load, record.failed_phase) == (ERROR, None, "load")


def test_the_last_of_a_deployments_way_into_the_freezer_spoils_no_load(
    a_trial: Callable[..., Trial],
) -> None:
    """
    It is charged after the kernel calls the group frozen, and is recorded.
    """
    trial, other = a_trial(250.0, 250.0), a_trial(number=2, runs_us=FREEZING_US)
    trial.load(1, 1, [other])
    (kept,) = trial.loads
    assert kept.others_ran_us == FREEZING_US
    assert trial.going
    # The bound is on all frozen deployments together.
    trial.load(2, 1, [other, a_trial(number=3, runs_us=1)])
    assert not trial.going


def test_all_loads_of_its_rounds_are_one_load(a_trial: Callable[..., Trial]) -> None:
    """
    The first requests and the load at once are no part of it.
    """
    trial = a_trial(100.0, 120.0, 250.0, 500.0, 999.0)
    trial.warm_up()
    trial.load(1, 1, [])
    trial.load(2, 1, [])
    trial.load_at_once([])
    record = trial.record()
    assert record.status == OK
    assert record.load is not None
    assert record.load.requests == 2000
    assert record.load.requests_per_second == pytest.approx(2000 / (4 + 2))
    assert record.cold == load(100.0)
    assert record.at_once == load(999.0)
    assert (record.block, record.part, record.position) == (2, 1, 3)


def test_a_load_that_breaks_off_leaves_those_before_it_standing(
    a_trial: Callable[..., Trial],
) -> None:
    """
    The record has both: what was measured, and what went wrong.
    """
    trial = a_trial(250.0, None)
    trial.load(1, 1, [])
    trial.load(2, 1, [])
    assert trial.is_frozen
    record = trial.record()
    assert (record.status, record.failed_phase) == (OK, "load")
    assert record.error.startswith("load failed: ab did not finish\nNext: ")
    assert [each.round for each in record.loads] == [1]


def watching(
    gone: Callable[..., list[str]] = lambda *_: [], found: Mapping[str, list[str]] | None = None
) -> Watch:
    """
    A watch that finds these.
    """
    watch = SimpleNamespace(gone=gone)
    for name in ("starved", "fled", "troubles"):
        setattr(watch, name, partial((found or {}).get, name, []))
    return cast("Watch", watch)


def ends(trial: Trial, after: int) -> None:
    """
    Let the gateway of a trial end after so many looks at its processes.
    """
    looks = itertools.count()

    def gone(_wait_s: float = 0.0) -> list[str]:
        return ["gateway"] if next(looks) >= after else []

    trial._watch = watching(gone)
    ended = [EndedProcess("gateway", -11, "out of paper")]
    trial.deployment = cast("Deployment", SimpleNamespace(ended=lambda: ended))


def test_a_service_that_ends_under_load_leaves_no_result(a_trial: Callable[..., Trial]) -> None:
    """
    Also if the load generator came to its end, and after whole loads.
    """
    trial = a_trial(250.0, 250.0)
    ends(trial, after=1)
    trial.load(1, 1, [])
    assert trial.going
    trial.load(2, 1, [])
    record = trial.record()
    assert (record.status, record.failed_phase, record.load) == (ERROR, "load", None)
    assert record.error.startswith(
        "process ended: service gateway was ended by signal SIGSEGV under load; its last lines:\n"
        "out of paper"
    )
    assert [each.round for each in record.loads] == [1]
    assert record.requests_lost == 1000
    assert trial.is_frozen


def test_a_load_that_breaks_off_because_a_service_ended_names_the_service_first(
    a_trial: Callable[..., Trial],
) -> None:
    """
    What the load generator says is a consequence.
    """
    trial = a_trial(None)
    ends(trial, after=0)
    trial.load(1, 1, [])
    assert trial.fault.startswith("process ended: service gateway was ended by signal SIGSEGV")
    assert trial.fault.endswith("; and then: load failed: ab did not finish")
    record = trial.record()
    assert record.error.startswith(trial.fault)
    assert record.error.endswith("what is left of its logs: raw/1")


def test_every_load_is_held_to_the_checked_answer(a_trial: Callable[..., Trial]) -> None:
    """
    Samples have moments of their own for each load, within the time that the last one suggests.
    """
    trial = a_trial(100.0, 200.0, 250.0, 250.0)
    trial.warm_up()
    trial.load(1, 1, [])
    trial.load_at_once([])
    plans = cast("Any", trial.conditions).plans
    assert [given for given, _ in plans] == [
        ("198.18.0.1:3000", requests, CHECK.answer) for requests in (100, 100, 1000, 1000)
    ]
    assert [more["expected_s"] for _, more in plans] == pytest.approx([0, 1, 5, 4])
    names = ("cold", "warmup", "round-01", "at-once")
    assert [more["seed"] for _, more in plans] == [f"2 {name}" for name in names]


def test_samples_beside_a_load_are_recorded(
    a_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With each load and in sum.
    """
    trial = a_trial(250.0)
    sampled = structs.replace(load(250.0), requests_ok=875, sampled=8, sampled_bad=1)
    monkeypatch.setattr(trial.conditions.load, "run", lambda *_: sampled)
    trial.load(1, 1, [])
    trial.load(2, 1, [])
    record = trial.record()
    assert [(each.sampled, each.sampled_bad) for each in record.loads] == [(8, 1)] * 2
    assert record.load is not None
    assert (record.load.sampled, record.load.sampled_bad, record.load.served) == (16, 2, 2016)
    assert record.load.requests_ok == 1750


def test_the_path_is_proved_for_samples_too(
    a_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of the rounds and of the load at once, with all answers that were not good.
    """
    seen: list[Any] = []
    trial = a_trial(250.0)
    sampled = structs.replace(load(250.0), requests_ok=875, sampled=8, sampled_bad=1)
    monkeypatch.setattr(trial.conditions.load, "run", lambda *_: sampled)
    trial.load(1, 1, [])
    trial.load_at_once([])
    conditions: Any = trial.conditions
    conditions.probing = lambda _: True
    conditions.workload = SimpleNamespace(services=("gateway",))
    counters: Any = SimpleNamespace(since=lambda _: None)
    monkeypatch.setattr(trial, "_path", lambda: counters)
    trial._path_before = counters
    monkeypatch.setattr(
        "experiments.run.trial.check_path", lambda *given, **more: seen.append((given, more))
    )
    trial.prove()
    ((_, _, requests, services, _), more) = seen[0]
    assert (requests, services, more["bad"]) == (2016, 1, 250)
    assert trial.is_proved


def test_a_load_without_a_good_answer_is_an_error(
    a_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    How fast a service refuses is no result.
    """
    trial = a_trial(250.0)
    bad = structs.replace(load(250.0), requests_ok=0, responses_non_2xx=1000)
    monkeypatch.setattr(trial.conditions.load, "run", lambda *_: bad)
    trial.load(1, 1, [])
    record = trial.record()
    assert record.error.startswith("wrong answer: none of 1000 answers was good: 1000 were not 2xx")
    assert (record.status, record.requests_lost) == (ERROR, 1000)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"starved": ["gateway"]},
            "out of memory: the kernel killed a process of service gateway for memory under load",
        ),
        (
            {"fled": ["gateway"]},
            "deployment failed: service gateway left its control group under load",
        ),
    ],
)
def test_a_deployment_that_has_changed_leaves_no_result(
    a_trial: Callable[..., Trial], found: dict[str, list[str]], words: str
) -> None:
    """
    Although its load came to its end and nothing of it has ended.
    """
    trial = a_trial(250.0, 250.0)
    trial._watch = watching()
    trial.load(1, 1, [])
    trial._watch = watching(found=found)
    trial.load(2, 1, [])
    record = trial.record()
    assert (record.status, record.load) == (ERROR, None)
    assert record.error.startswith(words)
    assert record.error.count("gateway") == 1


def test_services_that_fill_their_room_leave_no_result(
    a_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    The one that printed most is named.
    """
    trial = a_trial(250.0)
    trial._watch = watching()
    for name, size in (("gateway", 5_000_000), ("product-1", 9)):
        trial._outputs[name] = tmp_path / name
        trial._outputs[name].write_bytes(b"x" * size)
    space = SimpleNamespace(f_bavail=200, f_frsize=4096, f_blocks=2500)
    monkeypatch.setattr(os, "statvfs", lambda _: space)
    trial.load(1, 1, [])
    record = trial.record()
    assert (record.status, record.load) == (ERROR, None)
    assert record.error.startswith(
        "no space left: the services have filled the 10 MB for what they print and write; service "
        "gateway printed 5 MB\nNext: let the service print"
    )


def test_a_machine_that_changes_during_a_load_costs_that_load_only(
    a_trial: Callable[..., Trial],
) -> None:
    """
    It is the first cause of whatever else failed, and the loads before it count.
    """
    changes: list[str] = []
    trial = a_trial(250.0, None)
    trial._watch = watching()
    trial.deployment = cast("Deployment", None)
    trial._steady = cast(
        "Steady",
        SimpleNamespace(begin=lambda: None, changes=lambda: list(changes)),
    )
    trial.load(1, 1, [])
    changes.append("the clock was stepped")
    trial.load(2, 1, [])
    with trial.step("prove"):
        trial.refuse_changes()
    record = trial.record()
    assert (record.status, record.failed_phase) == (OK, "load")
    assert record.error == (
        "machine: the clock was stepped; and then: load failed: ab did not finish"
    )
    assert [each.round for each in record.loads] == [1]


def test_what_keeps_a_service_from_answering_is_told_with_the_fault(
    a_trial: Callable[..., Trial],
) -> None:
    """
    Once.
    """
    trial = a_trial(None)
    trial._watch = watching(found={"troubles": ["service gateway is stopped, as by SIGSTOP"]})
    trial.deployment = cast("Deployment", None)
    trial.load(1, 1, [])
    assert trial.record().error.startswith(
        "load failed: ab did not finish; service gateway is stopped, as by SIGSTOP\nNext: "
    )


@pytest.mark.parametrize("can_freeze", [True, False])
def test_what_is_dying_is_awaited_thawed(
    a_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch, *, can_freeze: bool
) -> None:
    """
    Frozen it would never end. A freezer that then fails does not hide why the load failed.
    """
    trial = a_trial(None)
    ends(trial, 0)
    gone = cast("SimpleNamespace", trial._watch).gone
    seen: list[bool] = []

    def gone_if_thawed(wait_s: float = 0.0) -> list[str]:
        seen.append(trial.is_frozen)
        if not can_freeze:
            monkeypatch.setattr(trial.freezer, "freeze", refuse)
        return [] if trial.is_frozen else gone(wait_s)

    def refuse() -> None:
        msg = "a process did not freeze"
        raise ProofError(msg)

    trial._watch = watching(gone_if_thawed)
    trial.load(1, 1, [])
    assert seen == [False]
    if can_freeze:
        assert trial.fault.startswith("process ended: service gateway was ended by signal SIGSEGV")
        assert trial.is_frozen
    else:
        assert trial.fault.startswith("load failed: ab did not finish")


def test_facts_are_no_reference_before_the_whole_check_has_passed(
    a_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of a trial whose dockerd ends during the check, later trials hear nothing.
    """
    taken: list[str] = []
    trial = a_trial()
    part = SimpleNamespace(first_process=1, group=None)
    deployment = SimpleNamespace(
        started_at=0.0,
        address=lambda *_: "198.18.0.1:3000",
        services=lambda: {"gateway": part},
        helpers=dict,
        ended=lambda: [EndedProcess("dockerd", 137)],
        outputs=dict,
    )
    trial.deployment = cast("Deployment", deployment)
    trial.client = cast("Client", SimpleNamespace(network_namespace_path="host"))
    conditions: Any = trial.conditions
    conditions.workload = SimpleNamespace(entry_service="gateway", entry_port=3000)
    conditions.probing = lambda _: True
    conditions.parity = SimpleNamespace(check=lambda *_: taken.append("facts"))
    identity: Any = trial.identity
    identity.site.group = SimpleNamespace(bind=lambda _: False, cpus=lambda: None, path="stack")
    conditions.groups = {"client": identity.site.group}
    identity.variant.levels["entry"] = "direct"
    for name, made in {
        "check_answers": (CHECK, 1.0),
        "facts_of": None,
        "prove_levels": None,
        "Freezer": trial.freezer,
    }.items():
        monkeypatch.setattr(deployed, name, lambda *_, made=made, **__: made)
    gone = [["dockerd"], []]
    monkeypatch.setattr(deployed, "Watch", lambda _: watching(lambda *_: gone.pop(0)))
    with trial.step("check"):
        trial._check()
    assert (taken, trial.failed_phase) == ([], "check")
    assert trial.fault.startswith("process ended: dockerd was ended by signal SIGKILL")
    with trial.step("check"):
        trial._check()
    assert taken == ["facts"]


def test_what_spoils_a_trial_leaves_no_number_of_it(a_trial: Callable[..., Trial]) -> None:
    """
    However good its loads were.
    """
    trial = a_trial(250.0)
    trial.load(1, 1, [])
    trial.phase = "residue"
    trial.spoil("left behind: a namespace")
    record = trial.record()
    assert (record.status, record.load) == (ERROR, None)
    assert (record.failed_phase, record.error) == ("residue", "left behind: a namespace")


def test_a_second_fault_does_not_hide_the_first(a_trial: Callable[..., Trial]) -> None:
    """
    The phase is that of the first.
    """
    trial = a_trial()
    trial.phase = "deploy"
    trial.fail("it did not come up")
    trial.phase = "teardown"
    trial.fail("nor did it go")
    assert trial.fault == "it did not come up; and then: nor did it go"
    assert trial.failed_phase == "deploy"


def test_what_a_stop_breaks_is_no_fault_of_the_trial(a_trial: Callable[..., Trial]) -> None:
    """
    An error is a fault while nobody asked to stop, and in the clean-up after a stop.
    """
    trial = a_trial()
    asked: list[bool] = []

    def check_stop() -> None:
        if asked:
            raise KeyboardInterrupt

    trial._check_stop = check_stop

    def broken_off() -> None:
        asked.append(True)
        msg = "the process was interrupted"
        raise OSError(msg)

    with pytest.raises(KeyboardInterrupt), trial.step("load"):
        broken_off()
    assert not trial.fault
    trial.quiet = True
    with trial.step("teardown"):
        msg = "the folder is in use"
        raise OSError(msg)
    assert "the folder is in use" in trial.fault
