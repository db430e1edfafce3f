"""
The look of all figures and their rendering: the same input gives the same bytes on every machine.

Figures have dark ink on an opaque light background, so text has a contrast of at least 7:1 on any
page. A transparent background would allow 4.6:1 at best: ink must then be readable on white and on
dark pages. Colour never carries meaning alone. A marker, dash, hatching or word repeats it, so
figures can be printed in grey. The palette follows Okabe and Ito, "Color Universal Design" (2008);
colours too light for a thin line are darkened.

Text stays text, so it can be searched and read aloud. Sizes and positions are in inches and never
depend on the width of a text, because readers have different fonts.
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
"""Keyword arguments of a matplotlib artist."""

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
"""Height of an axis's tick labels and label; ``TITLE_IN`` is the height of a figure's title."""

SMALL_PT = 8.0
TEXT_PT = 9.0
TITLE_PT = 11.0

STEPS = [digit * 10.0**power for power in range(6, -4, -1) for digit in (5, 2, 1)]
"""Tick steps of relative differences, the coarsest first."""

STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    # matplotlib ships this font's metrics, so they are the same everywhere.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": TEXT_PT,
    # A variant's name may contain two dollar signs.
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
    The SVG of a canvas with its title and what ``paint`` draws on it.

    The file contains the text alternative too. The user's matplotlib style is ignored.
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
        buffer = io.BytesIO()
        # A date or a version would make the bytes differ.
        metadata = {"Title": title, "Description": alternative, "Date": None, "Creator": None}
        canvas.savefig(buffer, format="svg", metadata=metadata)
    return buffer.getvalue().decode()


def panel(
    canvas: Canvas, *, left_in: float, top_in: float, width_in: float, height_in: float
) -> Axes:
    """
    Axes at a position in inches from the canvas's upper left corner.
    """
    canvas_in = canvas.get_figheight()
    return canvas.add_axes(
        (
            left_in / WIDTH_IN,
            1 - (top_in + height_in) / canvas_in,
            width_in / WIDTH_IN,
            height_in / canvas_in,
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
    Draw a legend, ``top_in`` inches below the canvas's upper edge.

    ``samples`` maps labels to artists; ``length`` is the length of a sample in font sizes.
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
    Round numbers at equal distances between two limits.
    """
    ticks = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def log_ticks(low: float, high: float) -> list[float]:
    """
    At least two round numbers between the limits of a logarithmic axis.
    """
    if high / low < 5:
        return even_ticks(low, high, 6)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    candidates = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in candidates if low <= tick <= high]
    if len(inside) <= 9:
        return inside
    return [tick for decade in decades if low <= (tick := 10.0**decade) <= high]


def ratio_ticks(low: float, high: float) -> list[float]:
    """
    Round relative differences between two log-ratios, far enough apart for their labels.

    The roundest are placed first; others fill the gaps.
    """
    least_gap = (high - low) / 8
    ticks = [0.0]
    for step in STEPS:
        # More than ten times a fine step is no longer a round number.
        for tick in (number * step for number in range(-10, 11) if number * step > -1):
            if all(abs(math.log1p(tick) - math.log1p(other)) >= least_gap for other in ticks):
                ticks.append(tick)
    return sorted(tick for tick in ticks if low <= math.log1p(tick) <= high)


def signed_percent(relative: float) -> str:
    """
    The tick label of a relative difference.
    """
    return "0" if abs(relative) < 1e-12 else f"{relative * 100:+.7g} %"
