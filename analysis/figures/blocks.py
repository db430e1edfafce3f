"""
The blocks one after the other: drift is seen here, and what is left of it at equal speed.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from analysis.estimates import METRICS, loads_by_block
from analysis.figures.drawing import (
    AXIS_IN,
    MARGIN_IN,
    TITLE_IN,
    WIDTH_IN,
    even_ticks,
    panel,
    rendered,
)
from analysis.figures.figure import Figure, csv_text
from analysis.figures.series import LEGEND_IN, main_variants, names_of_lines, strokes
from analysis.speed import slowness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.figures.series import Stroke
    from analysis.speed import EqualSpeed
    from experiments.records import Manifest, TrialRecord

TITLE = "Block by block: what drifted, and the machine's speed meanwhile"
CAPTION = (
    "Each point is one trial. The upper panel has the time per request as it was measured, the "
    "next one, of the same scale, the same trials at equal speed of the machine, and the last the "
    "time that a fixed piece of work took on the stack's CPUs while each load ran: the higher, the "
    "slower the machine was. A panel that is not there was not to be had."
)

MEASURED = "time per request as measured (µs)"
LEVELLED = "time per request at equal speed of the machine (µs)"
WORK = "time of the fixed work: the machine's slowness (µs)"

LEFT_IN, PANEL_IN, SUBTITLE_IN, GAP_IN = 0.85, 1.55, 0.3, 0.25

Series = dict[str, dict[int, float]]
"""A value by variant and block."""


def blocks(manifest: Manifest, trials: Sequence[TrialRecord], level: EqualSpeed) -> Figure | None:
    """
    One line for each of the main variants; None where they have fewer than two blocks.

    ``level`` are the same trials at equal speed.
    """
    looks = strokes(main_variants(manifest))
    panels: dict[str, Series] = {MEASURED: _times_us(trials, looks)}
    if level.levelled:
        panels[LEVELLED] = _times_us(level.trials, looks)
    panels[WORK] = _works_us(trials, looks)
    if len({block for own in panels[MEASURED].values() for block in own}) < 2:
        return None
    panels = {title: series for title, series in panels.items() if any(series.values())}
    shown = {name: look for name, look in looks.items() if panels[MEASURED][name]}
    alternative = _alternative(panels)

    def paint(canvas: Canvas) -> None:
        for number, (title, series) in enumerate(panels.items()):
            axes = panel(
                canvas,
                left_in=LEFT_IN,
                top_in=TITLE_IN
                + LEGEND_IN
                + SUBTITLE_IN
                + number * (PANEL_IN + SUBTITLE_IN + GAP_IN),
                width_in=WIDTH_IN - LEFT_IN - MARGIN_IN,
                height_in=PANEL_IN,
            )
            both = [panels[each] for each in (MEASURED, LEVELLED) if each in panels]
            _paint(axes, series, shown, [series] if title == WORK else both)
            axes.set_title(title, fontweight="normal")
            if number == len(panels) - 1:
                axes.set_xlabel("block")
        names_of_lines(canvas, shown)

    height_in = (
        TITLE_IN
        + LEGEND_IN
        + len(panels) * (SUBTITLE_IN + PANEL_IN + GAP_IN)
        + AXIS_IN
        + MARGIN_IN
        - GAP_IN
    )
    return Figure(
        name="blocks",
        title=TITLE,
        svg=rendered(height_in, TITLE, alternative, paint),
        csv=_csv(panels, shown),
        alternative=alternative,
        caption=CAPTION,
    )


def _times_us(trials: Sequence[TrialRecord], names: Mapping[str, Stroke]) -> Series:
    found: Series = {name: {} for name in names}
    for block, loads in loads_by_block(trials).items():
        for name in names:
            if name in loads:
                found[name][block] = METRICS["us_per_request"](loads[name])
    return found


def _works_us(trials: Sequence[TrialRecord], names: Mapping[str, Stroke]) -> Series:
    found: Series = {name: {} for name in names}
    for trial in trials:
        if trial.variant in found and slowness(trial) is not None and trial.pulse is not None:
            found[trial.variant][trial.block] = trial.pulse.mean_us
    return {name: dict(sorted(own.items())) for name, own in found.items()}


def _paint(
    axes: Axes, series: Series, looks: Mapping[str, Stroke], scaled_by: Sequence[Series]
) -> None:
    for name, look in looks.items():
        axes.plot(list(series[name]), list(series[name].values()), **look.line())
    values = [value for each in scaled_by for own in each.values() for value in own.values()]
    numbers = [block for own in series.values() for block in own]
    room = 0.08 * (max(values) - min(values) or 1.0)
    low, high = min(values) - room, max(values) + room
    axes.set_ylim(low, high)
    axes.set_yticks(even_ticks(low, high, 5))
    axes.set_xlim(min(numbers) - 0.4, max(numbers) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=15, integer=True))


def _csv(panels: Mapping[str, Series], names: Mapping[str, Stroke]) -> str:
    headers = ["variant", "block", "measured_us_per_request", "levelled_us_per_request"]
    rows = [
        [
            *(name, block, value_us),
            panels.get(LEVELLED, {}).get(name, {}).get(block),
            panels.get(WORK, {}).get(name, {}).get(block),
        ]
        for name in names
        for block, value_us in panels[MEASURED][name].items()
    ]
    return csv_text([*headers, "fixed_work_us"], rows)


def _alternative(panels: Mapping[str, Series]) -> str:
    words = []
    for name, own in panels[MEASURED].items():
        if len(own) < 2:
            continue
        levelled = panels.get(LEVELLED, {}).get(name, {})
        after = f" and {_spread(levelled):.1f} % at equal speed" if len(levelled) > 1 else ""
        words.append(f"{name} {_spread(own):.1f} %{after}")
    spreads = "; ".join(words)
    works_us = [value for own in panels.get(WORK, {}).values() for value in own.values()]
    ending = ""
    if works_us:
        ending = f" The fixed work took {min(works_us):.0f} to {max(works_us):.0f} µs."
    return (
        "Time per request from block to block varies (standard deviation, relative to the mean): "
        f"{spreads}.{ending}"
    )


def _spread(own: Mapping[int, float]) -> float:
    return 100 * statistics.stdev(own.values()) / statistics.fmean(own.values())
