"""
Ticks are round, few and inside; lines are few enough to be told apart.
"""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest

from analysis.drawing.canvas import even_ticks, log_ticks, ratio_ticks, signed_percent
from analysis.drawing.series import STROKES, main_variants, strokes
from experiments.declare.variants import Variant
from tests.unit.samples import manifest
from tests.unit.topics.samples import VARIANTS, manifest_of


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.2), (3.0, 4.0), (1.0, 30.0), (0.5, 90_000.0)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    """
    At least two, and no more than there is room for.
    """
    for ticks in (log_ticks(low, high), even_ticks(low, high)):
        assert 2 <= len(ticks) <= 9
        assert ticks == sorted(ticks)
        assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-0.03, 0.03, ["-2 %", "-1 %", "0", "+1 %", "+2 %", "+3 %"]),
        (-0.5, 0.8, ["-20 %", "0", "+20 %", "+50 %", "+100 %"]),
        (-2.4, 2.4, ["-90 %", "-80 %", "-50 %", "0", "+200 %", "+500 %", "+1000 %"]),
    ],
)
def test_ticks_of_ratios_are_round_and_apart(low: float, high: float, labels: list[str]) -> None:
    """
    On a scale on which twice and half are equally far from none.
    """
    ticks = ratio_ticks(low, high)
    assert [signed_percent(tick) for tick in ticks] == labels
    logs = [math.log1p(tick) for tick in ticks]
    assert all(after - before >= (high - low) / 8 for before, after in pairwise(logs))


def test_the_main_variants_are_few_enough_to_be_told_apart() -> None:
    """
    The focal pair, the one that is measured twice, and the ends of the whole; or the first ones.
    """
    assert main_variants(manifest_of(list(VARIANTS))) == [
        *("netns", "docker", "netns-again", "docker-host")
    ]
    many = [Variant(f"v{number}", "", {}) for number in range(20)]
    bare = dataclasses.replace(manifest(), variants=many, comparisons=[])
    assert len(main_variants(bare)) == len(STROKES)


def test_no_two_lines_look_alike_without_their_colour() -> None:
    """
    In dashes or in the marker, for those who print in grey.
    """
    looks = strokes([f"v{number}" for number in range(len(STROKES))])
    assert len({(each.dashes, each.marker, each.hollow) for each in looks.values()}) == len(STROKES)
