"""
Places: what being brought up early costs is found, shown, and taken off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

from analysis.statistics.places import at_equal_place, by_place, place_term
from tests.unit.samples import load, side_by_side, trial

if TYPE_CHECKING:
    from experiments.records.trials import TrialRecord

COST = -0.02
"""Of standing at twice the place, as a log-ratio."""


def rotated(
    variants: int, blocks: int, noise: float = 0.005, cost: float = COST
) -> list[TrialRecord]:
    """
    Variants that differ by ten per cent each and rotate through the places of their block.
    """
    generator = np.random.default_rng(4)
    trials: list[TrialRecord] = []
    for block in range(blocks):
        for place in range(variants):
            variant = (place + block) % variants
            logs = 0.1 * variant + 0.2 * block + cost * math.log2(place + 1)
            us = (1000 * np.exp(logs + generator.normal(0, noise, 3))).tolist()
            made = side_by_side(len(trials) + 1, block + 1, f"v{variant}", us, position=place + 1)
            trials.append(made)
    return trials


def test_the_cost_of_a_place_is_found() -> None:
    """
    Whatever the variants and the blocks cost; and its interval holds it.
    """
    found = place_term(rotated(5, 8))
    assert found.low is not None
    assert found.high is not None
    assert found.low < COST < found.high
    assert found.high - found.low < 0.01
    assert not place_term(rotated(5, 8, cost=0)).excludes_zero


def test_it_is_taken_off_every_time_as_at_the_mean_place() -> None:
    """
    Rates, mean latencies, loads and the load at once alike; quantiles stay.
    """
    trials = [structs.replace(each, at_once=load(500)) for each in rotated(4, 6, noise=0)]
    mean = sum(math.log2(place) for place in range(1, 5)) / 4
    for before, after in zip(trials, at_equal_place(trials), strict=True):
        factor = math.exp(-COST * (math.log2(before.position) - mean))
        for one, other in ((before.load, after.load), (before.at_once, after.at_once)):
            assert one is not None
            assert other is not None
            assert other.requests_per_second == pytest.approx(one.requests_per_second / factor)
            assert other.latency_mean_us == pytest.approx(one.latency_mean_us * factor)
            assert other.latency_p99_us == one.latency_p99_us
        for short, level in zip(before.loads, after.loads, strict=True):
            assert level.us_per_request == pytest.approx(short.us_per_request * factor)
    assert place_term(at_equal_place(trials)).estimate == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        # Too few blocks, the same order in each, and places that nobody knows.
        rotated(3, 2),
        [each for each in rotated(3, 9) if each.block % 3 == 1],
        [structs.replace(each, position=1) for each in rotated(3, 6)],
    ],
)
def test_where_it_cannot_be_told_nothing_is_taken_off(trials: list[TrialRecord]) -> None:
    """
    And it is zero without an interval.
    """
    found = place_term(trials)
    assert (found.estimate, found.low, found.high) == (0.0, None, None)
    assert at_equal_place(trials) == trials
    assert by_place(trials) == []


def test_errors_say_nothing_of_a_place() -> None:
    """
    They are quick, and a trial of them in the first place would make it look quick.
    """
    trials = rotated(4, 8)
    first = trials[0].loads
    quick = side_by_side(1, 1, trials[0].variant, [10.0] * len(first), position=1, non_2xx=100)
    assert place_term([quick, *trials[1:]]).estimate == pytest.approx(COST, abs=0.01)


def test_the_places_are_shown_one_by_one_and_later_ones_together() -> None:
    """
    Each against the mean of all, and none of them once the cost is taken off.
    """
    rows = by_place(rotated(10, 10))
    assert [places for places, _, _ in rows] == ["1", "2", "3", "4", "5–6", "7–8", "9–10"]
    assert [trials for _, _, trials in rows] == [10, 10, 10, 10, 20, 20, 20]
    effects = [interval.estimate for _, interval, _ in rows]
    assert effects == sorted(effects, reverse=True)
    mean = sum(math.log2(place) for place in range(1, 11)) / 10
    assert effects[0] == pytest.approx(math.expm1(-COST * mean), abs=0.003)
    assert rows[0][1].excludes_zero
    level = by_place(at_equal_place(rotated(10, 10)))
    assert all(abs(interval.estimate) < 0.003 for _, interval, _ in level)


def test_trials_without_rounds_have_places_too() -> None:
    """
    By their load as a whole.
    """
    trials = [
        structs.replace(
            trial(each.number, each.block, each.variant, each.load.requests_per_second),
            position=each.position,
        )
        for each in rotated(4, 6)
        if each.load is not None
    ]
    assert place_term(trials).estimate == pytest.approx(COST, abs=0.005)
