"""
When a run has enough blocks: by the width of its intervals alone.
"""

from __future__ import annotations

import math

import pytest
from scipy import stats

from analysis.estimates import compare
from experiments.stopping import MOST_BLOCKS, T_QUANTILES, Rule, Widths
from tests.unit.samples import failed_trial, trial

PAIR = ("netns", "docker")


def widths(ratios: list[float]) -> Widths:
    """
    What is known after one block for each ratio of docker's time per request to netns's.
    """
    known = Widths()
    for block, ratio in enumerate(ratios, start=1):
        known.add(trial(2 * block - 1, block, "netns", 250))
        known.add(trial(2 * block, block, "docker", 250 / ratio))
    return known


def test_the_table_is_student_s() -> None:
    """
    As SciPy computes it.
    """
    for degrees, quantile in enumerate(T_QUANTILES, start=1):
        assert quantile == pytest.approx(float(stats.t.ppf(0.975, degrees)), abs=0.00006)


def test_the_interval_is_the_report_s() -> None:
    """
    The same trials, the same limits.
    """
    ratios = [1.2, 1.3, 1.25, 1.1]
    trials = []
    for block, ratio in enumerate(ratios, start=1):
        trials += [trial(1, block, "netns", 250), trial(2, block, "docker", 250 / ratio)]
    width, difference = widths(ratios).of(*PAIR), compare(*PAIR, trials)
    assert width is not None
    assert difference is not None
    relative = difference.relative["us_per_request"]
    assert width.relative == pytest.approx(relative.estimate)
    assert (width.low, width.high) == pytest.approx((relative.low, relative.high), abs=1e-4)


def test_a_run_goes_on_until_its_widest_interval_is_narrow_enough() -> None:
    """
    But never ends before the least number of blocks.
    """
    narrow = widths([1.25, 1.2501, 1.2499, 1.25])
    assert Rule(4, 0.02, [PAIR]).is_enough(4, narrow)
    assert not Rule(5, 0.02, [PAIR]).is_enough(4, narrow)
    wide = widths([1.0, 1.5, 1.2, 1.3])
    assert not Rule(4, 0.02, [PAIR]).is_enough(4, wide)


def test_blocks_that_lack_the_pair_are_none_of_it() -> None:
    """
    Ten blocks of the run are not ten of a pair that every second one has, or in which one failed.
    """
    spread = [0.97, 1.0, 1.03, 1.01, 0.99]
    known = widths(spread)
    found = known.of(*PAIR)
    assert found is not None
    assert found.half_width is not None
    rule = Rule(10, found.half_width / 1.1, [PAIR])
    assert not rule.is_enough(10, known)
    # 1.1 times as narrow takes 1.21 times as many blocks of the run.
    assert rule.expected_blocks(10, known) == 13
    assert Rule(10, found.half_width, [PAIR]).is_enough(10, known)
    assert Rule(10, found.half_width, [PAIR]).expected_blocks(10, known) == 10


def test_it_does_not_matter_what_the_interval_says() -> None:
    """
    The same spread about no difference and about a large one asks for as many blocks.
    """
    rule = Rule(2, 0.02, [PAIR])
    spread = [0.97, 1.0, 1.03, 1.01]
    none = rule.expected_blocks(4, widths(spread))
    large = rule.expected_blocks(4, widths([2 * ratio for ratio in spread]))
    assert none == large
    assert 4 < none < MOST_BLOCKS


def test_the_blocks_that_are_needed_grow_with_the_square_of_the_width() -> None:
    """
    Half of the half-width takes four times the blocks.
    """
    known = widths([0.97, 1.0, 1.03, 1.01])
    width = known.of(*PAIR)
    assert width is not None
    assert width.half_width is not None
    rule = Rule(1, width.half_width / 2, [PAIR])
    assert rule.expected_blocks(4, known) == pytest.approx(4 * width.blocks, abs=1)


def test_nothing_is_expected_while_a_pair_is_unknown() -> None:
    """
    One block has no interval, and failed trials say nothing.
    """
    rule = Rule(2, 0.02, [PAIR])
    assert rule.expected_blocks(1, widths([1.2])) == MOST_BLOCKS
    assert rule.widest(widths([1.2])) is None
    known = widths([1.2, 1.2])
    known.add(failed_trial(9, 3, "docker"))
    found = rule.widest(known)
    assert found is not None
    assert found[0] == PAIR
    assert found[1] == pytest.approx(0)
    assert rule.standing(widths([1.2])) == (
        "not every difference has an interval yet; the target is ±2 %"
    )
    words = "known least well: docker against netns, to ±0.0 %; the target is ±2 %"
    assert rule.standing(known) == words


def test_without_a_target_a_run_has_the_blocks_that_were_asked_for() -> None:
    """
    However wide its intervals are.
    """
    rule = Rule(3, None, [PAIR])
    assert not rule.is_enough(2, widths([1.0, 1.0]))
    assert rule.is_enough(3, widths([1.0, 2.0, 0.5]))
    assert rule.standing(widths([1.0, 2.0, 0.5])) == ""


def test_a_relative_difference_is_the_logarithm_s() -> None:
    """
    A ratio of 1.2 is +20 per cent.
    """
    width = widths([1.2]).of(*PAIR)
    assert width is not None
    assert width.relative == pytest.approx(math.expm1(math.log(1.2)))
    assert Widths().of(*PAIR) is None
