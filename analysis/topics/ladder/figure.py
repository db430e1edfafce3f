"""
The ladder as a waterfall chart: each bar starts where the previous step ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Patch

from analysis.drawing.canvas import (
    AXIS_IN,
    BLUE,
    INK,
    MARGIN_IN,
    MUTED,
    PAPER,
    SKY,
    TITLE_IN,
    VERMILION,
    even_ticks,
    legend,
    rendered,
)
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.drawing.rows import ROW_IN, Row, row_panel, whisker
from analysis.formatting import count, microseconds, sentence
from analysis.statistics.verdicts import Kind
from analysis.topics.ladder.waterfall import Told, flights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.drawing.canvas import Look
    from analysis.findings import Findings
    from analysis.topics.ladder.waterfall import Bar, Flight

TITLE = "What each step of the ladder costs, in microseconds per request"
CAPTION = (
    "Each bar starts where the steps before it end, and is as long as its own step's cost. The "
    "line with ends is that cost's 95 % interval, paired within blocks. Filled bars go right for "
    "costs and left for savings. A hollow bar's interval holds zero. A hatched bar's interval "
    "excludes zero, but its p-value does not stand after Holm. Ladders that lead to a whole come "
    "first. All ladders share one scale, each from its own foot."
)

LEFT_IN, RIGHT_IN = 2.75, 2.7
LEGEND_IN = 0.62
BAR = 0.46
"""Height of a bar in rows."""

NAMED = 4
"""The most steps that the text alternative names, those with the largest effects."""

HEADERS = ("ladder", "foot", "step", "what_changes", "starts_at_us", "cost_us", "low_us", "high_us")
MORE_HEADERS = ("blocks", "differs_from_zero", "verdict")


def ladder(findings: Findings) -> Figure | None:
    """
    All ladders and wholes; None if no step was measured.
    """
    all_flights = flights(findings)
    bars = [bar for flight in all_flights for bar in flight.bars]
    if all(bar.cost_us is None for bar in bars):
        return None
    rows: list[tuple[Row, Bar | None]] = []
    for flight in all_flights:
        heading = f"{sentence(flight.name)} (foot: {flight.foot}, {flight.level})"
        rows.append((Row(heading, heading=True), None))
        rows += [(_row(bar), bar) for bar in flight.bars]
    alternative = _alternative(all_flights)

    def paint(canvas: Canvas) -> None:
        axes = row_panel(
            canvas,
            [row for row, _ in rows],
            top_in=TITLE_IN + LEGEND_IN,
            left_in=LEFT_IN,
            right_in=RIGHT_IN,
        )
        _scale(axes, bars)
        for y, (_, bar) in enumerate(rows):
            if bar is not None:
                _paint_bar(axes, y, bar, follows=rows[y - 1][1])
        _legend(canvas)

    height_in = TITLE_IN + LEGEND_IN + ROW_IN * len(rows) + AXIS_IN + MARGIN_IN
    return Figure(
        name="ladder",
        title=TITLE,
        svg=rendered(height_in, TITLE, alternative, paint),
        csv=csv_text(
            [*HEADERS, *MORE_HEADERS],
            [
                [
                    *(flight.name, flight.foot, bar.name, bar.about, bar.start_us),
                    *limits_of(bar.cost_us),
                    *(bar.blocks, bar.told.value, bar.verdict),
                ]
                for flight in all_flights
                for bar in flight.bars
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _row(bar: Bar) -> Row:
    if bar.cost_us is None:
        return Row(bar.name, bar.about, "–", bar.told.value)
    more = bar.told.value
    if bar.told is Told.APART:
        # A significant cost may still be within the equivalence margin.
        more = bar.verdict if bar.verdict.startswith(Kind.EQUIVALENT.value) else ""
    return Row(bar.name, bar.about, microseconds(bar.cost_us), more)


def _scale(axes: Axes, bars: Sequence[Bar]) -> None:
    ends = [0.0]
    for bar in bars:
        ends.append(bar.end_us)
        if bar.cost_us and bar.cost_us.low is not None and bar.cost_us.high is not None:
            ends += [bar.start_us + bar.cost_us.low, bar.start_us + bar.cost_us.high]
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low or 1.0)
    axes.set_xlim(low - room, high + room)
    axes.set_xticks(even_ticks(low - room, high + room, 6))
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.axvline(0, color=MUTED, linewidth=1.0, zorder=1)
    axes.set_xlabel("µs per request above the foot of each ladder")


def _paint_bar(axes: Axes, y: float, bar: Bar, follows: Bar | None) -> None:
    if follows is not None:
        # A dotted line joins the end of the step above to the start of this one.
        axes.plot(
            [bar.start_us] * 2, [y - 1 + BAR / 2, y - BAR / 2], color=MUTED, linewidth=0.8, ls=":"
        )
    if bar.cost_us is None:
        return
    width = bar.cost_us.estimate
    axes.barh([y], [width], left=[bar.start_us], height=BAR, zorder=2, **_look(bar.told, width))
    whisker(axes, y, bar.cost_us, shift=bar.start_us)


def _look(told: Told, width: float) -> Look:
    """
    Filled, hatched, or hollow with a dashed outline.
    """
    if told is Told.APART:
        # Dark against light, for readers who do not see colours.
        return {"facecolor": VERMILION if width > 0 else SKY, "edgecolor": INK, "linewidth": 0.8}
    colour = VERMILION if width > 0 else BLUE
    if told is Told.UNCORRECTED:
        return {"facecolor": PAPER, "edgecolor": colour, "linewidth": 1.2, "hatch": "////"}
    return {"facecolor": PAPER, "edgecolor": colour, "linewidth": 1.2, "linestyle": (0, (3, 2))}


def _legend(canvas: Canvas) -> None:
    samples = {
        "costs": _look(Told.APART, 1),
        "saves": _look(Told.APART, -1),
        "excludes zero, but not after Holm": _look(Told.UNCORRECTED, 1),
        str(Told.HOLDS_ZERO.value): _look(Told.HOLDS_ZERO, 1),
    }
    legend(canvas, {name: Patch(**look) for name, look in samples.items()}, columns=4, length=2.0)


def _alternative(all_flights: Sequence[Flight]) -> str:
    bars = [bar for flight in all_flights for bar in flight.bars if bar.verdict]
    apart = [bar for bar in bars if bar.told is Told.APART]
    words = f"Of {count(len(bars), 'step')} of {count(_ladders(all_flights), 'ladder')}, "
    if apart:
        named = sorted(apart, key=_size_us, reverse=True)[:NAMED]
        costs = "; ".join(f"{bar.name} {microseconds(bar.cost_us)}" for bar in named if bar.cost_us)
        most = "" if len(named) == len(apart) else ", most of all"
        verb = "differs" if len(apart) == 1 else "differ"
        words += f"{len(apart)} {verb} significantly from zero{most}: {costs}."
    else:
        words += "none differs significantly from zero."
    for flight in all_flights:
        if not flight.bars[0].verdict:
            whole, _, rest = (bar.cost_us for bar in flight.bars)
            if whole and rest:
                words += (
                    f" {sentence(flight.name)}, the whole is {microseconds(whole)}, of which "
                    f"the steps leave {microseconds(rest)} unexplained."
                )
    return words


def _ladders(all_flights: Sequence[Flight]) -> int:
    return sum(bool(flight.bars[0].verdict) for flight in all_flights)


def _size_us(bar: Bar) -> float:
    return abs(bar.cost_us.estimate) if bar.cost_us else 0.0
