"""
Numbers and tables as text: intervals with their signs, cells that break no table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.estimates import Difference, Interval


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    A Markdown table of cells that are formatted already.
    """
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return tabulate(escaped, headers=list(headers), tablefmt="pipe", disable_numparse=True)


def percent(interval: Interval, digits: int = 1) -> str:
    """
    A relative difference in per cent with its interval, signs written out.
    """
    centre = f"{interval.estimate * 100:+.{digits}f} %"
    if interval.low is None or interval.high is None:
        return f"{centre} [no interval: one block]"
    return f"{centre} [{interval.low * 100:+.{digits}f}, {interval.high * 100:+.{digits}f}]"


def microseconds(interval: Interval) -> str:
    """
    An absolute difference in microseconds with its interval, signs written out.
    """
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:+.0f} µs [no interval: one block]"
    return f"{interval.estimate:+.0f} µs [{interval.low:+.0f}, {interval.high:+.0f}]"


def count(number: int, noun: str) -> str:
    """
    A number with its noun, in the plural where it must be.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def plus_minus(interval: Interval, digits: int = 0) -> str:
    """
    A quantity with half the width of its interval.
    """
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.{digits}f}"
    half = (interval.high - interval.low) / 2
    return f"{interval.estimate:.{digits}f} ± {half:.{digits}f}"


def sentence(text: str) -> str:
    """
    The text with a capital at its beginning, and names in it as they are.
    """
    return text[:1].upper() + text[1:]


def verdict(pair: dict[str, str], difference: Difference | None) -> str:
    """
    One sentence on one comparison that says no more than its interval does.
    """
    name = f"**{pair['name']}** ({pair['treatment']} against {pair['baseline']})"
    if difference is None:
        return f"{name}: no block has a trial of both, so nothing can be said."
    blocks = count(difference.blocks, "block")
    relative = difference.relative["us_per_request"]
    cost = f"{percent(relative)} time per request, {microseconds(difference.us_per_request)}"
    if relative.low is None:
        return f"{name}: {cost}. One block gives no interval, so this is a reading, not a result."
    if not relative.excludes_zero:
        return f"{name}: cannot tell; {cost}; the interval holds zero ({blocks})."
    word = "slower" if relative.estimate > 0 else "faster"
    return f"{name}: {pair['treatment']} is {word}; {cost} ({blocks})."
