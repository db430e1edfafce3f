"""
The published claims: each is tested by what was measured, and by nothing else.
"""

from __future__ import annotations

import dataclasses
import tomllib
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest

from analysis.topics.claims.findings import PUBLISHED, TESTS, Claim, Holds
from analysis.topics.claims.section import published_claims
from experiments.declare.variants import MATCHED, Comparison, Ladder, Variant
from experiments.declare.variants import PUBLISHED as AS_PUBLISHED
from experiments.declare.workloads import choose_workload
from tests.unit.reading import row_of, rows_of
from tests.unit.samples import details, findings, load, manifest, trial
from tests.unit.topics.samples import with_twin

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import LoadResult, TrialRecord

PAIR = ("netns-as-published", "docker-as-published")
RATE, MEAN, MEDIAN = "Docker serves 46 %", "Mean latency", "Median"
ARTEFACT, BODIES, STABLE = "996 of 1000", "Under 50", "Raw namespaces are stable"


def run_of(ratio: float, blocks: int = 9, non_2xx: int = 0) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of the published pair, whose Docker takes so many times as long per request.
    """
    made = dataclasses.replace(
        manifest(blocks=blocks),
        variants=[Variant(name, name, {"runtime": name}) for name in PAIR],
        comparisons=[Comparison("the two", "", *PAIR, role=AS_PUBLISHED)],
    )
    trials = []
    for block in range(1, blocks + 1):
        for position, (name, times) in enumerate(zip(PAIR, (1.0, ratio), strict=True)):
            # A spread of one per cent, so that intervals are intervals.
            rate = 250 / times * (1 + 0.01 * ((block + position) % 3 - 1))
            one = trial(2 * block + position, block, name, rate)
            trials.append(dataclasses.replace(one, load=load(rate, non_2xx=non_2xx)))
    return made, trials


def judged(made: Manifest, trials: list[TrialRecord]) -> list[Claim]:
    """
    All claims, without a cold start.
    """
    return findings(made, trials).claims


def found(of: tuple[Manifest, list[TrialRecord]], beginning: str) -> Claim:
    """
    The claim that begins so.
    """
    (each,) = [each for each in judged(*of) if each.claim.startswith(beginning)]
    return each


def cold(failed_length: int, non_2xx: int, *, any_length: bool) -> LoadResult:
    """
    What ab counts of a cold start.
    """
    return dataclasses.replace(
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
    for claim in (RATE, MEAN, MEDIAN):
        each = found(run_of(0.7, non_2xx=3), claim)
        assert each.verdict is Holds.NO
    made, trials = run_of(0.7)
    bad = [
        dataclasses.replace(each, load=load(357.0, non_2xx=100))
        if each.variant == PAIR[1]
        else each
        for each in trials
    ]
    for claim in (RATE, MEAN, MEDIAN):
        each = found((made, bad), claim)
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
        dataclasses.replace(trial(1, 0, "late", 250), load=cold(993, 7, any_length=False)),
        dataclasses.replace(trial(2, 0, "late", 250), load=cold(0, 1, any_length=True)),
    ]
    section = published_claims(findings(made, trials, cold_starts=starts))
    assert "counts 993 of 1000 as failed, and 7 not 2xx" in section
    assert row_of(section, "“Failed requests”")[1:] == ["993", "0"]
    assert row_of(section, "Non-2xx responses")[1:] == ["7", "1"]
    assert row_of(section, "Good answers")[1:] == ["993 (99.3 %)", "999 (99.9 %)"]


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


BARE = {"runtime": "process", "network": "host", "entry": "direct", "discovery": "addresses"}
IN_CONTAINER = {**BARE, "runtime": "container"}
ON_BRIDGE = {**IN_CONTAINER, "network": "bridge"}
PUBLISHED_PORT = {**ON_BRIDGE, "entry": "published"}
LEVELS = {
    "foot": BARE,
    "first": IN_CONTAINER,
    "second": ON_BRIDGE,
    "third": PUBLISHED_PORT,
    "fourth": {**PUBLISHED_PORT, "discovery": "names"},
}
"""The steps of a ladder; whatever they are called, what changes is what is blamed."""

STEPS = list(LEVELS)
MATCHED_PAIR = ("netns", "docker")


def with_changes(
    rates: dict[str, float], pairs: dict[str, tuple[str, str]], noise: dict[str, float]
) -> tuple[Manifest, list[TrialRecord]]:
    """
    The published pair's run with other variants, so fast and so noisy, and comparisons of them.
    """
    made, trials = run_of(1.5)
    made = dataclasses.replace(
        made,
        variants=[
            *made.variants,
            *(Variant(name, name, LEVELS.get(name, {"as": name})) for name in rates),
        ],
        comparisons=[
            *made.comparisons,
            *([Comparison("like for like", "", *MATCHED_PAIR, role=MATCHED)] if pairs else []),
            *(Comparison(name, "", *pair) for name, pair in pairs.items()),
        ],
    )
    for block in range(1, 10):
        for position, (name, rate) in enumerate(rates.items()):
            spread = noise.get(name, 0.001) * ((block * (position + 1)) % 4 - 1.5)
            trials.append(trial(100 * block + position, block, name, rate * (1 + spread)))
    return made, trials


@pytest.mark.parametrize(
    ("costs", "noise", "verdict"),
    [
        ((1.2, 1.2, 1.2, 1.0), 0.001, Holds.YES),
        # Names cost too, and nobody blamed them; or it cannot be told whether they do.
        ((1.2, 1.2, 1.2, 1.2), 0.001, Holds.DIRECTION),
        ((1.2, 1.2, 1.2, 1.0), 0.1, Holds.DIRECTION),
        ((1.0, 1.0, 1.2, 1.0), 0.001, Holds.DIRECTION),
        ((1.0, 1.0, 1.0, 1.2), 0.001, Holds.NO),
    ],
)
def test_what_is_blamed_is_looked_for_in_the_ladder(
    costs: tuple[float, ...], noise: float, verdict: Holds
) -> None:
    """
    All three that were blamed, and nothing else on the way; or some; or none of them.

    The noise is that of the last step alone.
    """
    rates = dict(
        zip(STEPS, accumulate((500.0, *costs), lambda rate, times: rate / times), strict=True)
    )
    made, trials = with_changes(rates, {}, {STEPS[-1]: noise})
    ladder = Ladder("container", "", tuple(STEPS))
    climbed = dataclasses.replace(made, ladders=[ladder])
    assert found((climbed, trials), "Docker's runtime").verdict is verdict


@pytest.mark.parametrize(
    ("host", "noise", "verdict"),
    [
        (0.9, {}, Holds.YES),
        (1.0, {}, Holds.YES),
        (1.2, {}, Holds.DIRECTION),
        # Whether it helps is open, and that it does not help wholly is not.
        (1.5, {"docker": 0.2}, Holds.NO),
        (1.5, {"docker": 0.2, "netns": 0.4}, Holds.UNTESTED),
    ],
)
def test_an_overhead_is_taken_away_where_nothing_is_left_of_it(
    host: float, noise: dict[str, float], verdict: Holds
) -> None:
    """
    Faster than without the change is one thing, and as fast as without Docker another.
    """
    rates = {"netns": 500.0, "docker": 500 / 1.5, "docker-host": 500 / host}
    of = with_changes(rates, {"host network": ("docker", "docker-host")}, noise)
    claim = found(of, "The host's network")
    assert claim.verdict is verdict
    assert "Against netns, which has no Docker, but a bridge, then remain " in claim.measured


def test_a_change_that_answers_worse_is_not_tested() -> None:
    """
    Nor is what remains of it.
    """
    rates = {"netns": 500.0, "docker": 300.0, "docker-host": 400.0}
    made, trials = with_changes(rates, {"host network": ("docker", "docker-host")}, {})
    bad = [
        dataclasses.replace(each, load=load(400.0, non_2xx=50))
        if each.variant == "docker-host"
        else each
        for each in trials
    ]
    claim = found((made, bad), "The host's network")
    assert claim.verdict is Holds.UNTESTED
    assert "docker-host against docker: not comparable." in claim.measured
    assert "then remain" not in claim.measured


@pytest.mark.parametrize(
    ("docker", "netns", "verdict"),
    [
        (400.0, 600.0, Holds.YES),
        (300.0, 600.0, Holds.DIRECTION),
        (300.0, 500.0, Holds.NO),
    ],
)
def test_a_server_is_better_where_it_is_so_in_both_runtimes(
    docker: float, netns: float, verdict: Holds
) -> None:
    """
    In one of them alone it is so in part.
    """
    rates = {"netns": 500.0, "docker": 300.0, "netns-gunicorn": netns, "docker-gunicorn": docker}
    pairs = {
        "gunicorn in Docker": ("docker", "docker-gunicorn"),
        "gunicorn in raw namespaces": ("netns", "netns-gunicorn"),
    }
    assert found(with_changes(rates, pairs, {}), "gunicorn handles").verdict is verdict


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
    renamed = [dataclasses.replace(each, variant=names[each.variant]) for each in trials]
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
