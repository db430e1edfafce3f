"""
When a run has enough blocks: by the width of its intervals alone.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from scipy import stats

from experiments.declare.variants import Target
from experiments.plan.stopping import (
    MOST_BLOCKS,
    T_QUANTILES,
    Estimate,
    Estimates,
    Rule,
    log_ratio,
    round_times,
)
from tests.unit.samples import compare, failed_trial, side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from experiments.records.trials import TrialRecord

PAIR = ("netns", "docker")
ROUNDS_US = (4000.0, 4400.0, 3900.0)


def pair(
    block: int, ratio: float, *, treatment: str = "docker", part: int = 1, non_2xx: int = 0
) -> list[TrialRecord]:
    """
    Both trials of a part of a block, whose times per request have this ratio in the mean.
    """
    spread = (1.1, 1.0, 1 / 1.1)
    after = [ratio * us * own for us, own in zip(ROUNDS_US, spread, strict=True)]
    return [
        side_by_side(2 * block - 1, block, "netns", ROUNDS_US, part=part),
        side_by_side(2 * block, block, treatment, after, part=part, non_2xx=non_2xx),
    ]


def known_from(trials: Iterable[TrialRecord]) -> Estimates:
    """
    What is known after these trials.
    """
    known = Estimates()
    for trial in trials:
        known.add(trial)
    return known


def trials_of(ratios: Sequence[float], treatment: str = "docker") -> list[TrialRecord]:
    """
    One block for each ratio of the treatment's time per request to netns's.
    """
    blocks = enumerate(ratios, start=1)
    return [trial for at, ratio in blocks for trial in pair(at, ratio, treatment=treatment)]


def estimates(ratios: Sequence[float]) -> Estimates:
    """
    What is known after one block for each ratio.
    """
    return known_from(trials_of(ratios))


def estimate_of(known: Estimates) -> Estimate:
    """
    What is known of the pair.
    """
    found = known.of(*PAIR)
    assert found is not None
    return found


def half_width_of(known: Estimates) -> float:
    """
    The half-width that the pair's interval has.
    """
    half_width = estimate_of(known).half_width
    assert half_width is not None
    return half_width


def rule(blocks: int, half_width: float) -> Rule:
    """
    So many blocks, and then until the pair is known as well as this.
    """
    return Rule(blocks, [Target(*PAIR, half_width)])


def test_the_table_is_student_s() -> None:
    """
    As SciPy computes it.
    """
    for degrees, quantile in enumerate(T_QUANTILES, start=1):
        assert quantile == pytest.approx(float(stats.t.ppf(0.975, degrees)), abs=0.00006)


def test_two_trials_are_compared_by_the_rounds_that_both_have() -> None:
    """
    As the mean of the logarithms.
    """
    before = round_times(side_by_side(1, 1, "netns", [4000.0, 5000.0, 9000.0]))
    after = round_times(side_by_side(2, 1, "docker", [4400.0, 6000.0]))
    wanted = (math.log(1.1) + math.log(1.2)) / 2
    assert log_ratio(before, after) == pytest.approx(wanted)
    assert log_ratio(after, before) == pytest.approx(-wanted)


def test_two_trials_without_a_common_round_are_not_compared() -> None:
    """
    As where one broke off in its first load.
    """
    before, after = pair(1, 1.2)
    assert log_ratio(round_times(before), {}) is None
    first, second = (
        structs.replace(trial, loads=loads)
        for trial, loads in ((before, before.loads[:1]), (after, after.loads[1:]))
    )
    assert log_ratio(round_times(first), round_times(second)) is None
    assert known_from([first, second]).of(*PAIR) is None


def test_the_interval_is_the_report_s() -> None:
    """
    The same trials, the same limits, where the place has no effect: here all have the same.
    """
    trials = trials_of([1.2, 1.3, 1.25, 1.1])
    estimate, difference = estimate_of(known_from(trials)), compare(*PAIR, trials)
    assert difference is not None
    relative = difference.relative["us_per_request"]
    assert estimate.blocks == difference.blocks == 4
    assert estimate.relative == pytest.approx(relative.estimate)
    assert (estimate.low, estimate.high) == pytest.approx((relative.low, relative.high), abs=1e-4)


def test_the_parts_of_a_block_are_one_value() -> None:
    """
    They share what the machine was doing, so they are not as good as two blocks.
    """
    trials = [*pair(1, 1.2), *pair(1, 1.3, part=2), *pair(2, 1.1)]
    estimate, difference = estimate_of(known_from(trials)), compare(*PAIR, trials)
    logs = [(math.log(1.2) + math.log(1.3)) / 2, math.log(1.1)]
    assert estimate.blocks == 2
    assert estimate.relative == pytest.approx(math.expm1(sum(logs) / 2))
    assert difference is not None
    assert difference.relative["us_per_request"].estimate == pytest.approx(estimate.relative)


def test_trials_of_different_parts_are_no_pair() -> None:
    """
    They did not stand side by side.
    """
    (before, _), (_, after) = pair(1, 1.2), pair(1, 1.2, part=2)
    assert known_from([before, after]).of(*PAIR) is None


def test_arms_with_errors_are_not_comparable() -> None:
    """
    In the report neither, and also if both have as many: each arm fails in its own way.
    """
    trials = [*pair(1, 0.8), *pair(2, 0.8, non_2xx=3)]
    difference = compare(*PAIR, trials)
    assert difference is not None
    assert not difference.comparable
    assert not estimate_of(known_from(trials)).comparable
    assert estimate_of(estimates([0.8, 0.8])).comparable
    alike = [
        side_by_side(number, 1, name, ROUNDS_US, non_2xx=3) for number, name in enumerate(PAIR)
    ]
    assert not estimate_of(known_from(alike)).comparable


def test_a_run_goes_on_until_its_interval_is_narrow_enough() -> None:
    """
    But never ends before the least number of blocks.
    """
    narrow = estimates([1.25, 1.2501, 1.2499, 1.25])
    assert rule(4, 0.02).is_enough(4, narrow)
    assert not rule(5, 0.02).is_enough(4, narrow)
    assert not rule(4, 0.02).is_enough(4, estimates([1.0, 1.5, 1.2, 1.3]))


def test_every_pair_has_a_target_of_its_own() -> None:
    """
    The one that is furthest from its own decides, not the one that is known least well.
    """
    ratios = [0.97, 1.0, 1.03, 1.01]
    wider = [ratio**3 for ratio in ratios]
    known = known_from([*trials_of(ratios), *trials_of(wider, "docker-host")])
    half = half_width_of(known)
    focal = Target(*PAIR, half / 1.1)
    loose, strict = (Target("netns", "docker-host", 3 * half * slack) for slack in (1.01, 0.501))
    assert Rule(4, [dataclasses.replace(focal, half_width=half * 1.01), loose]).is_enough(4, known)
    assert not Rule(4, [focal, loose]).is_enough(4, known)
    words = Rule(4, [focal, loose]).standing(known)
    assert words.startswith("furthest from its target: docker against netns, ±")
    words = Rule(4, [focal, strict]).standing(known)
    assert words.startswith("furthest from its target: docker-host against netns, ±")
    # 1.1 times as narrow takes 1.21 times as many blocks, and twice as narrow four times as many.
    assert Rule(4, [focal, loose]).expected_blocks(4, known) == 5
    assert Rule(4, [focal, strict]).expected_blocks(4, known) == 16


def test_blocks_that_lack_the_pair_are_none_of_it() -> None:
    """
    Ten blocks of the run are not ten of a pair that every second one has, or in which one failed.
    """
    known = estimates([0.97, 1.0, 1.03, 1.01, 0.99])
    half = half_width_of(known)
    assert not rule(10, half / 1.1).is_enough(10, known)
    # 1.1 times as narrow takes 1.21 times as many blocks of the run.
    assert rule(10, half / 1.1).expected_blocks(10, known) == 13
    assert rule(10, half).is_enough(10, known)
    assert rule(10, half).expected_blocks(10, known) == 10


def test_it_does_not_matter_what_the_interval_says() -> None:
    """
    The same spread about no difference and about a large one asks for as many blocks.
    """
    spread = [0.97, 1.0, 1.03, 1.01]
    none = rule(2, 0.02).expected_blocks(4, estimates(spread))
    large = rule(2, 0.02).expected_blocks(4, estimates([2 * ratio for ratio in spread]))
    assert none == large
    assert 4 < none < MOST_BLOCKS


def test_nothing_is_expected_while_a_pair_is_unknown() -> None:
    """
    One block has no interval, and failed trials say nothing.
    """
    wanted = rule(2, 0.02)
    assert wanted.expected_blocks(1, estimates([1.2])) == MOST_BLOCKS
    assert wanted.standing(estimates([1.2])) == "no interval yet for docker against netns"
    known = estimates([1.2, 1.2])
    known.add(failed_trial(9, 3, "docker"))
    assert half_width_of(known) == pytest.approx(0)
    assert wanted.standing(known) == (
        "furthest from its target: docker against netns, ±0.0 %; target ±2 %"
    )


def test_without_a_target_a_run_has_the_blocks_that_were_asked_for() -> None:
    """
    However wide its intervals are.
    """
    wanted = Rule(3, [])
    assert not wanted.is_enough(2, estimates([1.0, 1.0]))
    assert wanted.is_enough(3, estimates([1.0, 2.0, 0.5]))
    assert wanted.expected_blocks(1, estimates([1.0])) == 3
    assert wanted.standing(estimates([1.0, 2.0, 0.5])) == ""


def test_a_relative_difference_is_the_logarithm_s() -> None:
    """
    A ratio of 1.2 is +20 per cent.
    """
    estimate = estimate_of(estimates([1.2]))
    assert estimate.relative == pytest.approx(0.2)
    assert (estimate.low, estimate.high, estimate.half_width) == (None, None, None)
    assert Estimates().of(*PAIR) is None
