"""
Forest plots: one row per relative difference, with its interval, and the equivalence margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from analysis.drawing.canvas import (
    BAND,
    BLUE,
    GREEN,
    INK,
    MUTED,
    PAPER,
    TITLE_IN,
    VERMILION,
    legend,
    ratio_ticks,
    signed_percent,
)
from analysis.drawing.rows import ROW_IN, Row, row_panel, whisker
from analysis.formatting import short_verdict, time_difference
from analysis.statistics.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.statistics.intervals import Interval
    from analysis.topics.comparisons.findings import JudgedComparison

LEGEND_IN = 0.4

FARTHEST = math.log(20)
"""
The log-ratio beyond which the axis does not follow an interval.

Intervals from two blocks can be much wider, and would compress all other rows.
"""

MARKS = {
    Kind.SLOWER: ("s", VERMILION, VERMILION),
    Kind.FASTER: ("o", BLUE, BLUE),
    Kind.EQUIVALENT: ("D", GREEN, GREEN),
    Kind.CANNOT_TELL: ("o", INK, PAPER),
}
"""Marker, outline and fill of each verdict."""


@dataclass(frozen=True)
class Entry:
    """
    One row: its text, its relative difference (None if unknown) and the verdict.
    """

    row: Row
    relative: Interval | None
    kind: Kind


def verdict_word(comparison: JudgedComparison) -> str:
    """
    The short verdict, or why there is none.
    """
    if comparison.difference is None:
        return "no block has both"
    return short_verdict(comparison.verdict)


def numbers_of(comparison: JudgedComparison) -> str:
    """
    The relative difference with its interval.
    """
    return time_difference(comparison.difference) if comparison.difference else "–"


def numbers_and_verdict(comparison: JudgedComparison) -> str:
    """
    Difference and verdict on one line; *not comparable* stands once, without numbers.
    """
    words = dict.fromkeys((numbers_of(comparison), verdict_word(comparison)))
    return ", ".join(words)


def forest(
    canvas: Canvas,
    entries: Sequence[Entry],
    margin: float,
    *,
    left_in: float,
    right_in: float,
    row_in: float = ROW_IN,
) -> None:
    """
    Draw one row per entry below the title and the legend, on a log-ratio scale.

    On this scale, intervals are symmetric: twice and half the time are equally far from zero.
    """
    axes = row_panel(
        canvas,
        [entry.row for entry in entries],
        top_in=TITLE_IN + LEGEND_IN,
        left_in=left_in,
        right_in=right_in,
        row_in=row_in,
    )
    bounds = (math.log1p(-margin), math.log1p(margin))
    axes.axvspan(*bounds, color=BAND, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=1.0, zorder=1)
    logs = [entry.relative.map(math.log1p) if entry.relative else None for entry in entries]
    for y, (entry, log) in enumerate(zip(entries, logs, strict=True)):
        if log is None:
            continue
        whisker(axes, y, log)
        marker, edge, face = MARKS[entry.kind]
        axes.plot([log.estimate], [y], marker, mec=edge, mfc=face, mew=1.4, ms=7, zorder=4)
    _scale(axes, [log for log in logs if log], bounds)
    axes.set_xlabel("time per request relative to the baseline (scale of ratios)")
    _legend(canvas, margin)


def _scale(axes: Axes, logs: Sequence[Interval], bounds: tuple[float, float]) -> None:
    ends = [*bounds, *(log.estimate for log in logs)]
    limits = [end for log in logs for end in (log.low, log.high) if end is not None]
    ends += [min(max(end, -FARTHEST), FARTHEST) for end in limits]
    room = 0.05 * (max(ends) - min(ends))
    low, high = min(ends) - room, max(ends) + room
    ticks = ratio_ticks(low, high)
    axes.set_xlim(low, high)
    axes.set_xticks([math.log1p(tick) for tick in ticks], [signed_percent(tick) for tick in ticks])


def _legend(canvas: Canvas, margin: float) -> None:
    samples = {
        kind.word: Line2D([], [], ls="", marker=marker, mec=edge, mfc=face, mew=1.4, ms=7)
        for kind, (marker, edge, face) in MARKS.items()
    }
    samples[f"equivalence margin ±{margin * 100:g} %"] = Line2D([], [], color=BAND, linewidth=9)
    legend(canvas, samples, columns=5, length=1.0)
