"""
All loads in order of time, block by block, which shows drift that the variants share.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from analysis.drawing.canvas import (
    AXIS_IN,
    MARGIN_IN,
    TITLE_IN,
    WIDTH_IN,
    even_ticks,
    panel,
    rendered,
)
from analysis.drawing.figure import Figure, csv_text
from analysis.drawing.series import LEGEND_IN, main_variants, names_of_lines, strokes
from analysis.statistics.estimates import METRICS, trials_by_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.drawing.series import Stroke
    from analysis.findings import Findings
    from experiments.records.trials import TrialRecord

TITLE = "Load by load: the machine's drift is shared"
CAPTION = (
    "Each point is one load, in order of time; the loads of one trial are joined. What moves all "
    "lines together is the machine, and cancels in differences, which are paired within rounds. "
    "The spread within a trial is noise, which more rounds reduce. The spread of a variant's "
    "trials relative to the other lines is between deployments, which more blocks reduce."
)

LEFT_IN, PANEL_IN, SUBTITLE_IN = 0.85, 3.0, 0.25
ROOM = 0.8
"""The share of a block's width that its rounds take."""

Place = tuple[int, int]
"""A block and a part of it."""

Series = dict[str, dict[Place, dict[int, float]]]
"""Microseconds per request by variant, place and round."""


def blocks(findings: Findings) -> Figure | None:
    """
    One line for each trial of the main variants; None with fewer than two blocks.
    """
    looks = strokes(main_variants(findings.manifest))
    series = _series(findings.trials, looks)
    places = sorted({place for by_place in series.values() for place in by_place})
    if len({block for block, _ in places}) < 2:
        return None
    shown = {name: look for name, look in looks.items() if series[name]}
    alternative = _alternative(series)

    def paint(canvas: Canvas) -> None:
        axes = panel(
            canvas,
            left_in=LEFT_IN,
            top_in=TITLE_IN + LEGEND_IN + SUBTITLE_IN,
            width_in=WIDTH_IN - LEFT_IN - MARGIN_IN,
            height_in=PANEL_IN,
        )
        _paint(axes, series, shown, places)
        names_of_lines(canvas, shown)

    height_in = TITLE_IN + LEGEND_IN + SUBTITLE_IN + PANEL_IN + AXIS_IN + MARGIN_IN
    return Figure(
        name="blocks",
        title=TITLE,
        svg=rendered(height_in, TITLE, alternative, paint),
        csv=csv_text(
            ["variant", "block", "part", "round", "measured_us_per_request"],
            [
                [name, *place, number, value_us]
                for name in shown
                for place, rounds in series[name].items()
                for number, value_us in rounds.items()
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _series(trials: Sequence[TrialRecord], names: Mapping[str, Stroke]) -> Series:
    series: Series = {name: {} for name in names}
    for place, part in trials_by_part(trials).items():
        for name in names:
            if name in part:
                series[name][place] = _rounds(part[name])
    return series


def _rounds(trial: TrialRecord) -> dict[int, float]:
    """
    Time per request of each whole load by round; a trial without rounds has one load.
    """
    whole = {
        load.round: load.us_per_request
        for load in trial.loads
        if load.requests_completed == load.requests
    }
    if whole or trial.load is None:
        return whole
    return {1: METRICS["us_per_request"](trial.load)}


def _paint(
    axes: Axes, series: Series, looks: Mapping[str, Stroke], places: Sequence[Place]
) -> None:
    most = max(
        number
        for by_place in series.values()
        for rounds_us in by_place.values()
        for number in rounds_us
    )
    order = {place: number for number, place in enumerate(places, start=1)}
    for name, look in looks.items():
        at, us = [], []
        for place, rounds in series[name].items():
            left = order[place] - ROOM / 2
            at += [*(left + ROOM * (number - 0.5) / most for number in rounds), math.nan]
            us += [*rounds.values(), math.nan]
        axes.plot(at, us, **(look.line() | {"ms": 3, "linewidth": 0.9}))
    values = [
        us
        for by_place in series.values()
        for rounds_us in by_place.values()
        for us in rounds_us.values()
    ]
    room = 0.08 * (max(values) - min(values) or 1.0)
    low, high = min(values) - room, max(values) + room
    axes.set_ylim(low, high)
    axes.set_yticks(even_ticks(low, high, 6))
    axes.set_xlim(0.5, len(places) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=15, integer=True))
    in_parts = any(part > 1 for _, part in places)
    axes.set_xlabel("parts of blocks, in the order of time" if in_parts else "block")
    axes.set_title("time per request (µs)", fontweight="normal")


def _alternative(series: Series) -> str:
    words = []
    for name, by_place in series.items():
        means = [statistics.fmean(rounds.values()) for rounds in by_place.values()]
        within = [_spread(list(rounds.values())) for rounds in by_place.values() if len(rounds) > 1]
        if len(means) > 1:
            rounds = f" and from round to round {statistics.median(within):.1f} %" if within else ""
            words.append(f"{name} {_spread(means):.1f} %{rounds}")
    return (
        "Time per request varies from block to block (standard deviation, relative to the mean): "
        f"{'; '.join(words)}."
    )


def _spread(values: Sequence[float]) -> float:
    return 100 * statistics.stdev(values) / statistics.fmean(values)
