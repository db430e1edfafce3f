"""
Resource limits as curves: time per request against the limit on CPUs or memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.drawing.canvas import (
    AXIS_IN,
    MARGIN_IN,
    SMALL_PT,
    TITLE_IN,
    WIDTH_IN,
    log_ticks,
    panel,
    rendered,
)
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.drawing.series import LEGEND_IN, STROKES, names_of_lines, strokes
from analysis.formatting import plus_minus
from analysis.topics.limits.findings import LIMITS, UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.drawing.canvas import Look
    from analysis.drawing.series import Stroke
    from analysis.findings import Findings
    from analysis.statistics.intervals import Interval
    from analysis.topics.limits.findings import LimitDose

TITLE = "Limits as a dose: time per request under each"
CAPTION = (
    "Time per request against the limit of each service, on a logarithmic scale: means over trials "
    "with their 95 % intervals. The right end is the same variant without a limit. Variants with "
    "both limits are in the table only. A dose whose share of good answers differs from the "
    "unlimited variant's has no point: errors are quick."
)
LABELS = {"cpus": "CPUs for each service", "memory": "memory for each service (m is MiB, g is GiB)"}

LEFT_IN, GAP_IN, PANEL_IN = 0.85, 0.85, 3.0
SUBTITLE_IN = 0.25
DODGE = 0.06
"""Distance between variants at one dose, as a share of the distance between doses."""

UNITS = {"m": 2**20, "g": 2**30}


@dataclass(frozen=True)
class Point:
    """
    One variant at one dose: microseconds per request over ``trials`` trials.

    ``comparable`` says whether its share of good answers equals that without the limit.
    """

    limit: str
    base: str
    dose: str
    variant: str
    cost_us: Interval
    trials: int
    comparable: bool


def limits(findings: Findings) -> Figure | None:
    """
    One panel for each kind of limit; None if no limited variant was measured.
    """
    points = _points(findings.doses)
    panels = [limit for limit in LIMITS if any(point.limit == limit for point in points)]
    if not panels:
        return None
    looks = strokes(list(dict.fromkeys(point.base for point in points)))
    alternative = _alternative(points)

    def paint(canvas: Canvas) -> None:
        width_in = (WIDTH_IN - LEFT_IN - MARGIN_IN - GAP_IN * (len(panels) - 1)) / len(panels)
        for number, limit in enumerate(panels):
            axes = panel(
                canvas,
                left_in=LEFT_IN + number * (width_in + GAP_IN),
                top_in=TITLE_IN + LEGEND_IN + SUBTITLE_IN,
                width_in=width_in,
                height_in=PANEL_IN,
            )
            _paint(axes, limit, [point for point in points if point.limit == limit], looks)
        names_of_lines(canvas, looks)

    height_in = TITLE_IN + LEGEND_IN + SUBTITLE_IN + PANEL_IN + AXIS_IN + MARGIN_IN
    return Figure(
        name="limits",
        title=TITLE,
        svg=rendered(height_in, TITLE, alternative, paint),
        csv=csv_text(
            [
                *("limit", "dose", "unlimited_variant", "variant"),
                *("us_per_request", "low_us", "high_us", "trials", "comparable"),
            ],
            [
                [
                    *(point.limit, point.dose, point.base, point.variant),
                    *limits_of(point.cost_us),
                    *(point.trials, "yes" if point.comparable else "no"),
                ]
                for point in points
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _points(doses: Sequence[LimitDose]) -> list[Point]:
    """
    The points by limit, unlimited variant and rising dose; curves need at least one real dose.
    """
    bases = list(dict.fromkeys(dose.base for dose in doses))
    curves = []
    for limit in LIMITS:
        others = [name for name in LIMITS if name != limit]
        for base in bases[: len(STROKES)]:
            points = [
                Point(
                    *(limit, base, dose.limits[limit], dose.variant),
                    *(dose.us_per_request, dose.trials),
                    comparable=dose.is_comparable,
                )
                for dose in doses
                if dose.base == base
                and dose.us_per_request is not None
                and all(dose.limits[other] == UNLIMITED for other in others)
                and (dose.variant == base or dose.limits[limit] != UNLIMITED)
            ]
            if any(point.dose != UNLIMITED for point in points):
                curves += sorted(points, key=lambda point: size_of(point.dose))
    return curves


def size_of(dose: str) -> float:
    """
    A dose as a number, for sorting.
    """
    if dose == UNLIMITED:
        return float("inf")
    return float(dose.rstrip("mg")) * UNITS.get(dose[-1], 1)


def _paint(axes: Axes, limit: str, points: Sequence[Point], looks: Mapping[str, Stroke]) -> None:
    doses = sorted({point.dose for point in points}, key=size_of)
    ends = []
    for number, (base, look) in enumerate(looks.items()):
        shift = DODGE * (number - (len(looks) - 1) / 2)
        for point in points:
            if point.base == base and not point.comparable:
                where = (doses.index(point.dose) + shift, 0.03)
                at: Look = {"xycoords": axes.get_xaxis_transform(), "rotation": 90, "ha": "center"}
                axes.annotate("not comparable", where, **at, color=look.colour, fontsize=SMALL_PT)
        shown = [point for point in points if point.base == base and point.comparable]
        places = [doses.index(point.dose) + shift for point in shown]
        axes.plot(places, [point.cost_us.estimate for point in shown], **look.line())
        for place, point in zip(places, shown, strict=True):
            cost_us = point.cost_us
            low_us, high_us = cost_us.low, cost_us.high
            ends.append(cost_us.estimate)
            if low_us is not None and high_us is not None:
                # A logarithmic axis cannot show a limit of zero or below.
                low_us = max(low_us, cost_us.estimate / 10)
                axes.plot([place] * 2, [low_us, high_us], color=look.colour, linewidth=1.2)
                ends += [low_us, high_us]
    low_us, high_us = min(ends) / 1.08, max(ends) * 1.08
    axes.set_yscale("log")
    axes.set_ylim(low_us, high_us)
    ticks = log_ticks(low_us, high_us)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_xlim(-0.5, len(doses) - 0.5)
    axes.set_xticks(range(len(doses)), doses)
    axes.set_xlabel(LABELS[limit])
    axes.set_title("µs per request", fontsize=SMALL_PT, fontweight="normal")


def _alternative(points: Sequence[Point]) -> str:
    """
    For each limit and variant: its time at the smallest dose and without a limit.
    """
    words = []
    for limit, base in dict.fromkeys((point.limit, point.base) for point in points):
        curve = [point for point in points if (point.limit, point.base) == (limit, base)]
        words += [
            f"{base} at {limit} {point.dose} is not comparable"
            for point in curve
            if not point.comparable
        ]
        curve = [point for point in curve if point.comparable]
        if not curve or curve[0].dose == UNLIMITED:
            continue
        smallest = curve[0]
        words.append(
            f"{base} takes {plus_minus(smallest.cost_us)} µs per request at {limit} "
            f"{smallest.dose}"
            + (
                f" and {plus_minus(curve[-1].cost_us)} µs without a limit"
                if curve[-1].dose == UNLIMITED
                else ""
            )
        )
    return f"{'; '.join(words)}."
