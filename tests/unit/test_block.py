"""
A block: its deployments side by side, loaded in turns, and what becomes of those that fail.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from experiments.errors import ProofError
from experiments.run.block import Block
from experiments.run.stop import StopRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from experiments.run.conditions import Conditions
    from experiments.run.stage import Stage
    from experiments.run.trial import Trial

ROUNDS = 4


@dataclass
class StubTrial:
    """
    A trial that notes what is asked of it; ``fails`` names the step after which it has a fault.
    """

    name: str
    log: list[tuple[str, str]]
    fails: str = ""
    frozen_then: bool = True
    fault: str = ""
    phase: str = ""
    quiet: bool = False
    state: dict[str, str] | None = None
    is_frozen: bool = False
    spoilt: str = ""
    beside: list[int] = field(default_factory=list)
    raises: Callable[[str], None] = lambda _: None
    is_proved: bool = False

    @property
    def variant(self) -> SimpleNamespace:
        """
        What is deployed.
        """
        return SimpleNamespace(name=self.name)

    @property
    def identity(self) -> SimpleNamespace:
        """
        With a group that can be killed.
        """
        kill = SimpleNamespace(kill=lambda: self._note("kill"))
        return SimpleNamespace(site=SimpleNamespace(group=kill))

    @property
    def going(self) -> bool:
        """
        Whether nothing has failed.
        """
        return not self.fault and self.is_frozen

    def _note(self, step: str) -> None:
        self.log.append((step, self.name))
        self.raises(step)
        if step == self.fails:
            self.fault = f"failed in {step}"
            self.is_frozen = self.frozen_then

    def bring_up(self) -> None:
        """
        It is frozen when it is up.
        """
        self.is_frozen = True
        self._note("bring_up")

    def warm_up(self, others: Sequence[StubTrial]) -> None:
        """
        As a trial.
        """
        del others
        self._note("warm_up")

    def load(self, number: int, turn: int, others: Sequence[StubTrial]) -> None:
        """
        As a trial, with how many stand frozen beside it.
        """
        self._note(f"load {number} turn {turn}")
        self.beside.append(sum(other.is_frozen for other in others))

    def load_at_once(self, others: Sequence[StubTrial]) -> None:
        """
        As a trial.
        """
        del others
        self._note("load_at_once")

    def load_by_schedule(self, fraction: float | None, others: Sequence[StubTrial]) -> None:
        """
        As a trial.
        """
        del others
        self._note(f"load_by_schedule {fraction}")

    def prove(self) -> None:
        """
        As a trial.
        """
        self._note("prove")

    def stop(self) -> None:
        """
        As a trial.
        """
        self.fault = "stopped"

    def spoil(self, fault: str) -> None:
        """
        As a trial.
        """
        self.spoilt = fault

    def take_down(self) -> None:
        """
        As a trial.
        """
        self.quiet = True
        if ("take_down", self.name) not in self.log:
            self._note("take_down")
        self.is_frozen = False

    def record(self) -> str:
        """
        Its name will do.
        """
        return self.name


class StubStop(StopRequest):
    """
    A request to stop that no signal reaches; a signal would only be remembered if it ``is_held``.
    """

    def __init__(self) -> None:
        """
        Nobody asked.
        """
        self.asked = False
        self._held = False

    @property
    def is_held(self) -> bool:
        """
        Whether a block has something to do that must not be broken off.
        """
        return self._held


class Lab:
    """
    A block of stubs, with what was asked of them in ``log``.
    """

    def __init__(self, names: str = "abc", *, residue: str = "", **conditions: object) -> None:
        """
        ``residue`` is what is found in the end.
        """
        self.log: list[tuple[str, str]] = []
        self.trials = {name: StubTrial(name, self.log) for name in names}
        self.stop = StubStop()
        self.states: dict[str, dict[str, str]] = {}
        self._residue = residue
        self._conditions = conditions

    @contextmanager
    def all_cpus(self) -> Iterator[None]:
        """
        Deployments come up on all CPUs.
        """
        self.log.append(("all CPUs", ""))
        yield
        self.log.append(("the stack's CPUs", ""))

    def check_residue(self) -> None:
        """
        As a stage.
        """
        if self._residue:
            raise ProofError(self._residue)

    def block(self, seed: int = 1) -> Block:
        """
        One whose order is drawn from this seed.
        """
        usual = {
            "rounds": ROUNDS,
            "at_once": frozenset("a"),
            "requests_at_once": 1000,
            "open_requests": 0,
            "open_fractions": (0.5,),
            "common_rate_per_s": 100.0,
        }
        return Block(
            stage=cast("Stage", self),
            trials=cast("list[Trial]", list(self.trials.values())),
            conditions=cast("Conditions", SimpleNamespace(**usual | self._conditions)),
            order=random.Random(seed),  # noqa: S311 - an order needs no cryptography
            at_a_time=2,
        )

    def asked(self, step: str) -> list[str]:
        """
        Of whom a step was asked, in order.
        """
        return [name for what, name in self.log if what.startswith(step)]


def records_of(block: Block) -> list[str]:
    """
    The names that stand for the records of its trials, when it has been run.
    """
    return cast("list[str]", block.run())


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A machine on which every look finds 100 bytes less.
    """
    left = iter(range(1000, 0, -100))
    monkeypatch.setattr("experiments.run.block.available_bytes", lambda: next(left))


def test_each_round_loads_every_deployment_once_beside_all_others() -> None:
    """
    In a random order, of which the block's seed decides.
    """
    lab = Lab()
    block = lab.block()
    assert records_of(block) == ["a", "b", "c"]
    orders = [lab.asked(f"load {number} ") for number in range(1, ROUNDS + 1)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    again = Lab()
    again.block().run()
    assert [step for step in again.log if step[0].startswith("load ")] == [
        step for step in lab.log if step[0].startswith("load ")
    ]
    assert all(trial.beside == [2] * ROUNDS for trial in lab.trials.values())


def test_deployments_come_up_before_any_is_warmed_up_and_go_down_after_all_is_proved() -> None:
    """
    On all CPUs, as nobody is loaded meanwhile.
    """
    lab = Lab()
    block = lab.block()
    block.run()
    steps = list(dict.fromkeys(what.partition(" ")[0] for what, _ in lab.log))
    assert steps == [
        *("all", "bring_up", "the", "warm_up", "load", "prove", "load_at_once", "take_down"),
    ]
    assert lab.asked("load_at_once") == ["a"]
    assert block.taken_bytes == 100
    assert set(block.took_s) == {"up", "warmup", "rounds", "rest", "down", "residue"}


def test_loads_by_schedule_come_last() -> None:
    """
    At each share of the capacity and at the common rate, where a run has such.
    """
    lab = Lab(open_requests=1000)
    lab.block().run()
    assert sorted(lab.asked("load_by_schedule 0.5")) == ["a", "b", "c"]
    assert sorted(lab.asked("load_by_schedule None")) == ["a", "b", "c"]
    lab = Lab(open_requests=1000, common_rate_per_s=None)
    lab.block().run()
    assert lab.asked("load_by_schedule None") == []


def test_a_deployment_that_fails_takes_no_further_part() -> None:
    """
    The others go on; one that is not frozen would run beside them, and is taken down at once.
    """
    lab = Lab()
    lab.trials["b"].fails, lab.trials["b"].frozen_then = "warm_up", False
    assert records_of(lab.block()) == ["a", "b", "c"]
    assert "b" not in lab.asked("load ")
    assert lab.trials["a"].beside == [1] * ROUNDS
    assert lab.log.index(("take_down", "b")) < lab.log.index(("load_at_once", "a"))
    assert sorted(lab.asked("take_down")) == ["a", "b", "c"]


def test_a_deployment_that_fails_frozen_stays_until_the_end() -> None:
    """
    It takes no CPU time, and taking it down would.
    """
    lab = Lab()
    lab.trials["b"].fails = "warm_up"
    lab.block().run()
    assert lab.log.index(("take_down", "b")) > lab.log.index(("prove", "a"))


def interrupt_at(step: str) -> Callable[[str], None]:
    """
    What raises as if the user stopped the run in this step.
    """

    def raises(what: str) -> None:
        if what.startswith(step):
            raise KeyboardInterrupt

    return raises


def test_a_block_that_is_stopped_keeps_what_is_whole() -> None:
    """
    Its path is proved, by a trial that nobody can stop any more, and all are taken down.
    """
    lab = Lab()
    for trial in lab.trials.values():
        trial.raises = interrupt_at("load 3 turn 2")
    block = lab.block()
    assert records_of(block) == ["a", "b", "c"]
    assert block.stopped
    assert sorted(lab.asked("prove")) == ["a", "b", "c"]
    assert lab.asked("load_at_once") == []
    assert sorted(lab.asked("take_down")) == ["a", "b", "c"]
    assert all(trial.fault == "stopped" for trial in lab.trials.values())
    assert all(trial.quiet for trial in lab.trials.values())
    # Nobody looks for what is left where the run ends anyway.
    assert "residue" not in block.took_s


def test_a_block_that_is_stopped_while_it_comes_up_kills_what_others_wait_for() -> None:
    """
    Else a deployment that hangs would be waited for.
    """
    lab = Lab()
    lab.trials["a"].raises = interrupt_at("bring_up")
    block = lab.block()
    block.run()
    assert block.stopped
    assert lab.asked("kill") == ["a", "b", "c"]
    assert lab.asked("warm_up") == []


def test_an_error_that_a_signal_leaves_behind_stops_the_block_like_the_signal() -> None:
    """
    As of a library that cannot close what was interrupted; without a signal it is raised.
    """
    lab = Lab()

    def breaks(step: str) -> None:
        if step == "warm_up":
            msg = "the event loop stopped"
            raise RuntimeError(msg)

    def stops(step: str) -> None:
        lab.stop.asked = True
        breaks(step)

    for trial in lab.trials.values():
        trial.raises = breaks
    with pytest.raises(RuntimeError, match="event loop"):
        lab.block().run()
    assert sorted(lab.asked("take_down")) == ["a", "b", "c"]
    lab = Lab()
    for trial in lab.trials.values():
        trial.raises = stops
    block = lab.block()
    assert records_of(block) == ["a", "b", "c"]
    assert block.stopped
    assert {trial.fault for trial in lab.trials.values()} == {"stopped"}


def test_what_was_measured_is_not_lost_by_a_late_signal() -> None:
    """
    While all is taken down it is only remembered; the block has then been stopped.
    """
    lab = Lab()

    def look(step: str) -> None:
        if step == "take_down":
            assert lab.stop.is_held
            lab.stop.asked = True
        else:
            assert not lab.stop.is_held

    for trial in lab.trials.values():
        trial.raises = look
    block = lab.block()
    assert records_of(block) == ["a", "b", "c"]
    assert block.stopped
    assert {trial.fault for trial in lab.trials.values()} == {""}
    assert not lab.stop.is_held


def test_the_state_of_the_network_is_that_of_the_first_of_each_variant() -> None:
    """
    Of those that looked at it.
    """
    lab = Lab()
    lab.states["a"] = {"links": "before"}
    lab.trials["a"].state, lab.trials["b"].state = {"links": "now"}, {"links": "b"}
    lab.block().run()
    assert lab.states == {"a": {"links": "before"}, "b": {"links": "b"}}


def test_what_is_left_spoils_every_trial_of_the_block() -> None:
    """
    Nobody can tell whose it was.
    """
    lab = Lab(residue="left behind: a namespace")
    lab.block().run()
    assert {trial.spoilt for trial in lab.trials.values()} == {
        "not proved: left behind: a namespace"
    }
    assert {trial.phase for trial in lab.trials.values()} == {"residue"}
