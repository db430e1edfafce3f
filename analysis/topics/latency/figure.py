"""
Latency: the share of requests slower than each latency, and quantiles with intervals.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from analysis.drawing.canvas import (
    AXIS_IN,
    BLUE,
    GREEN,
    INK,
    MARGIN_IN,
    PAPER,
    TITLE_IN,
    VERMILION,
    WIDTH_IN,
    legend,
    log_ticks,
    panel,
    rendered,
)
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.drawing.rows import LINE_IN, Row, row_panel, whisker
from analysis.drawing.series import LEGEND_IN, main_variants, names_of_lines, strokes
from analysis.formatting import count
from analysis.topics.latency.findings import LEAST_BEYOND, QUANTILES
from analysis.topics.latency.waits import by_closed_loop, by_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.findings import Findings
    from analysis.statistics.intervals import Interval
    from analysis.topics.latency.waits import Waits

OPEN_TITLE = "Latency by schedule, at the same rate for all"
CLOSED_TITLE = "Latency in the closed loop"
OPEN_CAPTION = (
    "Latency from the scheduled start, at the common rate. Above: the share of requests that took "
    f"longer than each latency. A curve ends where {LEAST_BEYOND} requests are left; failed "
    "requests count as slower than all others. Below: quantiles over trials with their 95 % "
    "intervals, where there are enough requests."
)
CLOSED_CAPTION = (
    "Latency of all requests of a trial's loads, as means over trials. Above: the share of "
    f"requests that took longer, as far as {LEAST_BEYOND} requests of a trial did. Below: "
    "quantiles with their 95 % intervals. In a closed loop a stalled stack receives no requests, "
    "so the tail is too short."
)

MARKS = {
    "p50": ("o", INK, INK),
    "p90": ("s", BLUE, PAPER),
    "p99": ("^", VERMILION, VERMILION),
    "p99.9": ("D", GREEN, PAPER),
}

LEFT_IN, RIGHT_IN, NAMES_IN = 0.95, 0.25, 2.1
CURVES_IN, GAP_IN, MARKS_IN = 3.0, 0.2, 0.35
DODGE = 0.16
"""Distance between the quantiles of a row, in rows, if their intervals overlap."""


def latency(findings: Findings) -> Figure | None:
    """
    Open loop if the run has its logs, else closed loop; None without loads.
    """
    manifest, measured = findings.manifest, findings.latencies
    all_waits = by_schedule(measured) if measured else []
    if any(waits.quantiles_us for waits in all_waits):
        rate = f"{manifest.common_rate_per_s or 0:g} requests per second"
        title, caption = f"{OPEN_TITLE} ({rate})", OPEN_CAPTION
    else:
        all_waits = by_closed_loop([each.name for each in manifest.variants], findings.trials)
        title, caption = CLOSED_TITLE, CLOSED_CAPTION
    if not all_waits:
        return None
    alternative = _alternative(all_waits)
    looks = strokes([name for name in main_variants(manifest) if _curve_of(name, all_waits)])
    curves_in = LEGEND_IN + CURVES_IN + AXIS_IN + GAP_IN if looks else 0.0

    def paint(canvas: Canvas) -> None:
        if looks:
            axes = panel(
                canvas,
                left_in=LEFT_IN,
                top_in=TITLE_IN + LEGEND_IN,
                width_in=WIDTH_IN - LEFT_IN - RIGHT_IN,
                height_in=CURVES_IN,
            )
            for name, look in looks.items():
                curve = _curve_of(name, all_waits)
                xs, ys = [us / 1e3 for _, us in curve], [share for share, _ in curve]
                axes.plot(xs, ys, **look.line(), markevery=0.12)
            _curve_axes(axes)
            names_of_lines(canvas, looks)
        _paint_quantiles(canvas, all_waits, top_in=TITLE_IN + curves_in)

    height_in = TITLE_IN + curves_in + MARKS_IN + LINE_IN * len(all_waits) + AXIS_IN + MARGIN_IN
    return Figure(
        name="latency",
        title=title,
        svg=rendered(height_in, title, alternative, paint),
        csv=_csv(all_waits),
        alternative=alternative,
        caption=caption,
    )


def _curve_of(name: str, all_waits: Sequence[Waits]) -> list[tuple[float, float]]:
    return next((waits.curve_us for waits in all_waits if waits.variant == name), [])


def _curve_axes(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    _milliseconds(axes, *axes.get_xlim())
    low, _ = axes.get_ylim()
    axes.set_ylim(low, 1.0)
    ticks = log_ticks(low, 1.0)
    axes.set_yticks(ticks, [f"{tick * 100:g} %" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylabel("share of requests slower than that")
    axes.set_xlabel("latency (ms)")


def _milliseconds(axes: Axes, low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _paint_quantiles(canvas: Canvas, all_waits: Sequence[Waits], *, top_in: float) -> None:
    axes = row_panel(
        canvas,
        [_row(waits) for waits in all_waits],
        top_in=top_in + MARKS_IN,
        left_in=NAMES_IN,
        right_in=RIGHT_IN,
        row_in=LINE_IN,
    )
    axes.set_xscale("log")
    ends = []
    for y, waits in enumerate(all_waits):
        dodge = DODGE if _overlap(list(waits.quantiles_us.values())) else 0.0
        for number, (name, latency_us) in enumerate(waits.quantiles_us.items()):
            if math.isinf(latency_us.estimate):
                continue
            latency_ms = latency_us.map(lambda value_us: value_us / 1e3)
            at = y + dodge * (number - (len(waits.quantiles_us) - 1) / 2)
            marker, edge, face = MARKS[name]
            axes.plot([latency_ms.estimate], [at], marker, mec=edge, mfc=face, mew=1.3, zorder=4)
            whisker(axes, at, latency_ms, colour=edge)
            limits_ms = (latency_ms.estimate, latency_ms.low, latency_ms.high)
            ends += [end for end in limits_ms if end is not None and 0 < end < math.inf]
    axes.set_xlabel("latency (ms)")
    if ends:
        _milliseconds(axes, min(ends) / 1.1, max(ends) * 1.1)
    shown = [name for name in MARKS if any(name in waits.quantiles_us for waits in all_waits)]
    samples = {
        f"{name} ({_slower(name) * 100:g} % are slower)": Line2D(
            [], [], ls="", marker=MARKS[name][0], mec=MARKS[name][1], mfc=MARKS[name][2]
        )
        for name in shown
    }
    legend(canvas, samples, columns=4, length=1.0, top_in=top_in)


def _overlap(quantiles_us: Sequence[Interval]) -> bool:
    """
    Whether the intervals of neighbouring quantiles overlap.
    """
    return any(
        one.high is not None and other.low is not None and one.high > other.low
        for one, other in pairwise(quantiles_us)
    )


def _row(waits: Waits) -> Row:
    return Row(f"{waits.variant}: overloaded" if waits.overloaded else waits.variant)


def _slower(name: str) -> float:
    return (1000 - QUANTILES[name]) / 1000


def _csv(all_waits: Sequence[Waits]) -> str:
    rows: list[list[str | float | None]] = []
    for waits in all_waits:
        rows += [
            [waits.variant, name, _slower(name), *limits_of(latency_us, 1e-3), waits.trials]
            for name, latency_us in waits.quantiles_us.items()
        ]
        rows += [
            [waits.variant, "curve", share, latency_us / 1e3, None, None, waits.trials]
            for share, latency_us in waits.curve_us
        ]
    headers = ["variant", "what", "share_slower", "latency_ms", "low_ms", "high_ms", "trials"]
    return csv_text(headers, rows)


def _alternative(all_waits: Sequence[Waits]) -> str:
    """
    The fastest and slowest variant at the lowest and highest quantile that all variants have.
    """
    measured = [waits for waits in all_waits if not waits.overloaded]
    shared = [name for name in MARKS if all(name in waits.quantiles_us for waits in measured)]
    words = [_extremes(measured, name) for name in dict.fromkeys([*shared[:1], *shared[-1:]])]
    overloaded = [waits.variant for waits in all_waits if waits.overloaded]
    if overloaded:
        words.append(f"overloaded: {', '.join(overloaded)}")
    return f"Latency over {count(len(all_waits), 'variant')}: {'; '.join(words)}."


def _extremes(measured: Sequence[Waits], name: str) -> str:
    def latency_us(waits: Waits) -> float:
        return waits.quantiles_us[name].estimate

    least, most = min(measured, key=latency_us), max(measured, key=latency_us)
    return (
        f"{name} from {latency_us(least) / 1e3:.4g} ms ({least.variant}) to "
        f"{latency_us(most) / 1e3:.4g} ms ({most.variant})"
    )
