"""
Which loads are made to hold short ones against what they stand for.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from experiments.declare.profiles import AGREEMENT_COMPANY, AGREEMENT_PAIRS
from experiments.declare.reading import load_variants
from experiments.errors import DeployError
from experiments.plan.stopping import Rule
from experiments.records.store import read_agreement
from experiments.run.agreement import Agreement
from experiments.run.progress import Progress
from tests.unit.samples import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.records.trials import AgreementLoad, LoadResult
    from experiments.run.stage import Stage

NETNS = load_variants().variants["netns"]
SHORT, LONG = 250, 1000


class StubTrial:
    """
    A trial that notes in ``log`` what is asked of it.
    """

    def __init__(self, number: int, log: list[tuple[str, int]], *, freezes: bool) -> None:
        """
        Nothing is wrong with it.
        """
        self.number = number
        self.freezes = freezes
        self.is_frozen = freezes
        self.freezer = SimpleNamespace(ran_us=lambda: 0)
        self.variant = NETNS
        self.fault = ""
        self.quiet = False
        self._log = log

    def bring_up(self) -> None:
        """
        As a trial.
        """
        self._log.append(("bring_up", self.number))

    def warm_up(self) -> None:
        """
        As a trial.
        """
        self._log.append(("warm_up", self.number))

    def load_once(self, requests: int, name: str) -> LoadResult:
        """
        As a trial; its folders have names of their own.
        """
        self._log.append((name, self.number))
        return load(1e6 / (4000 + self.number) if requests == SHORT else 250.0)

    @contextmanager
    def step(self, _: str) -> Iterator[None]:
        """
        As a trial.
        """
        yield

    def take_down(self) -> None:
        """
        As a trial.
        """
        self._log.append(("take_down", self.number))


class StubStage:
    """
    A stage of stubs; the trial of the number ``fails`` does not come up.
    """

    def __init__(self, run: Path, fails: int = 0) -> None:
        """
        With conditions of short and long loads.
        """
        self.run = run
        self.conditions = SimpleNamespace(seed=1, requests=SHORT, requests_at_once=LONG)
        self.log: list[tuple[str, int]] = []
        self._fails = fails
        self._number = 0

    def trial(
        self, _variant: Variant, _conditions: object, *, kind: str, freezes: bool = True
    ) -> StubTrial:
        """
        As a stage.
        """
        assert kind == "agreement"
        self._number += 1
        made = StubTrial(self._number, self.log, freezes=freezes)
        made.fault = "gateway did not become healthy" if self._number == self._fails else ""
        return made


def measured(stage: StubStage, repetition: int = 1) -> list[AgreementLoad]:
    """
    The loads of a repetition.
    """
    progress = Progress(Rule(1, []), [], Console(file=io.StringIO()))
    Agreement(cast("Stage", stage), progress).run(repetition, NETNS)
    return [each for each in read_agreement(stage.run) if each.repetition == repetition]


def test_a_deployment_is_loaded_alone_then_in_company_then_alone_again(tmp_path: Path) -> None:
    """
    It is never frozen; those that are have as many frozen ones beside them but one.
    """
    loads = measured(StubStage(tmp_path))
    places = [each.beside for each in loads]
    assert (
        places[: 2 * AGREEMENT_PAIRS] == places[-2 * AGREEMENT_PAIRS :] == [0] * 2 * AGREEMENT_PAIRS
    )
    company = loads[2 * AGREEMENT_PAIRS : -2 * AGREEMENT_PAIRS]
    assert len(company) == AGREEMENT_PAIRS * (1 + AGREEMENT_COMPANY)
    assert {(each.thawed, each.beside) for each in company} == {
        (False, AGREEMENT_COMPANY),
        (True, AGREEMENT_COMPANY - 1),
    }
    assert sum(not each.thawed for each in company) == AGREEMENT_PAIRS
    assert not any(each.thawed for each in loads if each.beside == 0)


def test_long_loads_are_made_alone_in_pairs_with_short_ones(tmp_path: Path) -> None:
    """
    The order in a pair is random, so that neither is always the later one.
    """
    loads = measured(StubStage(tmp_path))
    alone = [each.requests for each in loads if each.beside == 0]
    pairs = [tuple(alone[at : at + 2]) for at in range(0, len(alone), 2)]
    assert set(pairs) == {(SHORT, LONG), (LONG, SHORT)}
    assert {each.requests for each in loads if each.beside} == {SHORT}
    took = {each.requests: each.us_per_request for each in loads if each.beside == 0}
    assert took == {SHORT: pytest.approx(4001), LONG: pytest.approx(4000)}


def test_the_company_comes_up_after_the_first_loads_and_all_are_taken_down(tmp_path: Path) -> None:
    """
    Each raw output has a folder of its own.
    """
    stage = StubStage(tmp_path)
    loads = measured(stage)
    steps = [step for step, _ in stage.log]
    assert steps[:2] == ["bring_up", "warm_up"]
    assert steps.index("bring_up", 1) == 2 + 2 * AGREEMENT_PAIRS
    folders = [step for step in steps if step.startswith("load-")]
    assert len(set(folders)) == len(folders) == len(loads)
    down = {number for step, number in stage.log if step == "take_down"}
    assert down == set(range(1, 2 + AGREEMENT_COMPANY))


def test_a_deployment_that_does_not_come_up_ends_it(tmp_path: Path) -> None:
    """
    With what went wrong; what is up is taken down, and what was loaded is kept.
    """
    stage = StubStage(tmp_path, fails=3)
    with pytest.raises(DeployError, match="the agreement: gateway did not become healthy"):
        measured(stage)
    assert {number for step, number in stage.log if step == "take_down"} == {1, 2, 3, 4}
    assert len(read_agreement(tmp_path)) == 2 * AGREEMENT_PAIRS


def test_each_repetition_draws_an_order_of_its_own(tmp_path: Path) -> None:
    """
    From the run's seed, so that it can be done again.
    """
    stage = StubStage(tmp_path)
    orders = [[each.requests for each in measured(stage, number)] for number in (1, 2)]
    assert orders[0] != orders[1]
    (tmp_path / "again").mkdir()
    again = [each.requests for each in measured(StubStage(tmp_path / "again"))]
    assert again == orders[0]
