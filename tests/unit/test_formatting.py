"""
Numbers as text: as many decimals as an interval supports, signs, and never a minus before nothing.
"""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.formatting import (
    MOST_DECIMALS,
    count,
    decimals,
    microseconds,
    negative,
    percent,
    plus_minus,
    sentence,
    table,
    verdict,
    verdict_and_blocks,
)
from analysis.statistics.intervals import Interval
from analysis.statistics.verdicts import Kind, Verdict
from tests.unit.reading import rows_of
from tests.unit.samples import findings, manifest
from tests.unit.topics.samples import failing, pair_of


def around(estimate: float, half: float | None) -> Interval:
    """
    An interval of this half-width; without limits for None.
    """
    if half is None:
        return Interval(estimate, None, None)
    return Interval(estimate, estimate - half, estimate + half)


def verdict_on(ratios: list[float], errors: int = 0) -> str:
    """
    The sentence on a pair whose time differs by these ratios, one a block.
    """
    trials = failing(pair_of(ratios), "docker", non_2xx=errors) if ratios else []
    (compared,) = findings(manifest(blocks=len(ratios)), trials).comparisons
    return verdict(compared)


finite = st.floats(-1e9, 1e9)
halves = st.none() | st.just(0.0) | st.floats(1e-9, 1e9) | st.just(math.inf)
intervals = st.builds(around, finite, halves)


@pytest.mark.parametrize(
    ("half", "digits"),
    [
        (200.0, 0),
        (20.0, 0),
        (9.9, 1),
        (2.0, 1),
        (0.5, 2),
        (0.05, 3),
        (0.0001, 4),
        # Nothing says how many there should be.
        (0.0, 1),
        (None, 1),
        (math.inf, 0),
    ],
)
def test_decimals_show_two_digits_of_the_half_width(half: float | None, digits: int) -> None:
    """
    At the most four of them; where there is no half-width, as many as is usual.
    """
    assert decimals(around(1.0, half), 1) == digits


@settings(derandomize=True, deadline=None)
@given(intervals, st.integers(0, MOST_DECIMALS))
def test_there_are_never_more_decimals_than_the_most(interval: Interval, usual: int) -> None:
    """
    Nor fewer than none.
    """
    assert 0 <= decimals(interval, usual) <= MOST_DECIMALS


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (around(0.254, 0.0012), "+25.40 % [+25.28, +25.52]"),
        (around(0.254, 0.12), "+25 % [+13, +37]"),
        (around(-0.031, 0.04), "-3.1 % [-7.1, +0.9]"),
        (around(0.25, None), "+25.0 % [no interval: one block]"),
        (around(0.0, 0.0), "+0.0 % [+0.0, +0.0]"),
        (Interval(0.2, -0.9, math.inf), "+20 % [-90, +inf]"),
    ],
)
def test_a_relative_difference_is_in_per_cent(interval: Interval, text: str) -> None:
    """
    With its interval, and the sign of each number.
    """
    assert percent(interval) == text


def test_a_relative_difference_may_be_told_without_a_plus() -> None:
    """
    Where words say the direction.
    """
    assert percent(around(0.25, 0.01), sign="-") == "25.0 % [24.0, 26.0]"


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (around(512.3, 40.0), "+512 µs [+472, +552]"),
        (around(12.34, 3.0), "+12.3 µs [+9.3, +15.3]"),
        (around(-300.2, None), "-300 µs [no interval: one block]"),
        (around(300.2, 0.0), "+300 µs [+300, +300]"),
    ],
)
def test_an_absolute_difference_is_in_microseconds(interval: Interval, text: str) -> None:
    """
    With decimals only where its interval supports them.
    """
    assert microseconds(interval) == text


@pytest.mark.parametrize(
    ("interval", "usual", "text"),
    [
        (around(1020.0, 24.8), 0, "1020 ± 25"),
        (around(1.6, 0.248), 2, "1.60 ± 0.25"),
        (around(1.6, 2.5), 2, "1.6 ± 2.5"),
        (around(2.0, None), 2, "2.00"),
        (around(2.0, 0.0), 1, "2.0 ± 0.0"),
    ],
)
def test_a_quantity_has_half_the_width_of_its_interval(
    interval: Interval, usual: int, text: str
) -> None:
    """
    Both with as many decimals.
    """
    assert plus_minus(interval, usual) == text


@settings(derandomize=True, deadline=None)
@given(intervals, st.integers(0, 3))
def test_nothing_has_no_sign_before_it(interval: Interval, usual: int) -> None:
    """
    What rounds to zero is zero: "-0" would be a direction that nobody measured.
    """
    for text in (
        percent(interval, usual),
        percent(interval, usual, sign="-"),
        microseconds(interval),
        microseconds(interval, sign="-"),
        plus_minus(interval, usual),
    ):
        assert not re.search(r"-0(\.0+)?(?![\d.])", text)


@settings(derandomize=True, deadline=None)
@given(intervals)
def test_the_other_sign_is_taken_back_by_the_other_sign(interval: Interval) -> None:
    """
    And the limits stay in their order.
    """
    other = negative(interval)
    assert negative(other) == interval
    if other.low is not None and other.high is not None:
        assert other.low <= other.estimate <= other.high


def test_cells_break_no_table() -> None:
    """
    Neither by a pipe nor by the end of a line, and numbers stay as they are written.
    """
    text = table(["a", "b"], [["one | two", "3.10"], ["x\ny", "-"]])
    assert rows_of(text) == [["one \\| two", "3.10"], ["x y", "-"]]


def test_a_noun_is_in_the_plural_where_it_must_be() -> None:
    """
    Of none and of many.
    """
    assert [count(number, "block") for number in (0, 1, 2)] == ["0 blocks", "1 block", "2 blocks"]


def test_a_sentence_begins_with_a_capital_and_keeps_its_names() -> None:
    """
    However they are written.
    """
    assert sentence("a Docker on x") == "A Docker on x"
    assert sentence("") == ""


@pytest.mark.parametrize(
    ("judged", "words"),
    [
        (Verdict(Kind.SLOWER, 0.02), "slower"),
        (Verdict(Kind.FASTER, 0.02), "faster"),
        (Verdict(Kind.EQUIVALENT, 0.02), "equivalent within ±2 %"),
        (Verdict(Kind.NOT_COMPARABLE, 0.02), "not comparable"),
        (Verdict(Kind.CANNOT_TELL, 0.02), "cannot tell"),
        (
            Verdict(Kind.CANNOT_TELL, 0.02, blocks_needed=40, wanted=0.01),
            "cannot tell (blocks needed: about 40 for ±1 %)",
        ),
    ],
)
def test_a_verdict_fits_a_cell(judged: Verdict, words: str) -> None:
    """
    Without its numbers, but with what it would take to know.
    """
    assert verdict_and_blocks(judged) == words


@pytest.mark.parametrize(
    ("ratios", "begins", "ends"),
    [
        ([1.24, 1.25, 1.26], "slower by 25.0 % [", "on 4000 µs (3 blocks)."),
        ([0.8, 0.79, 0.81], "faster by 20.0 % [", "on 4000 µs (3 blocks)."),
        ([1.0, 1.001, 0.999], "equivalent within ±2 %; +0.00 % [", "on 4000 µs (3 blocks)."),
    ],
)
def test_a_clear_verdict_has_both_differences_with_their_intervals(
    ratios: list[float], begins: str, ends: str
) -> None:
    """
    In per cent and in microseconds, with the number of blocks.
    """
    name, _, words = verdict_on(ratios).partition(": ")
    assert name == "**matched** (docker against netns)"
    assert words.startswith(begins)
    assert re.search(r"\d µs \[[-+\d., ]+\] on ", words)
    assert words.endswith(ends)


@pytest.mark.parametrize("ratios", [[0.9, 1.2, 1.0], [2.0], []])
def test_what_cannot_be_told_is_given_no_direction(ratios: list[float]) -> None:
    """
    Neither by an interval that holds zero, nor by one block, nor by none.
    """
    words = verdict_on(ratios)
    assert "cannot tell" in words
    assert "slower" not in words
    assert "faster" not in words


def test_one_block_is_a_reading_and_no_block_is_not_even_that() -> None:
    """
    N = 1 supports no comparison.
    """
    assert "One block is a reading" in verdict_on([2.0])
    assert "no block has a trial of both" in verdict_on([])


def test_arms_that_answer_unlike_have_both_shares_and_no_time() -> None:
    """
    Errors are quick.
    """
    words = verdict_on([0.7, 0.72, 0.71], errors=72)
    assert "not comparable" in words
    assert "100.00 %" in words
    assert "92.80 %" in words
    assert "µs" not in words


def test_a_told_difference_on_which_methods_disagree_is_marked() -> None:
    """
    Where nothing is told there is nothing to lean on.
    """
    (compared,) = findings(manifest(blocks=5), pair_of([1.2, 1.21, 1.19, 1.2, 1.22])).comparisons
    assert "disagrees" not in verdict(compared)
    for kind, loud in ((Kind.SLOWER, True), (Kind.CANNOT_TELL, False)):
        doubted = Verdict(kind, 0.02, p_value=0.04, methods_disagree=True)
        each = dataclasses.replace(compared, verdict=doubted)
        assert ("disagrees" in verdict(each)) is loud


def test_an_interval_without_zero_that_is_no_surprise_says_why_it_is_not_told() -> None:
    """
    Among many comparisons one such is to be expected.
    """
    (compared,) = findings(manifest(blocks=5), pair_of([1.2, 1.21, 1.19, 1.2, 1.22])).comparisons
    unsure = dataclasses.replace(compared, verdict=Verdict(Kind.CANNOT_TELL, 0.02, p_value=0.2))
    assert "Holm" in verdict(unsure)
