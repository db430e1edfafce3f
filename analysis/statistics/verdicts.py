"""
Verdicts: what may be said about a comparison, from a fixed list, and never more than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from scipy import stats

from analysis.statistics.intervals import standard_error, t_interval, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.estimates import Difference

SIGNIFICANCE = 0.05
POWER = 0.8


class Kind(Enum):
    """
    Everything that a verdict can be.
    """

    SLOWER = "slower by"
    FASTER = "faster by"
    EQUIVALENT = "equivalent within"
    CANNOT_TELL = "cannot tell"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Verdict:
    """
    What may be said about one comparison.

    ``margin`` is the relative difference that is taken to be none. ``p_value`` is of no difference,
    corrected for the number of comparisons (None for fewer than two blocks, and where the arms are
    not comparable). ``blocks_needed`` are
    about as many as would bring the half-width of the interval to ``wanted``: the margin, or half
    of it where it is there already. ``detectable`` is the least relative difference that so many
    blocks with this spread find in four of five runs, corrected too. ``methods_disagree`` says that
    Student's interval and the bootstrap's are not of one opinion on whether there is a difference.
    """

    kind: Kind
    margin: float
    p_value: float | None = None
    blocks_needed: int | None = None
    wanted: float | None = None
    detectable: float | None = None
    methods_disagree: bool = False


def judge(differences: Sequence[Difference | None], margin: float) -> list[Verdict]:
    """
    One verdict for each comparison of one family; for None, nothing can be told.

    *Equivalent* is two one-sided tests at 5 % (Schuirmann 1987), which is the 90 % interval within
    the margin; it comes first, because a difference may be both clear and too small to matter.
    *Slower* and *faster* need a p-value below 5 % after Holm's correction (1979). Arms that differ
    in their share of good answers are not compared in time, and take nothing from the others.
    """
    logs = [
        difference.log_ratios if difference and difference.comparable else []
        for difference in differences
    ]
    adjusted = holm([p_value_of_none(each) for each in logs])
    family = sum(p_value is not None for p_value in adjusted)
    return [
        _verdict(difference, each, p_value, margin, family)
        for difference, each, p_value in zip(differences, logs, adjusted, strict=True)
    ]


def _verdict(
    difference: Difference | None,
    logs: Sequence[float],
    p_value: float | None,
    margin: float,
    family: int,
) -> Verdict:
    if difference is not None and not difference.comparable:
        return Verdict(Kind.NOT_COMPARABLE, margin)
    if difference is None or p_value is None:
        return Verdict(Kind.CANNOT_TELL, margin)
    bound = math.log1p(margin)
    narrow = t_interval(logs, 1 - 2 * SIGNIFICANCE)
    wide = t_interval(logs)
    kind = Kind.CANNOT_TELL
    if narrow.half_width is not None and abs(narrow.estimate) + narrow.half_width < bound:
        kind = Kind.EQUIVALENT
    elif p_value < SIGNIFICANCE:
        kind = Kind.SLOWER if wide.estimate > 0 else Kind.FASTER
    bootstrapped = difference.bootstrapped
    half = wide.half_width or 0.0
    # One as narrow as the margin that still reaches across it is told by one half as wide.
    wanted = bound if half > bound else bound / 2
    return Verdict(
        kind=kind,
        margin=margin,
        p_value=p_value,
        blocks_needed=max(len(logs) + 1, blocks_needed(half, len(logs), wanted)),
        wanted=math.expm1(wanted),
        detectable=math.expm1(detectable(logs, family)),
        methods_disagree=bootstrapped.low is not None
        and bootstrapped.excludes_zero != wide.excludes_zero,
    )


def p_value_of_none(values: Sequence[float]) -> float | None:
    """
    Two-sided p-value of a mean of zero, by Student's t; None for fewer than two values.
    """
    if len(values) < 2:
        return None
    error = standard_error(values)
    mean = sum(values) / len(values)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, len(values) - 1))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """
    P-values corrected for their number, after Holm (Scandinavian Journal of Statistics 1979).

    None is no test, and counts for none.
    """
    known = sorted((value, index) for index, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (value, index) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - rank)))
        adjusted[index] = least
    return adjusted


def blocks_needed(half_width: float, blocks: int, wanted: float) -> int:
    """
    About how many blocks give an interval of this half-width, which shrinks with their root.
    """
    return max(2, math.ceil(blocks * (half_width / wanted) ** 2))


def detectable(values: Sequence[float], family: int = 1) -> float:
    """
    The least mean that a test of so many values with this spread finds with 80 % power.

    At 5 %, or at the share of it that the first of a ``family`` of tests has (Holm). Both quantiles
    of Student's t times the standard error; see, for one, Bloom, "Minimum Detectable Effects"
    (Evaluation Review 1995).
    """
    both = t_quantile(1 - SIGNIFICANCE / (2 * family), len(values)) + t_quantile(POWER, len(values))
    return both * standard_error(values)
