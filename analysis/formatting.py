"""
Formatting of numbers, intervals, verdicts and tables as Markdown text.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tabulate import tabulate

from analysis.statistics.intervals import Interval
from analysis.statistics.verdicts import Kind
from experiments.records.trials import GOOD_SHARE_MARGIN, good_answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.estimates import Difference
    from analysis.statistics.verdicts import Verdict
    from analysis.topics.comparisons.findings import JudgedComparison


MOST_DECIMALS = 4

GOOD_PERCENT = f"{(1 - GOOD_SHARE_MARGIN) * 100:g} %"
"""The share of good answers from which times are compared."""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    A Markdown table; cells are escaped, and not formatted any further.
    """
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return tabulate(escaped, headers=list(headers), tablefmt="pipe", disable_numparse=True)


def decimals(interval: Interval, usual: int) -> int:
    """
    Digits after the point that show two significant digits of the half-width.

    ``usual`` where there is no half-width. After the "Guide to the Expression of Uncertainty in
    Measurement" (JCGM 100:2008), 7.2.6.
    """
    half = interval.half_width
    if half is None or half == 0:
        return usual
    if math.isinf(half):
        return 0
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(half))))


def percent(interval: Interval, usual: int = 1, sign: str = "+") -> str:
    """
    A relative difference in per cent with its interval.

    ``sign`` is "+" to show plus signs or "-" to omit them. The interval decides the number of
    decimals; without one it is ``usual``.
    """
    return _with_limits(interval.map(lambda share: share * 100), "%", usual, sign)


def time_difference(difference: Difference, metric: str = "us_per_request") -> str:
    """
    A relative difference in per cent with its interval, or *not comparable*.
    """
    if not difference.comparable:
        return str(Kind.NOT_COMPARABLE.value)
    return percent(difference.relative[metric])


def not_comparable(difference: Difference) -> str:
    """
    The reason why two arms cannot be compared in time.
    """
    why = good_answers(difference.good_shares, difference.requests)
    return f"{Kind.NOT_COMPARABLE.value}: {why}"


def microseconds(interval: Interval, sign: str = "+") -> str:
    """
    An absolute difference in microseconds with its interval; ``sign`` as in ``percent``.
    """
    return _with_limits(interval, "µs", 0, sign)


def _with_limits(interval: Interval, unit: str, usual: int, sign: str) -> str:
    digits = decimals(interval, usual)

    def text(number: float) -> str:
        # Without a zero below zero.
        return f"{number:{sign}z.{digits}f}"

    centre = f"{text(interval.estimate)} {unit}"
    if interval.low is None or interval.high is None:
        return f"{centre} [no interval: one block]"
    return f"{centre} [{text(interval.low)}, {text(interval.high)}]"


def count(number: int, noun: str) -> str:
    """
    A number with its noun, in the singular or plural.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def plus_minus(interval: Interval, usual: int = 0) -> str:
    """
    A quantity ± the half-width of its interval, which decides the number of decimals.
    """
    digits = decimals(interval, usual)
    if interval.half_width is None:
        return f"{interval.estimate:z.{digits}f}"
    return f"{interval.estimate:z.{digits}f} ± {interval.half_width:.{digits}f}"


def sentence(text: str) -> str:
    """
    The text with a capital first letter; the rest keeps its case.
    """
    return text[:1].upper() + text[1:]


def verdict(comparison: JudgedComparison) -> str:
    """
    One sentence on one comparison that claims no more than its verdict.
    """
    name = f"**{comparison.name}** ({comparison.treatment} against {comparison.baseline})"
    difference, judged = comparison.difference, comparison.verdict
    if difference is None:
        return f"{name}: cannot tell; no block has a trial of both."
    if judged.kind is Kind.NOT_COMPARABLE:
        return f"{name}: {not_comparable(difference)}."
    base = f"{difference.baseline_us.estimate:.0f} µs"
    relative, absolute = difference.relative["us_per_request"], difference.us_per_request
    cost = f"{percent(relative)} time per request, {microseconds(absolute)} on {base}"
    if judged.p_value is None:
        return f"{name}: cannot tell; {cost}. One block is a reading, not a result."
    blocks = count(difference.blocks, "block")
    if judged.kind in {Kind.SLOWER, Kind.FASTER}:
        if judged.kind is Kind.FASTER:
            relative, absolute = negative(relative), negative(absolute)
        words = (
            f"{judged.kind.value} {percent(relative, sign='-')} in time per request, "
            f"{microseconds(absolute, sign='-')} on {base}"
        )
    else:
        words = f"{verdict_and_blocks(judged)}; {cost}"
        if judged.kind is Kind.CANNOT_TELL and relative.excludes_zero:
            words += (
                "; its interval excludes zero, but its p-value does not stand after Holm's "
                f"correction for {count(comparison.family, 'comparison')}"
            )
    sentence_of = f"{name}: {words} ({blocks})."
    if judged.methods_disagree and judged.kind in {Kind.SLOWER, Kind.FASTER}:
        sentence_of += (
            f" **The bootstrap disagrees about zero: {percent(difference.bootstrapped)}, so do not "
            "rely on this verdict.**"
        )
    return sentence_of


def short_verdict(judged: Verdict) -> str:
    """
    A verdict without numbers but its margin, for a table cell.
    """
    if judged.kind is Kind.EQUIVALENT:
        return f"{judged.kind.value} ±{judged.margin * 100:g} %"
    return judged.kind.word


def blocks_needed(judged: Verdict) -> str:
    """
    About how many blocks narrow the interval to which half-width; empty unless undecided.
    """
    if judged.kind is not Kind.CANNOT_TELL or judged.blocks_needed is None:
        return ""
    return f"{judged.blocks_needed} for ±{(judged.wanted or judged.margin) * 100:g} %"


def verdict_and_blocks(judged: Verdict) -> str:
    """
    The short verdict with the number of blocks needed.
    """
    blocks = blocks_needed(judged)
    return short_verdict(judged) + (f" (blocks needed: about {blocks})" if blocks else "")


def negative(interval: Interval) -> Interval:
    """
    The interval of the negated quantity.
    """
    return Interval(
        -interval.estimate,
        None if interval.high is None else -interval.high,
        None if interval.low is None else -interval.low,
    )
