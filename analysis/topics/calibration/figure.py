"""
Calibration: what came out against what was put in, beside the line on which both are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.drawing.canvas import (
    AXIS_IN,
    INK,
    MARGIN_IN,
    MUTED,
    PAPER,
    SMALL_PT,
    TITLE_IN,
    WIDTH_IN,
    even_ticks,
    panel,
    rendered,
)
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.formatting import count, microseconds, plus_minus, sentence
from analysis.topics.calibration.findings import INJECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from analysis.findings import Findings
    from analysis.topics.calibration.findings import Recovery

TITLE = "Calibration: what came out against what was put in"
CAPTION = (
    "Each point is one dose, the mean over blocks of what came out of it, with its 95 % interval. "
    "The dashed line is what should come out: all of it, or nothing where a sleep takes no CPU "
    "time, and where what is burned takes no more than that. A hollow point's interval does not "
    "hold what should come out."
)

COLUMNS = 2
LEFT_IN, GAP_IN, PANEL_IN, SUBTITLE_IN = 0.75, 0.85, 2.5, 0.45
WIDTH_OF_PANEL_IN = (WIDTH_IN - LEFT_IN - MARGIN_IN - GAP_IN) / COLUMNS


def calibration(findings: Findings) -> Figure | None:
    """
    One panel for each kind of injection and measure; None where nothing was put in.
    """
    found = findings.recoveries
    if not found:
        return None
    alternative = _alternative(found)
    step_in = SUBTITLE_IN + PANEL_IN + AXIS_IN + MARGIN_IN

    def paint(canvas: Canvas) -> None:
        for number, each in enumerate(found):
            row, column = divmod(number, COLUMNS)
            axes = panel(
                canvas,
                left_in=LEFT_IN + column * (WIDTH_OF_PANEL_IN + GAP_IN),
                top_in=TITLE_IN + SUBTITLE_IN + row * step_in,
                width_in=WIDTH_OF_PANEL_IN,
                height_in=PANEL_IN,
            )
            _paint(axes, each)

    rows = -(-len(found) // COLUMNS)
    return Figure(
        name="calibration",
        title=TITLE,
        svg=rendered(TITLE_IN + rows * step_in, TITLE, alternative, paint),
        csv=csv_text(
            [
                *("put_in", "looked_for_in", "injected_us", "should_come_out_us"),
                *("recovered_us", "low_us", "high_us", "blocks"),
            ],
            [
                [
                    *(INJECTED[each.factor], each.measure, dose.injected_us),
                    each.share * dose.injected_us,
                    *limits_of(dose.recovered_us),
                    each.blocks,
                ]
                for each in found
                for dose in each.doses
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _paint(axes: Axes, each: Recovery) -> None:
    most_us = 1.08 * max(dose.injected_us for dose in each.doses)
    axes.plot([0, most_us], [0, each.share * most_us], color=MUTED, ls=(0, (4, 2)), linewidth=1.0)
    ends = [0.0, each.share * most_us]
    for dose in each.doses:
        found = dose.recovered_us
        ends.append(found.estimate)
        if found.low is not None and found.high is not None:
            axes.errorbar(
                [dose.injected_us],
                [found.estimate],
                yerr=[[found.estimate - found.low], [found.high - found.estimate]],
                fmt="none",
                ecolor=INK,
                elinewidth=1.2,
                capsize=3,
            )
            ends += [found.low, found.high]
        face = INK if dose.holds(each.share) else PAPER
        axes.plot([dose.injected_us], [found.estimate], "o", mec=INK, mfc=face, mew=1.3, zorder=4)
    room = 0.06 * (max(ends) - min(ends))
    low, high = min(ends) - room, max(ends) + room
    axes.set_xlim(0, most_us)
    axes.set_ylim(low, high)
    axes.set_xticks(even_ticks(0, most_us, 6))
    axes.set_yticks(even_ticks(low, high, 6))
    axes.set_xlabel(f"{INJECTED[each.factor]} put in (µs per request)")
    axes.set_ylabel("came out (µs per request)")
    axes.set_title(
        f"{sentence(INJECTED[each.factor])}, looked for in {each.measure}\n"
        f"slope {plus_minus(each.slope, 3)}, bias {microseconds(each.bias_us)}",
        fontsize=SMALL_PT,
        fontweight="normal",
    )


def _alternative(found: Sequence[Recovery]) -> str:
    words = []
    for each in found:
        held = (
            "one block, so no interval"
            if each.held is None
            else f"{each.held} of {count(len(each.doses), 'interval')} hold what should come out"
        )
        words.append(
            f"{INJECTED[each.factor]} in {each.measure}: slope {plus_minus(each.slope, 3)}, should "
            f"be {each.share:g}, {held}"
        )
    return f"What came out of what was put in. {sentence('; '.join(words))}."
