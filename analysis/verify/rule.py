"""
The rule by which a run reproduces a reference run.

The rule compares effects: an effect is the mean log-ratio of the time per request between two
variants. Times and rates are not compared, because they depend on the machine. Each run has one of
five verdicts on an effect, as in its report, but with the reference's margin for both runs: slower,
faster, equivalent (within the margin), cannot tell, not comparable (different shares of good
answers). The sizes of an effect in the two runs are

  the same        if the 90 % interval of their difference lies within the margin (two one-sided
                  tests at 5 %)
  told apart      else, if their difference is significant (Welch's test at 5 %, Holm's correction
                  for the number of compared effects)
  not told apart  otherwise.

The outcome of one effect is the first that applies:

  1. not comparable in one or both runs: cannot tell
  2. slower in one run and faster in the other: not reproduced
  3. told apart: reproduced in direction, if both are slower or both are faster; reproduced, if both
     are equivalent, because both are negligible; else not reproduced
  4. cannot tell in one or both runs: cannot tell
  5. the same verdict in both runs: reproduced
  6. equivalent in one run only: reproduced, if the sizes are the same; else cannot tell

The overall outcome is the worst outcome of the reference's focal effects. From worst to best: not
reproduced, cannot tell, reproduced in direction, reproduced. A focal effect that the reference
cannot tell or cannot compare counts only if it is not reproduced. The overall outcome is cannot
tell if no focal effect is in both runs, or if either run shows a difference between equal
deployments (A/A, 99 % interval).

Sources: the Open Science Collaboration uses direction and significance in both runs, and an
interval for the difference of the effects, as criteria (Science 2015, "Estimating the
Reproducibility of Psychological Science"). Such an interval shows inconsistency; consistency needs
an equivalence test (Anderson and Maxwell, Psychological Methods 2016, "There's More Than One Way to
Conduct a Replication Study").
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
    The outcomes, from best to worst.
    """

    REPRODUCED = "reproduced"
    IN_DIRECTION = "reproduced in direction"
    CANNOT_TELL = "cannot tell"
    NOT_REPRODUCED = "not reproduced"


class Sizes(Enum):
    """
    How the sizes of one effect in two runs compare.
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
"""The outcomes for the verdicts of the reference and of this run, one for each of Sizes."""


def follows(reference: Kind, here: Kind, sizes: Sizes) -> Outcome:
    """
    The outcome of one effect.
    """
    return RULE[reference, here][list(Sizes).index(sizes)]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """
    The worst of some outcomes; cannot tell if there are none.
    """
    return max(outcomes, key=list(Outcome).index, default=Outcome.CANNOT_TELL)


@dataclass(frozen=True)
class Gap:
    """
    The effect here minus that of the reference, as a difference of two mean logarithms.

    ``interval`` has a confidence of 95 %, ``narrow`` of 90 %. ``p_value`` is that of no difference,
    not corrected.
    """

    interval: Interval
    narrow: Interval
    p_value: float


def gap(reference: Sequence[float], here: Sequence[float]) -> Gap | None:
    """
    The difference of the means of two independent samples; None if one has fewer than two values.

    Welch's method (Biometrika 1947) with Satterthwaite's degrees of freedom: variances and numbers
    of blocks may differ between the runs.
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
    How the sizes compare; a gap within the margin is the same size, even if it is significant.
    """
    if found is None or p_value is None:
        return Sizes.NOT_TOLD_APART
    half = found.narrow.half_width or 0.0
    if abs(found.narrow.estimate) + half < math.log1p(margin):
        return Sizes.SAME
    return Sizes.TOLD_APART if p_value < SIGNIFICANCE else Sizes.NOT_TOLD_APART
