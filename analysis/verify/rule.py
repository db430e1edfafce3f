"""
The rule by which one run reproduces another, the reference.

Compared are effects, the mean log-ratio of the time per request between two variants, because a
time or a rate belongs to its machine. Each run's verdict on an effect is one of five, as in its
report, but by the reference's margin in both: slower, faster, equivalent within the margin, cannot
tell, not comparable (the shares of good answers differ). The two sizes of an effect are

  the same        if the 90 % interval of their difference lies within the margin: two one-sided
                  tests at 5 %
  told apart      if not, and their difference is not zero by Welch's test at 5 %, corrected for the
                  number of effects that are compared (Holm)
  not told apart  otherwise.

Of one effect follows, by the first of these that applies:

  1. not comparable in one run or in both: cannot tell
  2. slower in one run and faster in the other: not reproduced
  3. told apart: reproduced in direction, if both are slower or both are faster; reproduced, if both
     are equivalent, since both say that nothing matters; else not reproduced
  4. cannot tell in one run or in both: cannot tell
  5. the same verdict in both: reproduced
  6. equivalent in one run only: reproduced, if the sizes are the same; else cannot tell

Overall follows the worst of the reference's focal effects on which it has a verdict, or from which
this run is told apart; the worst is not reproduced, then cannot tell, then reproduced in direction.
Nothing is reproduced where none of them is in both runs, or where either run saw a difference (an
interval of 99 %) between two that are the same (A/A).

Direction and significance in both, and an interval for the difference of the two effects, are
criteria of the Open Science Collaboration (Science 2015, "Estimating the Reproducibility of
Psychological Science"); that such an interval can show inconsistency, and consistency only by an
equivalence test, is from Anderson and Maxwell (Psychological Methods 2016, "There's More Than One
Way to Conduct a Replication Study").
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from analysis.statistics.intervals import Interval, welch
from analysis.statistics.verdicts import SIGNIFICANCE, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Outcome(Enum):
    """
    What can follow, from the best to the worst.
    """

    REPRODUCED = "reproduced"
    IN_DIRECTION = "reproduced in direction"
    CANNOT_TELL = "cannot tell"
    NOT_REPRODUCED = "not reproduced"


class Sizes(Enum):
    """
    What can be said of the two sizes of one effect.
    """

    SAME = "the same"
    NOT_TOLD_APART = "not told apart"
    TOLD_APART = "told apart"


_YES, _DIRECTION = Outcome.REPRODUCED, Outcome.IN_DIRECTION
_OPEN, _NO = Outcome.CANNOT_TELL, Outcome.NOT_REPRODUCED

RULE: Mapping[tuple[Kind, Kind], tuple[Outcome, Outcome, Outcome]] = {
    (Kind.SLOWER, Kind.SLOWER): (_YES, _YES, _DIRECTION),
    (Kind.SLOWER, Kind.FASTER): (_NO, _NO, _NO),
    (Kind.SLOWER, Kind.EQUIVALENT): (_YES, _OPEN, _NO),
    (Kind.SLOWER, Kind.CANNOT_TELL): (_OPEN, _OPEN, _NO),
    (Kind.FASTER, Kind.SLOWER): (_NO, _NO, _NO),
    (Kind.FASTER, Kind.FASTER): (_YES, _YES, _DIRECTION),
    (Kind.FASTER, Kind.EQUIVALENT): (_YES, _OPEN, _NO),
    (Kind.FASTER, Kind.CANNOT_TELL): (_OPEN, _OPEN, _NO),
    (Kind.EQUIVALENT, Kind.SLOWER): (_YES, _OPEN, _NO),
    (Kind.EQUIVALENT, Kind.FASTER): (_YES, _OPEN, _NO),
    (Kind.EQUIVALENT, Kind.EQUIVALENT): (_YES, _YES, _YES),
    (Kind.EQUIVALENT, Kind.CANNOT_TELL): (_OPEN, _OPEN, _NO),
    (Kind.CANNOT_TELL, Kind.SLOWER): (_OPEN, _OPEN, _NO),
    (Kind.CANNOT_TELL, Kind.FASTER): (_OPEN, _OPEN, _NO),
    (Kind.CANNOT_TELL, Kind.EQUIVALENT): (_OPEN, _OPEN, _NO),
    (Kind.CANNOT_TELL, Kind.CANNOT_TELL): (_OPEN, _OPEN, _NO),
    **{
        pair: (_OPEN, _OPEN, _OPEN)
        for kind in Kind
        for pair in ((kind, Kind.NOT_COMPARABLE), (Kind.NOT_COMPARABLE, kind))
    },
}
"""By the reference's verdict and this run's: what follows for each of Sizes, in their order."""


def follows(reference: Kind, here: Kind, sizes: Sizes) -> Outcome:
    """
    What follows of one effect.
    """
    return RULE[reference, here][list(Sizes).index(sizes)]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """
    The worst of some outcomes; of none, nothing can be told.
    """
    return max(outcomes, key=list(Outcome).index, default=Outcome.CANNOT_TELL)


@dataclass(frozen=True)
class Gap:
    """
    How much larger the effect is here than in the reference, as the difference of two mean logs.

    ``interval`` is of 95 %, ``narrow`` of 90 %, and ``p_value`` of no difference, not corrected.
    """

    interval: Interval
    narrow: Interval
    p_value: float


def gap(reference: Sequence[float], here: Sequence[float]) -> Gap | None:
    """
    The difference of the means of two independent samples; None if one has fewer than two values.

    After Welch (Biometrika 1947), whose degrees of freedom are Satterthwaite's: the runs' spreads
    and numbers of blocks may differ.
    """
    if min(len(reference), len(here)) < 2:
        return None
    estimate = statistics.fmean(here) - statistics.fmean(reference)
    if not any(map(statistics.variance, (reference, here))):
        exact = Interval(estimate, estimate, estimate)
        return Gap(exact, exact, 1.0 if estimate == 0 else 0.0)
    interval, p_value = welch(reference, here)
    narrow, _ = welch(reference, here, 1 - 2 * SIGNIFICANCE)
    return Gap(interval, narrow, p_value)


def sizes(found: Gap | None, p_value: float | None, margin: float) -> Sizes:
    """
    What may be said of the sizes, by the corrected p-value; a gap may be both clear and too small.
    """
    if found is None or p_value is None:
        return Sizes.NOT_TOLD_APART
    half = found.narrow.half_width or 0.0
    if abs(found.narrow.estimate) + half < math.log1p(margin):
        return Sizes.SAME
    return Sizes.TOLD_APART if p_value < SIGNIFICANCE else Sizes.NOT_TOLD_APART
