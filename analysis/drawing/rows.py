"""
Figures with the layout of a table: one row per item, names at the left, numbers at the right.
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
"""Height of a row with two lines of text."""

LINE_IN = 0.28
"""Height of a row with one line of text."""

GAP_PT = 8.0

CAP_PT = 2.5
"""Half the height of a whisker's caps; below a marker's, which hides narrower intervals."""

POINTS_PER_INCH = 72
LINE_HEIGHT = 1.2
LETTER = 0.55
"""Average width of a letter as a share of the font size."""


@dataclass(frozen=True)
class Row:
    """
    The text of a row: ``name`` above ``about`` at the left, ``words`` above ``more`` at the right.

    A heading has only a name, in bold on a strip across the whole figure.
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
    Axes with the text of the rows beside them; row *n* is at y = *n*, counted from the top.

    ``left_in`` and ``right_in`` are the widths of the text columns.
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
    The text, cut to the room there is; estimated by its number of letters.
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
    Write beside an edge of the axes: one centred line, or two around the row's middle.
    """
    first, second = words
    # Centres the text if the lower part has several lines.
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
    Draw an interval as a line with caps, shifted along x; nothing without finite limits.
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
