"""
The rule by which a run reproduces the reference: every cell, and what it makes of blocks.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.intervals import Interval
from analysis.statistics.verdicts import Kind, holm
from analysis.verify.effects import verify
from analysis.verify.rule import RULE, Gap, Outcome, Sizes, follows, gap, sizes, worst
from experiments.declare.variants import Ladder
from tests.unit.verify_samples import CLEAR, NONE, OPEN, logs, plan, run, with_variants

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.run import Run


def said(reference: Kind, here: Kind, found: Sizes) -> Outcome:
    """
    What the rule's six sentences say, one after the other.
    """
    kinds = {reference, here}
    if Kind.NOT_COMPARABLE in kinds or kinds == {Kind.SLOWER, Kind.FASTER}:
        comparable = Kind.NOT_COMPARABLE not in kinds
        return Outcome.NOT_REPRODUCED if comparable else Outcome.CANNOT_TELL
    if found is Sizes.TOLD_APART:
        if kinds in ({Kind.SLOWER}, {Kind.FASTER}):
            return Outcome.IN_DIRECTION
        return Outcome.REPRODUCED if kinds == {Kind.EQUIVALENT} else Outcome.NOT_REPRODUCED
    if Kind.CANNOT_TELL in kinds:
        return Outcome.CANNOT_TELL
    if len(kinds) == 1:
        return Outcome.REPRODUCED
    return Outcome.REPRODUCED if found is Sizes.SAME else Outcome.CANNOT_TELL


@pytest.mark.parametrize(
    ("before", "after", "found"), list(itertools.product(Kind, Kind, Sizes)), ids=str
)
def test_every_cell_is_what_the_sentences_say(before: Kind, after: Kind, found: Sizes) -> None:
    """
    The table and the six sentences that --help prints are one rule.
    """
    assert follows(before, after, found) is said(before, after, found)


def test_the_table_has_every_cell_once() -> None:
    """
    Five verdicts by five verdicts by three sizes; and which run came first changes nothing.
    """
    assert len(RULE) == len(Kind) ** 2
    assert {len(cells) for cells in RULE.values()} == {len(Sizes)}
    assert all(RULE[one, other] == RULE[other, one] for one, other in RULE)


SLOWER_BARELY = (0.0155, 0.009)
EFFECTS = [
    (CLEAR, (0.251, 0.01), Sizes.SAME, Outcome.REPRODUCED),
    ((0.25, 0.05), (0.27, 0.05), Sizes.NOT_TOLD_APART, Outcome.REPRODUCED),
    (CLEAR, (0.4, 0.01), Sizes.TOLD_APART, Outcome.IN_DIRECTION),
    (CLEAR, (-0.25, 0.01), Sizes.TOLD_APART, Outcome.NOT_REPRODUCED),
    ((0.025, 0.008), (0.012, 0.008), Sizes.SAME, Outcome.REPRODUCED),
    ((0.055, 0.08), (0.01, 0.01), Sizes.NOT_TOLD_APART, Outcome.CANNOT_TELL),
    (CLEAR, NONE, Sizes.TOLD_APART, Outcome.NOT_REPRODUCED),
    (SLOWER_BARELY, (0.01, 0.02), Sizes.SAME, Outcome.CANNOT_TELL),
    (CLEAR, OPEN, Sizes.NOT_TOLD_APART, Outcome.CANNOT_TELL),
    (CLEAR, (0.0, 0.1), Sizes.TOLD_APART, Outcome.NOT_REPRODUCED),
    (NONE, (0.001, 0.01), Sizes.SAME, Outcome.REPRODUCED),
    ((0.015, 0.006), (-0.015, 0.006), Sizes.TOLD_APART, Outcome.REPRODUCED),
    (NONE, (0.0, 0.1), Sizes.NOT_TOLD_APART, Outcome.CANNOT_TELL),
    (NONE, (0.06, 0.099), Sizes.NOT_TOLD_APART, Outcome.CANNOT_TELL),
    (OPEN, OPEN, Sizes.NOT_TOLD_APART, Outcome.CANNOT_TELL),
    ((0.03, 0.05), (-0.03, 0.05), Sizes.TOLD_APART, Outcome.NOT_REPRODUCED),
]
"""The reference's effect, this run's, what is said of the sizes, and what follows."""


@pytest.mark.parametrize("sign", [1, -1], ids=["slower", "faster"])
@pytest.mark.parametrize("order", ["AB", "BA"])
@pytest.mark.parametrize("case", EFFECTS)
def test_what_follows_from_blocks(
    case: tuple[tuple[float, float], tuple[float, float], Sizes, Outcome],
    order: str,
    sign: int,
    tmp_path: Path,
) -> None:
    """
    Whichever run is the reference, and whether the treatment is slower or faster.
    """
    *effects, found, outcome = case
    made = {
        name: run(tmp_path / name, (sign * mean, spread))
        for name, (mean, spread) in zip("AB", effects, strict=True)
    }
    (row,) = verify(made[order[0]], made[order[1]]).rows
    assert (row.sizes, row.outcome) == (found, outcome)
    assert row.outcome is said(row.reference.verdict.kind, row.here.verdict.kind, row.sizes)


def test_a_gap_is_welch_s() -> None:
    """
    As SciPy has it, for samples of different size and spread.
    """
    before, after = logs(0.1, 0.02), logs(0.13, 0.05, 7)
    found = gap(before, after)
    wanted = stats.ttest_ind(after, before, equal_var=False)
    limits = wanted.confidence_interval(0.95)
    assert found is not None
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert found.interval.low == pytest.approx(limits.low)
    assert found.interval.high == pytest.approx(limits.high)


def test_a_gap_without_any_spread_is_exact() -> None:
    """
    And a single block has none.
    """
    assert gap([0.1, 0.1], [0.1, 0.1]) == Gap(Interval(0, 0, 0), Interval(0, 0, 0), 1.0)
    other = gap([0.0, 0.0], [0.5, 0.5])
    assert other is not None
    assert sizes(other, other.p_value, 0.02) is Sizes.TOLD_APART
    assert gap([0.1], [0.1, 0.2]) is None
    assert sizes(None, None, 0.02) is Sizes.NOT_TOLD_APART


@given(
    st.lists(st.floats(-2, 2), min_size=2, max_size=8),
    st.lists(st.floats(-2, 2), min_size=2, max_size=8),
)
def test_a_gap_only_changes_its_sign_with_the_order(one: list[float], other: list[float]) -> None:
    """
    Whichever run is the reference.
    """
    forth, back = gap(one, other), gap(other, one)
    assert forth is not None
    assert back is not None
    assert forth.interval.estimate == pytest.approx(-back.interval.estimate)
    assert forth.p_value == pytest.approx(back.p_value)


def test_two_runs_of_one_truth_are_seldom_told_apart() -> None:
    """
    Of pairs of runs with six effects each, about one in twenty: of 400 never more than 30.
    """
    generator = random.Random(2)  # noqa: S311 - a simulation needs no cryptography
    apart = 0
    for _ in range(400):
        gaps = [
            gap(*([generator.gauss(0.25, 0.04) for _ in range(blocks)] for blocks in (31, 12)))
            for _ in range(6)
        ]
        p_values = holm([found.p_value if found else None for found in gaps])
        said_of = [sizes(*both, 0.02) for both in zip(gaps, p_values, strict=True)]
        apart += Sizes.TOLD_APART in said_of
    assert 8 <= apart <= 30


def test_the_worst_of_nothing_is_that_nothing_can_be_told() -> None:
    """
    And not reproduced is worse than that.
    """
    assert worst([]) is Outcome.CANNOT_TELL
    assert worst([Outcome.REPRODUCED, Outcome.IN_DIRECTION]) is Outcome.IN_DIRECTION
    assert worst([Outcome.CANNOT_TELL, Outcome.REPRODUCED]) is Outcome.CANNOT_TELL
    assert worst(Outcome) is Outcome.NOT_REPRODUCED


def test_only_what_the_reference_is_for_decides(tmp_path: Path) -> None:
    """
    Another effect that is not reproduced is told in its row.
    """
    made = [
        with_variants(run(tmp_path / name), {"docker-host": effect})
        for name, effect in (("A", CLEAR), ("B", NONE))
    ]
    found = verify(made[0], made[1])
    assert [row.outcome for row in found.rows] == [Outcome.REPRODUCED, Outcome.NOT_REPRODUCED]
    assert found.outcome is Outcome.REPRODUCED
    assert found.conclusion() == (
        "Overall: reproduced. Of the reference's 1 focal effect: 1 reproduced."
    )


def test_one_gap_among_several_is_no_surprise(tmp_path: Path) -> None:
    """
    Two effects need half the p-value that one alone needs.
    """
    wide, wider = (0.25, 0.05), (0.296, 0.05)
    alone = verify(run(tmp_path / "A", wide), run(tmp_path / "B", wider))
    assert [row.sizes for row in alone.rows] == [Sizes.TOLD_APART]
    among = verify(
        with_variants(run(tmp_path / "A", wide), {"docker-host": wide}),
        with_variants(run(tmp_path / "B", wider), {"docker-host": wide}),
    )
    assert [row.sizes for row in among.rows] == [Sizes.NOT_TOLD_APART] * 2
    gap_found = among.rows[0].gap
    assert gap_found is not None
    assert gap_found.interval.excludes_zero


def test_where_nothing_is_focal_everything_is(tmp_path: Path) -> None:
    """
    A user's own variants need not say what is.
    """
    made = [
        with_variants(run(tmp_path / name, focal=[]), {"docker-host": effect})
        for name, effect in (("A", CLEAR), ("B", NONE))
    ]
    assert verify(made[0], made[1]).outcome is Outcome.NOT_REPRODUCED


def test_where_the_reference_cannot_tell_there_is_nothing_to_reproduce(tmp_path: Path) -> None:
    """
    Such an effect spoils the outcome only where this run is told apart from it.
    """
    focal = [("netns", "docker"), ("netns", "docker-host")]

    def made(name: str, other: tuple[float, float]) -> Run:
        return with_variants(run(tmp_path / name, focal=focal), {"docker-host": other})

    silent = made("A", OPEN)
    found = verify(silent, made("B", CLEAR))
    assert found.outcome is Outcome.REPRODUCED
    assert "1 reproduced, 1 cannot tell; the reference cannot tell 1" in found.conclusion()
    assert verify(silent, made("C", (2.0, 0.01))).outcome is Outcome.NOT_REPRODUCED


def test_steps_of_ladders_are_effects(tmp_path: Path) -> None:
    """
    Under the names of their two variants.
    """
    ladder = Ladder("up", "", ("netns", "docker"))
    one, other = (
        run(tmp_path / name, ladders=[ladder], comparisons=[plan(name).comparisons[1]])
        for name in "AB"
    )
    (row,) = verify(one, other).rows
    assert (row.name, row.outcome) == ("netns → docker", Outcome.REPRODUCED)
