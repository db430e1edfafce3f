"""
Verdicts: what may be said, from a fixed list.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.formatting import short_verdict, time_difference
from analysis.statistics.verdicts import (
    Kind,
    blocks_needed,
    detectable,
    holm,
    judge,
    p_value_of_none,
)
from tests.unit.samples import (
    compare,
    findings,
    manifest,
    side_by_side,
    trial,
)

if TYPE_CHECKING:
    from analysis.statistics.estimates import Difference
    from experiments.records.trials import TrialRecord

PAIR = ("netns", "docker")


def trials_of(ratios: list[float], treatment: str = "docker") -> list[TrialRecord]:
    """
    One block for each ratio of the treatment's time per request to netns's.
    """
    made = []
    for block, ratio in enumerate(ratios, start=1):
        made += [
            trial(2 * block - 1, block, "netns", 250),
            trial(2 * block, block, treatment, 250 / ratio),
        ]
    return made


def difference(ratios: list[float]) -> Difference | None:
    """
    The difference between two variants with these ratios.
    """
    return compare(*PAIR, trials_of(ratios))


@pytest.mark.parametrize(
    ("ratios", "kind"),
    [
        ([1.2, 1.21, 1.19, 1.2, 1.22], Kind.SLOWER),
        ([0.8, 0.81, 0.79, 0.8, 0.82], Kind.FASTER),
        ([1.001, 0.999, 1.002, 1.0, 0.998], Kind.EQUIVALENT),
        # Clear, and too small to matter.
        ([1.005, 1.006, 1.005, 1.004, 1.005], Kind.EQUIVALENT),
        ([0.8, 1.2, 1.1, 0.9, 1.05], Kind.CANNOT_TELL),
        ([1.2], Kind.CANNOT_TELL),
    ],
)
def test_each_kind_has_its_numbers(ratios: list[float], kind: Kind) -> None:
    """
    Two per cent count as none.
    """
    (verdict,) = judge([difference(ratios)], 0.02)
    assert verdict.kind is kind


def test_nothing_is_told_of_what_was_not_measured() -> None:
    """
    And it takes nothing from the others of its family.
    """
    clear = difference([1.2, 1.21, 1.19, 1.2, 1.22])
    nothing, told = judge([None, clear], 0.02)
    assert (nothing.kind, nothing.p_value) == (Kind.CANNOT_TELL, None)
    assert told == judge([clear], 0.02)[0]


def test_errors_make_no_arm_faster() -> None:
    """
    Where the shares of good answers differ, nothing is said of the time, and no other pays for it.
    """
    trials = []
    for block, us in enumerate((1000, 1010, 990, 1000, 1005), start=1):
        trials += [
            side_by_side(2 * block, block, "netns", [us, us], non_2xx=18),
            side_by_side(2 * block + 1, block, "docker", [us * 1.3] * 2),
        ]
    broken = compare("docker", "netns", trials)
    assert broken is not None
    clear = difference([1.2, 1.21, 1.19, 1.2, 1.22])
    crashed, told = judge([broken, clear], 0.02)
    assert (crashed.kind, crashed.p_value) == (Kind.NOT_COMPARABLE, None)
    assert told == judge([clear], 0.02)[0]
    assert short_verdict(crashed) == time_difference(broken) == "not comparable"
    assert clear is not None
    assert time_difference(clear).startswith("+20.4 % [")
    (compared,) = findings(manifest(blocks=5), trials).comparisons
    assert compared.trust_interval() is None
    assert compared.verdict.kind is Kind.NOT_COMPARABLE


def test_holm_s_correction_is_as_in_his_paper() -> None:
    """
    The least of m times m, the next times m - 1, and never falling.
    """
    assert holm([0.01, 0.04, 0.03, None]) == pytest.approx([0.03, 0.06, 0.06, None])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_a_correction_never_makes_a_p_value_smaller(p_values: list[float]) -> None:
    """
    Nor changes the order.
    """
    adjusted = [value for value in holm(p_values) if value is not None]
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    ranks = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[rank] for rank in ranks] == sorted(adjusted)


def test_among_many_comparisons_one_that_is_hardly_clear_is_not_told() -> None:
    """
    Alone it would be; the report says why it is not.
    """
    hardly = difference([1.04, 1.10, 1.03, 1.12, 1.05])
    (alone,) = judge([hardly], 0.02)
    assert alone.kind is Kind.SLOWER
    many = judge([hardly, *[difference([0.9, 1.1, 1.0, 0.95, 1.06])] * 9], 0.02)
    assert many[0].kind is Kind.CANNOT_TELL


def test_the_p_value_is_the_t_test_s() -> None:
    """
    As SciPy computes it; for equal values there is no doubt either way.
    """
    values = [0.1, 0.3, -0.05, 0.2]
    assert p_value_of_none(values) == pytest.approx(float(stats.ttest_1samp(values, 0).pvalue))
    assert p_value_of_none([0.1, 0.1]) == 0
    assert p_value_of_none([0.0, 0.0]) == 1
    assert p_value_of_none([0.1]) is None


def test_an_effect_as_large_as_the_detectable_one_is_found_in_four_of_five_runs() -> None:
    """
    By simulation, with the spread that it is computed from.
    """
    generator = random.Random(3)  # noqa: S311 - a simulation
    sample = [generator.gauss(0, 1) for _ in range(10)]
    effect = detectable(sample) / stats.tstd(sample)
    found = 0
    for _ in range(2000):
        p_value = p_value_of_none([generator.gauss(effect, 1) for _ in range(10)])
        assert p_value is not None
        found += p_value < 0.05
    assert 0.77 < found / 2000 < 0.83


def test_the_blocks_that_are_needed_grow_with_the_square_of_the_width() -> None:
    """
    Four times as many for half of the width; and never fewer than two.
    """
    assert blocks_needed(0.04, 10, 0.02) == 40
    assert blocks_needed(0.01, 10, 0.02) == 3
    assert blocks_needed(0.0, 10, 0.02) == 2
