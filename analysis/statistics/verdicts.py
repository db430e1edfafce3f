"""
Verdicts: the statements that the data of a comparison support, from a fixed list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import scipy

from analysis.statistics.intervals import standard_error, t_interval, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.estimates import Difference

SIGNIFICANCE = 0.05
POWER = 0.8


class Kind(Enum):
    """
    The possible verdicts.
    """

    SLOWER = "slower by"
    FASTER = "faster by"
    EQUIVALENT = "equivalent within"
    CANNOT_TELL = "cannot tell"
    NOT_COMPARABLE = "not comparable"

    @property
    def word(self) -> str:
        """
        The verdict without its preposition, as in a table or a file.
        """
        return self.value.removesuffix(" by").removesuffix(" within")


@dataclass(frozen=True)
class Verdict:
    """
    The verdict on one comparison.

    ``margin`` is the equivalence margin, a relative difference. ``p_value`` is for the null
    hypothesis of no difference, after Holm's correction; None for fewer than two blocks and for
    arms that are not comparable. ``blocks_needed`` is about the number of blocks that narrows the
    interval's half-width to ``wanted``: to the margin, or to half of it if the half-width is within
    the margin already. ``detectable`` is the minimum relative difference that this number of blocks
    with this spread detects with 80 % power at Holm's first step. ``methods_disagree`` says that
    only one of Student's interval and the bootstrap's excludes zero.
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
    One verdict for each comparison of a family; a difference of None gives *cannot tell*.

    *Equivalent* is two one-sided tests at 5 % (Schuirmann 1987): the 90 % interval lies within the
    margin. It has precedence, because a significant difference may be too small to matter.
    *Slower* and *faster* need a p-value below 5 % after Holm's correction (1979). Arms that differ
    in their share of good answers are not compared in time, and do not count in the family.
    """
    logs = [
        difference.log_ratios if difference and difference.comparable else []
        for difference in differences
    ]
    adjusted = holm([p_value_of_none(ratios) for ratios in logs])
    family = sum(p_value is not None for p_value in adjusted)
    return [
        _verdict(difference, ratios, p_value, margin, family)
        for difference, ratios, p_value in zip(differences, logs, adjusted, strict=True)
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
    # An interval as narrow as the margin may still cross its bound: aim for half the margin.
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
    Two-sided p-value of a zero mean (Student's t test); None for fewer than two values.
    """
    if len(values) < 2:
        return None
    error = standard_error(values)
    mean = sum(values) / len(values)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * scipy.stats.t.sf(abs(mean) / error, len(values) - 1))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """
    P-values after the correction by Holm (Scandinavian Journal of Statistics 1979).

    None marks a missing test, which does not count in the family.
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
    About how many blocks give the half-width ``wanted``; it falls with their square root.
    """
    return max(2, math.ceil(blocks * (half_width / wanted) ** 2))


def detectable(values: Sequence[float], family: int = 1) -> float:
    """
    The minimum mean that a test of this number of values with this spread detects, 80 % power.

    The significance level is 5 %, divided by the size of the ``family`` (Holm's first step). The
    result is the sum of both quantiles of Student's t, times the standard error; see Bloom,
    "Minimum Detectable Effects" (Evaluation Review 1995).
    """
    both = t_quantile(1 - SIGNIFICANCE / (2 * family), len(values)) + t_quantile(POWER, len(values))
    return both * standard_error(values)
