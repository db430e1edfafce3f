"""
What was blamed and what was recommended: looked for in the ladder, and in each change.
"""

from __future__ import annotations

import dataclasses
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.claims.findings import Holds
from experiments.declare.variants import MATCHED, Comparison, Ladder, Variant
from tests.unit.samples import load, trial
from tests.unit.topics.claims_samples import found, run_of

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

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
    assert claim.measured.count(" % [") == 2
    assert "netns" in claim.measured


def test_a_change_that_answers_worse_is_not_tested() -> None:
    """
    Nor is what remains of it.
    """
    rates = {"netns": 500.0, "docker": 300.0, "docker-host": 400.0}
    made, trials = with_changes(rates, {"host network": ("docker", "docker-host")}, {})
    bad = [
        structs.replace(each, load=load(400.0, non_2xx=50))
        if each.variant == "docker-host"
        else each
        for each in trials
    ]
    claim = found((made, bad), "The host's network")
    assert claim.verdict is Holds.UNTESTED
    assert "docker-host against docker: not comparable." in claim.measured
    assert " % [" not in claim.measured


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


@pytest.mark.parametrize(
    ("limited", "noise", "verdict"),
    [
        # Without the limit it is faster, but a container without a limit has nothing to be given.
        (200.0, {}, Holds.DIRECTION),
        (300.0, {}, Holds.NO),
        (300.0, {"docker-half": 0.2}, Holds.UNTESTED),
    ],
)
def test_more_resources_help_where_a_limit_binds(
    limited: float, noise: dict[str, float], verdict: Holds
) -> None:
    """
    The limited variant is held against the same one without a limit.
    """
    rates = {"netns": 500.0, "docker": 300.0, "docker-half": limited}
    made, trials = with_changes(rates, {"a change": ("docker", "netns")}, noise)
    variants = [
        dataclasses.replace(each, levels={"runtime": "container", "cpus": cpus})
        if (cpus := {"docker": "unlimited", "docker-half": "0.5"}.get(each.name))
        else each
        for each in made.variants
    ]
    claim = found((dataclasses.replace(made, variants=variants), trials), "More CPU time")
    assert claim.verdict is verdict
    assert "docker-half" in claim.measured
