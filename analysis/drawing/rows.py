"""
Figures that are a table with a picture in it: one row for each thing, names left and numbers right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.drawing.canvas import (
    GRID,
    INK,
    MARGIN_IN,
    MUTED,
    SMALL_PT,
    STRIP,
    TEXT_PT,
    WIDTH_IN,
    panel,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.drawing.canvas import Look
    from analysis.statistics.intervals import Interval

ROW_IN = 0.38
"""The height of a row of two lines of text."""

LINE_IN = 0.28
"""And of a row of one line."""

GAP_PT = 8.0

CAP_PT = 2.5
"""Half of what the ends of an interval measure; one that is narrower than its marker is hidden."""

POINTS_PER_INCH = 72
LINE_HEIGHT = 1.2
LETTER = 0.55
"""How wide a letter is on average, of its size."""


@dataclass(frozen=True)
class Row:
    """
    The words of a row: at its left a name, with what it is about below; at its right the same.

    A heading has its name in bold, on a strip across the whole figure, and nothing else.
    """

    name: str
    about: str = ""
    words: str = ""
    more: str = ""
    heading: bool = False


def row_panel(
    canvas: Canvas,
    rows: Sequence[Row],
    *,
    top_in: float,
    left_in: float,
    right_in: float,
    row_in: float = ROW_IN,
) -> Axes:
    """
    Axes with one row for each, the first at y = 0 and the next below at 1, and their words beside.

    ``left_in`` and ``right_in`` are what the words have.
    """
    axes = panel(
        canvas,
        left_in=left_in,
        top_in=top_in,
        width_in=WIDTH_IN - left_in - right_in,
        height_in=row_in * len(rows),
    )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    offset_pt = (MARGIN_IN - left_in) * POINTS_PER_INCH
    width_in = WIDTH_IN - left_in - right_in
    edges = ((MARGIN_IN - left_in) / width_in, 1 + (right_in - MARGIN_IN) / width_in)
    across: Look = {"transform": axes.get_yaxis_transform(), "clip_on": False}
    for y, row in enumerate(rows):
        if row.heading:
            axes.fill_between(edges, y - 0.4, y + 0.4, color=STRIP, linewidth=0, zorder=2, **across)
        elif y and not rows[y - 1].heading:
            axes.plot(edges, [y - 0.5] * 2, color=GRID, linewidth=0.5, zorder=0, **across)
        weight = "bold" if row.heading else "normal"
        name = row.name if row.heading else _cut(row.name, left_in, TEXT_PT)
        about = _cut(row.about, left_in, SMALL_PT)
        _words(axes, (0, y), offset_pt, (name, about), weight)
        _words(axes, (1, y), GAP_PT, (row.words, row.more))
    return axes


def _cut(text: str, room_in: float, size_pt: float) -> str:
    """
    As much of a text as there is room for, by its number of letters.
    """
    most = int((room_in - MARGIN_IN) * POINTS_PER_INCH / (size_pt * LETTER))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _words(
    axes: Axes,
    at: tuple[float, float],
    offset_pt: float,
    words: tuple[str, str],
    weight: str = "normal",
) -> None:
    """
    One line beside an edge of the axes, or one above the row's middle and what is less below it.
    """
    first, second = words
    # Two lines or more are as high above the middle as they reach below it.
    up_pt = 1.0 + second.count("\n") * SMALL_PT * LINE_HEIGHT / 2
    place: Look = {
        "xy": at,
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    above: Look = {"xytext": (offset_pt, up_pt), "va": "bottom"}
    middle: Look = {"xytext": (offset_pt, 0.0), "va": "center_baseline"}
    axes.annotate(first, **place, **(above if second else middle), fontweight=weight)
    if second:
        below: Look = {"xytext": (offset_pt, up_pt - 1.5), "va": "top"}
        axes.annotate(
            second,
            **place,
            **below,
            fontsize=SMALL_PT,
            color=MUTED,
            linespacing=LINE_HEIGHT,
        )


def whisker(
    axes: Axes,
    y: float,
    interval: Interval,
    *,
    shift: float = 0.0,
    colour: str = INK,
) -> None:
    """
    An interval as a thin line with ends, shifted along x; none where it has no finite limits.
    """
    if interval.low is None or interval.high is None or math.isinf(interval.high):
        return
    axes.errorbar(
        [shift + interval.estimate],
        [y],
        xerr=[[interval.estimate - interval.low], [interval.high - interval.estimate]],
        fmt="none",
        ecolor=colour,
        elinewidth=1.2,
        capsize=CAP_PT,
        capthick=1.2,
        zorder=3,
    )
