"""
The published claims: each is tested by what was measured, and by nothing else.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from analysis.topics.claims.findings import PUBLISHED, TESTS, Holds, cold_start
from analysis.topics.claims.section import published_claims
from experiments.declare.variants import PUBLISHED as AS_PUBLISHED
from experiments.declare.variants import Comparison
from experiments.declare.workloads import choose_workload
from tests.unit.reading import row_of, rows_of
from tests.unit.samples import details, findings, load, trial
from tests.unit.topics.claims_samples import PAIR, found, judged, run_of
from tests.unit.topics.samples import with_twin

if TYPE_CHECKING:
    from experiments.records.trials import LoadResult

RATE, MEAN, MEDIAN = "Docker serves 46 %", "Mean latency", "Median"
ARTEFACT, BODIES, STABLE = "996 of 1000", "Under 50", "Raw namespaces are stable"


def cold(failed_length: int, non_2xx: int, *, any_length: bool) -> LoadResult:
    """
    What ab counts of a cold start.
    """
    return structs.replace(
        load(250, failed=failed_length, non_2xx=non_2xx),
        command=["ab", *(["-l"] if any_length else [])],
        details=details(failed_length=failed_length),
    )


def test_every_claim_has_a_test_that_there_is() -> None:
    """
    And every test a claim.
    """
    published = tomllib.loads(PUBLISHED.read_text())
    assert {each["test"] for each in published["claims"]} == set(TESTS)
    of = run_of(1.5)
    assert [each.claim for each in judged(*of)] == [each["claim"] for each in published["claims"]]


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (54.07 / 29.21, Holds.YES),
        (1.3, Holds.DIRECTION),
        (1.0, Holds.NO),
        (0.8, Holds.NO),
    ],
)
def test_the_published_size_holds_in_full_in_direction_or_not(ratio: float, verdict: Holds) -> None:
    """
    Rate and mean latency are one measurement, and have one verdict.
    """
    of = run_of(ratio)
    assert found(of, RATE).verdict is verdict
    assert found(of, MEAN).verdict is verdict
    assert "50 / 54.07 = 924.7 ms" in found(of, MEAN).supported


def test_what_a_run_cannot_tell_it_does_not_test() -> None:
    """
    One block has no interval.
    """
    assert found(run_of(1.5, blocks=1), RATE).verdict is Holds.UNTESTED
    assert found(run_of(1.5), "Docker's runtime").verdict is Holds.UNTESTED
    assert found(run_of(1.5), "gunicorn").verdict is Holds.UNTESTED


def test_what_is_not_comparable_is_not_tested() -> None:
    """
    A share of errors is quick, and says nothing of rates, means and medians.
    """
    made, trials = run_of(0.7)
    bad = [
        structs.replace(each, load=load(357.0, non_2xx=100)) if each.variant == PAIR[1] else each
        for each in trials
    ]
    # Also if both arms have as many: each fails in its own way.
    for run, claim in itertools.product(
        ((made, bad), run_of(0.7, non_2xx=3)), (RATE, MEAN, MEDIAN)
    ):
        each = found(run, claim)
        assert each.verdict is Holds.UNTESTED
        assert each.measured.endswith(": as published not comparable.")


def test_equal_medians_are_a_claim_of_their_own() -> None:
    """
    Equal within the margin, or not.
    """
    assert found(run_of(1.0), MEDIAN).verdict is Holds.YES
    assert found(run_of(1.5), MEDIAN).verdict is Holds.NO


def test_996_failures_are_refuted_by_their_own_sum_and_by_a_cold_start() -> None:
    """
    The counts with and without -l stand side by side.
    """
    made, trials = run_of(1.5)
    (each,) = [each for each in judged(made, trials) if each.claim.startswith(ARTEFACT)]
    assert each.verdict is Holds.NO
    assert "996 + 4 = 1000" in each.supported
    assert "99.6 % reliable" in each.supported
    starts = [
        structs.replace(trial(1, 0, "late", 250), load=cold(993, 7, any_length=False)),
        structs.replace(trial(2, 0, "late", 250), load=cold(0, 1, any_length=True)),
    ]
    section = published_claims(findings(made, trials, cold_starts=starts))
    (tested,) = [
        each
        for each in findings(made, trials, cold_starts=starts).claims
        if each.claim.startswith(ARTEFACT)
    ]
    assert {"993", "1000", "7"} <= set(re.findall(r"\d+", tested.measured))
    assert row_of(section, "“Failed requests”")[1:] == ["993", "0"]
    assert row_of(section, "Non-2xx responses")[1:] == ["7", "1"]
    assert row_of(section, "Good answers")[1:] == ["993 (99.3 %)", "999 (99.9 %)"]


def test_the_artefact_is_that_each_answer_is_an_error_or_of_another_length() -> None:
    """
    And that there are both.
    """
    assert cold_start(cold(993, 7, any_length=False)).is_artefact
    assert not cold_start(cold(0, 1, any_length=True)).is_artefact
    assert not cold_start(cold(992, 7, any_length=False)).is_artefact
    assert not cold_start(cold(0, 1000, any_length=False)).is_artefact


def test_every_claim_stands_in_the_table_with_its_verdict_and_has_its_grounds() -> None:
    """
    By its number, the same in both; without a cold start there is no table of one.
    """
    found = findings(*run_of(1.5))
    section = published_claims(found)
    assert [row[1:] for row in rows_of(section)] == [
        [each.claim, f"**{each.verdict.value}**"] for each in found.claims
    ]
    for number, each in enumerate(found.claims, start=1):
        assert f"\n{number}. {each.claim}\n" in section
        assert each.measured in section


def test_reliability_is_counted_in_every_trial() -> None:
    """
    Good answers refute the one claim and bear the other out; bad ones the other way round.
    """
    good, bad = run_of(1.5), run_of(1.5, non_2xx=3)
    assert found(good, BODIES).verdict is Holds.NO
    assert "0 of 9000 requests in 9 trials" in found(good, BODIES).measured
    assert found(good, STABLE).verdict is Holds.YES
    assert found(bad, BODIES).verdict is Holds.YES
    assert found(bad, STABLE).verdict is Holds.NO


def test_without_the_published_systems_there_is_nothing_to_test() -> None:
    """
    And no section.
    """
    made, trials = run_of(1.5)
    alone = dataclasses.replace(made, comparisons=[])
    assert judged(alone, trials) == []
    assert published_claims(findings(alone, trials)) == ""


@pytest.mark.parametrize(
    "change", [{"concurrency": 10}, {"workload": choose_workload("orders")}], ids=["load", "path"]
)
def test_another_load_is_another_question(change: dict[str, Any]) -> None:
    """
    Nothing published is tested by it.
    """
    made, trials = run_of(1.5)
    assert judged(dataclasses.replace(made, **change), trials) == []


def test_the_published_pair_is_known_by_its_role() -> None:
    """
    A user's own two systems are held against the claims, whatever they are called.
    """
    made, trials = run_of(54.07 / 29.21)
    names = dict(zip(PAIR, ("plain", "mine"), strict=True))
    own = dataclasses.replace(
        made,
        variants=[dataclasses.replace(each, name=names[each.name]) for each in made.variants],
        comparisons=[Comparison("my question", "", "plain", "mine", role=AS_PUBLISHED)],
    )
    renamed = [structs.replace(each, variant=names[each.variant]) for each in trials]
    assert judged(own, renamed) == judged(made, trials)
    assert found((own, renamed), RATE).verdict is Holds.YES
    aside = dataclasses.replace(own, comparisons=[dataclasses.replace(own.comparisons[0], role="")])
    assert judged(aside, renamed) == []


def test_an_instrument_that_sees_what_is_not_there_tests_no_claim() -> None:
    """
    Whatever its numbers are.
    """
    made, trials = run_of(1.5)
    twice, again = with_twin(made, [1.25 + 0.001 * block for block in range(9)])
    claims = judged(twice, [*trials, *again])
    assert {each.verdict for each in claims} == {Holds.UNTESTED}
