"""
Ladders: the cost of each step, and the part of a whole that the steps do not explain.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.estimates import good_shares, pairs_by_block
from analysis.statistics.intervals import t_interval
from analysis.statistics.verdicts import judge
from experiments.records.trials import are_comparable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.estimates import Difference, Differences
    from analysis.statistics.intervals import Interval
    from analysis.statistics.verdicts import Verdict
    from experiments.declare.variants import Ladder, Whole
    from experiments.records.manifest import Manifest


@dataclass(frozen=True)
class Step:
    """
    One step of a ladder: the factor that changes, its cost and the verdict.

    ``change`` names both levels, ``to`` the upper one. ``difference`` is None if no block has a
    trial of both variants.
    """

    lower: str
    upper: str
    factor: str
    change: str
    to: str
    difference: Difference | None
    verdict: Verdict


@dataclass(frozen=True)
class Climb:
    """
    A ladder with its steps, from the foot up.
    """

    ladder: Ladder
    steps: list[Step]


@dataclass(frozen=True)
class Remainder:
    """
    A declared whole, the sum of its steps, and their difference, in microseconds per request.

    All three are over the blocks that have every trial needed, at equal place.
    """

    declared: Whole
    blocks: int
    whole: Interval
    steps: Interval
    unexplained: Interval


def climb(manifest: Manifest, measured: Differences) -> list[Climb]:
    """
    The steps of every ladder; the verdicts on all steps are one family.
    """
    levels = manifest.levels
    pairs = [pair for ladder in manifest.ladders for pair in ladder.pairs()]
    differences = [measured.between(lower, upper) for lower, upper in pairs]
    judged = zip(differences, judge(differences, manifest.margin), strict=True)
    climbs = []
    for ladder in manifest.ladders:
        steps = []
        for lower, upper in ladder.pairs():
            before, after = levels[lower], levels[upper]
            changed = [name for name in after if before.get(name) != after[name]]
            change = ", ".join(f"{before.get(name)} → {after[name]}" for name in changed)
            to = ", ".join(after[name] for name in changed)
            steps.append(Step(lower, upper, ", ".join(changed), change, to, *next(judged)))
        climbs.append(Climb(ladder, steps))
    return climbs


def main_first(manifest: Manifest, climbed: Sequence[Climb]) -> list[Climb]:
    """
    The ladders that lead to a whole, then the others.
    """
    by_name = {each.ladder.name: each for each in climbed}
    leading = [name for whole in manifest.wholes for name in whole.ladders if name in by_name]
    return [by_name[name] for name in dict.fromkeys([*leading, *by_name])]


def remainder(whole: Whole, manifest: Manifest, measured: Differences) -> Remainder | None:
    """
    A whole and the sum of its ladders' steps; None if no block has the ends of all ladders.

    Within one ladder, the steps of a round add up exactly to the difference of its ends, so only
    the ends are needed. An unexplained part arises from adding ladders that were measured
    separately. None too if the ends differ in their share of good answers.
    """
    ladders = {ladder.name: ladder.steps for ladder in manifest.ladders}
    ends = [(ladders[name][0], ladders[name][-1]) for name in whole.ladders]
    compared = [(whole.baseline, whole.treatment), *ends]
    by_pair = [pairs_by_block(first, last, measured.trials) for first, last in compared]
    complete = [block for block in by_pair[0] if all(block in blocks for blocks in by_pair)]
    shares = [good_shares(first, last, measured.trials) for first, last in compared]
    if not complete or not all(map(are_comparable, shares)):
        return None
    wholes, *climbed = (
        [statistics.fmean(pair.difference_us for pair in blocks[block]) for block in complete]
        for blocks in by_pair
    )
    steps = [sum(each) for each in zip(*climbed, strict=True)]
    return Remainder(
        declared=whole,
        blocks=len(complete),
        whole=t_interval(wholes),
        steps=t_interval(steps),
        unexplained=t_interval([one - other for one, other in zip(wholes, steps, strict=True)]),
    )
