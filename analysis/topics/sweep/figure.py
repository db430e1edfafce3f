"""
The curve of a sweep: relative cost against time per request and against calls, with this run on it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from analysis.drawing.canvas import (
    AXIS_IN,
    BLUE,
    MARGIN_IN,
    MUTED,
    TITLE_IN,
    WIDTH_IN,
    even_ticks,
    legend,
    log_ticks,
    panel,
    rendered,
    signed_percent,
)
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.drawing.series import LEGEND_IN, STROKES, Stroke
from analysis.formatting import percent, sentence
from analysis.topics.sweep.findings import BRANCHES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.findings import Findings
    from analysis.statistics.intervals import Interval
    from analysis.topics.sweep.findings import Curve, Measured, Point

TITLE = "What Docker costs, by how heavy a request is"
CAPTION = (
    "Relative difference in time per request between Docker and raw namespaces, with 95 % "
    "intervals. Left: against the time per request in raw namespaces, on a logarithmic scale. "
    "Right: against the calls between services for each request."
)
THIS_RUN = "this run"
OTHER_RUN = " The curve is that of run {run}; the diamond is the matched pair of this run."

HEADERS = [
    *("baseline", "treatment", "burn_us", "calls", "blocks"),
    *("baseline_us", "baseline_low_us", "baseline_high_us"),
    *("cost_us", "cost_low_us", "cost_high_us", "relative", "low", "high"),
]

LEFT_IN, GAP_IN, PANEL_IN = 0.85, 0.95, 3.0
WIDTHS_IN = tuple(share * (WIDTH_IN - LEFT_IN - GAP_IN - MARGIN_IN) for share in (0.62, 0.38))

FARTHEST = 1.0
"""The relative cost beyond which the axis does not follow an interval, as of few blocks."""

STEPS = 20
"""Pieces of the line between two points."""

LOOKS = dict(zip(BRANCHES, STROKES, strict=False))
HERE = Stroke(BLUE, (), "D", hollow=True)


def sweep(findings: Findings) -> Figure | None:
    """
    The run's own curve, or another run's with this run on it; None without either.
    """
    placed = findings.placed
    curve = placed.curve if placed else findings.sweep
    if curve is None:
        return None
    here = placed.measured if placed else None
    branches = {factor: points for factor in BRANCHES if (points := curve.branch(factor))}
    shown = [*(point.measured for point in curve.points), *([here] if here else [])]
    alternative = _alternative(branches, here)

    def paint(canvas: Canvas) -> None:
        top_in = TITLE_IN + LEGEND_IN
        first_in, second_in = WIDTHS_IN
        by_time = panel(
            canvas, left_in=LEFT_IN, top_in=top_in, width_in=first_in, height_in=PANEL_IN
        )
        by_calls = panel(
            canvas,
            left_in=LEFT_IN + first_in + GAP_IN,
            top_in=top_in,
            width_in=second_in,
            height_in=PANEL_IN,
        )
        for factor, points in branches.items():
            look = LOOKS[factor]
            relative = [point.measured.relative for point in points]
            _points(by_time, [point.time_us / 1000 for point in points], relative, look)
            by_time.plot(*_line(curve, factor), **look.line() | {"marker": ""})
            if factor == "calls":
                calls = [point.calls for point in points]
                _points(by_calls, calls, relative, look)
                by_calls.plot(calls, [each.estimate for each in relative], **look.line())
        if here:
            _points(by_time, [here.baseline_us.estimate / 1000], [here.relative], HERE)
        _scale(by_time, by_calls, shown)
        by_calls.set_xticks(sorted({point.calls for point in curve.points}))
        looks = {sentence(BRANCHES[factor]): LOOKS[factor] for factor in branches}
        looks |= {sentence(THIS_RUN): HERE} if here else {}
        lines = {name: Line2D([], [], **look.line()) for name, look in looks.items()}
        legend(canvas, lines, columns=3, length=4.5)

    return Figure(
        name="sweep",
        title=TITLE,
        svg=rendered(
            TITLE_IN + LEGEND_IN + PANEL_IN + AXIS_IN + MARGIN_IN,
            TITLE,
            alternative,
            paint,
        ),
        csv=csv_text(
            HEADERS,
            [
                *(
                    [
                        *(each.baseline, each.treatment, each.burn_us, each.calls),
                        *_numbers(each.measured),
                    ]
                    for each in curve.points
                ),
                *([[THIS_RUN, "", None, None, *_numbers(here)]] if here else []),
            ],
        ),
        alternative=alternative,
        caption=CAPTION + (OTHER_RUN.format(run=curve.run) if placed else ""),
    )


def _numbers(measured: Measured) -> list[float | None]:
    return [
        measured.blocks,
        *limits_of(measured.baseline_us),
        *limits_of(measured.cost_us),
        *limits_of(measured.relative),
    ]


def _points(
    axes: Axes, places: Sequence[float], relative: Sequence[Interval], look: Stroke
) -> None:
    """
    The estimates with their intervals.
    """
    axes.plot(places, [each.estimate for each in relative], **look.line() | {"ls": ""})
    for place, each in zip(places, relative, strict=True):
        if each.low is not None and each.high is not None:
            axes.plot([place] * 2, [each.low, each.high], color=look.colour, linewidth=1.2)


def _line(curve: Curve, factor: str) -> tuple[list[float], list[float]]:
    """
    Times (ms) and relative costs along a branch, as the text reads it between two points.
    """
    points = curve.branch(factor)
    times_us = [
        lower.time_us * (upper.time_us / lower.time_us) ** (step / STEPS)
        for lower, upper in pairwise(points)
        for step in range(STEPS)
    ]
    found = [(us, curve.expected(factor, us).relative) for us in [*times_us, points[-1].time_us]]
    known = [(us / 1000, relative.estimate) for us, relative in found if relative]
    return [time_ms for time_ms, _ in known], [relative for _, relative in known]


def _scale(by_time: Axes, by_calls: Axes, shown: Sequence[Measured]) -> None:
    """
    The same relative costs in both panels, with no difference among them.
    """
    ends = [0.0]
    for each in shown:
        limits = (each.relative.low, each.relative.high)
        ends += [max(-FARTHEST, min(limit, FARTHEST)) for limit in limits if limit is not None]
        ends.append(each.relative.estimate)
    room = 0.05 * (max(ends) - min(ends))
    low, high = min(ends) - room, max(ends) + room
    for axes in (by_time, by_calls):
        axes.set_ylim(low, high)
        ticks = even_ticks(low, high)
        axes.set_yticks(ticks, [signed_percent(tick) for tick in ticks])
        axes.axhline(0, color=MUTED, linewidth=1.0, zorder=1)
        axes.set_ylabel("cost of Docker")
    times_ms = [each.baseline_us.estimate / 1000 for each in shown]
    first, last = min(times_ms) / 1.2, max(times_ms) * 1.2
    by_time.set_xscale("log")
    by_time.set_xlim(first, last)
    ticks = log_ticks(first, last)
    by_time.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    by_time.set_xticks([], minor=True)
    by_time.set_xlabel("time per request in raw namespaces (ms)")
    by_calls.set_xlabel("calls between services")


def _alternative(branches: dict[str, list[Point]], here: Measured | None) -> str:
    """
    The ends of each branch, and this run.
    """
    words = [
        f"By {BRANCHES[factor]}, Docker costs {_at(points[0].measured)}, and "
        f"{_at(points[-1].measured)}"
        for factor, points in branches.items()
    ]
    if here:
        words.append(f"This run: {_at(here)}")
    return ". ".join([*words, ""]).strip()


def _at(measured: Measured) -> str:
    return f"{percent(measured.relative)} at {measured.baseline_us.estimate / 1000:.3g} ms"
