"""
How all figures look, and their rendering: the same input gives the same bytes, on every machine.

Each figure has a light ground of its own and dark ink. On a transparent ground ink would have to
be of a middle tone to be seen on white pages and on dark ones, with a contrast of 4.6 to 1 at the
best, and there would be none left for what is less important; with a ground of its own all text
has 7 to 1 or more wherever the figure is put. Nothing is told by colour alone: there is a marker, a
dash, a hatching or a word for it too, so the figures can be printed in grey. The colours are after
Okabe and Ito, "Color Universal Design" (2008), darkened where they were too light for a thin line.

Text is kept as text, which can be searched and read aloud. Sizes and places are given in inches and
depend on no text's width, because a reader may have other fonts.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from matplotlib import style
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Look = dict[str, Any]
"""How something is drawn: keywords of which each has a type of its own."""

PAPER = "#ffffff"
INK = "#1a1a1a"
MUTED = "#555555"
GRID = "#d4d4d4"
BAND = "#e3e3e3"
STRIP = "#f3f3f3"

BLUE = "#0072b2"
VERMILION = "#c24e00"
GREEN = "#00795a"
PURPLE = "#96508a"
OCHRE = "#8a6100"
SKY = "#8fcdf0"
ORANGE = "#f0b95c"
ROSE = "#e8a598"
YELLOW = "#f7ef9a"

WIDTH_IN = 9.6
MARGIN_IN = 0.2
TITLE_IN = 0.5
AXIS_IN = 0.4
"""What the title takes at the top, and the numbers and the name of an axis below it."""

SMALL_PT = 8.0
TEXT_PT = 9.0
TITLE_PT = 11.0

STEPS = [digit * 10.0**power for power in range(6, -4, -1) for digit in (5, 2, 1)]
"""Of relative differences, the coarsest first."""

STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    # Its metrics come with the package, so they are the same everywhere.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": TEXT_PT,
    # A name with two dollar signs is no formula.
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": SMALL_PT,
    "axes.titlesize": TEXT_PT,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "legend.frameon": False,
    "hatch.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "bridgetoll",
}


def rendered(
    height_in: float, title: str, alternative: str, paint: Callable[[Canvas], None]
) -> str:
    """
    The SVG of what is painted on a canvas of this height, below its title.

    The alternative is put into the file too. Whatever style a user has set counts for nothing.
    """
    with style.context(STYLE, after_reset=True):
        canvas = Canvas(figsize=(WIDTH_IN, height_in), facecolor=PAPER, edgecolor=GRID, linewidth=2)
        canvas.text(
            MARGIN_IN / WIDTH_IN,
            1 - MARGIN_IN / height_in,
            title,
            fontsize=TITLE_PT,
            fontweight="bold",
            va="top",
        )
        paint(canvas)
        drawn = io.BytesIO()
        # Neither the day nor a version belongs into bytes that are to be the same.
        metadata = {"Title": title, "Description": alternative, "Date": None, "Creator": None}
        canvas.savefig(drawn, format="svg", metadata=metadata)
    return drawn.getvalue().decode()


def panel(
    canvas: Canvas, *, left_in: float, top_in: float, width_in: float, height_in: float
) -> Axes:
    """
    Axes at a place that is given in inches from the canvas's upper left corner.
    """
    whole_in = canvas.get_figheight()
    return canvas.add_axes(
        (
            left_in / WIDTH_IN,
            1 - (top_in + height_in) / whole_in,
            width_in / WIDTH_IN,
            height_in / whole_in,
        )
    )


def legend(
    canvas: Canvas,
    samples: Mapping[str, Artist],
    *,
    columns: int,
    length: float,
    top_in: float = TITLE_IN,
) -> None:
    """
    What each look means, by its name, so far below the canvas's upper edge.

    ``length`` is a sample's, in heights of a letter.
    """
    canvas.legend(
        list(samples.values()),
        list(samples),
        loc="upper left",
        bbox_to_anchor=(MARGIN_IN / WIDTH_IN, 1 - top_in / canvas.get_figheight()),
        ncols=columns,
        borderpad=0.0,
        borderaxespad=0.0,
        handlelength=length,
        columnspacing=2.0,
    )


def even_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """
    Round numbers at equal distances between two.
    """
    ticks = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def log_ticks(low: float, high: float) -> list[float]:
    """
    Round numbers between two of a logarithmic axis, at least two of them.
    """
    if high / low < 5:
        return even_ticks(low, high, 6)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in every if low <= tick <= high]
    if len(inside) <= 9:
        return inside
    return [tick for decade in decades if low <= (tick := 10.0**decade) <= high]


def ratio_ticks(low: float, high: float) -> list[float]:
    """
    Round relative differences between two logarithms of ratios, far enough apart for their labels.

    The rounder ones come first, and others go where there is room between them.
    """
    least_gap = (high - low) / 8
    ticks = [0.0]
    for step in STEPS:
        # Of the finer ones only those near zero are round.
        for tick in (number * step for number in range(-10, 11) if number * step > -1):
            if all(abs(math.log1p(tick) - math.log1p(other)) >= least_gap for other in ticks):
                ticks.append(tick)
    return sorted(tick for tick in ticks if low <= math.log1p(tick) <= high)


def signed_percent(relative: float) -> str:
    """
    A relative difference as a tick's label.
    """
    return "0" if abs(relative) < 1e-12 else f"{relative * 100:+.7g} %"
