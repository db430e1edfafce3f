"""
Calibration: recovered against injected cost, with the line of expected values.
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

TITLE = "Calibration: recovered against injected cost"
CAPTION = (
    "Each point is one dose: the mean over blocks of what was recovered, with its 95 % interval. "
    "The dashed line is what should be recovered: the whole dose, or nothing where the measure "
    "does not count it (a sleep takes no CPU time). A hollow point's interval does not hold that "
    "value."
)

COLUMNS = 2
LEFT_IN, GAP_IN, PANEL_IN, SUBTITLE_IN = 0.75, 0.85, 2.5, 0.45
WIDTH_OF_PANEL_IN = (WIDTH_IN - LEFT_IN - MARGIN_IN - GAP_IN) / COLUMNS


def calibration(findings: Findings) -> Figure | None:
    """
    One panel for each kind of injection and measure; None without injections.
    """
    recoveries = findings.recoveries
    if not recoveries:
        return None
    alternative = _alternative(recoveries)
    step_in = SUBTITLE_IN + PANEL_IN + AXIS_IN + MARGIN_IN

    def paint(canvas: Canvas) -> None:
        for number, recovery in enumerate(recoveries):
            row, column = divmod(number, COLUMNS)
            axes = panel(
                canvas,
                left_in=LEFT_IN + column * (WIDTH_OF_PANEL_IN + GAP_IN),
                top_in=TITLE_IN + SUBTITLE_IN + row * step_in,
                width_in=WIDTH_OF_PANEL_IN,
                height_in=PANEL_IN,
            )
            _paint(axes, recovery)

    rows = -(-len(recoveries) // COLUMNS)
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
                    *(INJECTED[recovery.factor], recovery.measure, dose.injected_us),
                    recovery.share * dose.injected_us,
                    *limits_of(dose.recovered_us),
                    recovery.blocks,
                ]
                for recovery in recoveries
                for dose in recovery.doses
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _paint(axes: Axes, recovery: Recovery) -> None:
    most_us = 1.08 * max(dose.injected_us for dose in recovery.doses)
    axes.plot(
        [0, most_us], [0, recovery.share * most_us], color=MUTED, ls=(0, (4, 2)), linewidth=1.0
    )
    ends = [0.0, recovery.share * most_us]
    for dose in recovery.doses:
        recovered_us = dose.recovered_us
        ends.append(recovered_us.estimate)
        if recovered_us.low is not None and recovered_us.high is not None:
            axes.errorbar(
                [dose.injected_us],
                [recovered_us.estimate],
                yerr=[
                    [recovered_us.estimate - recovered_us.low],
                    [recovered_us.high - recovered_us.estimate],
                ],
                fmt="none",
                ecolor=INK,
                elinewidth=1.2,
                capsize=3,
            )
            ends += [recovered_us.low, recovered_us.high]
        face = INK if dose.holds(recovery.share) else PAPER
        axes.plot(
            [dose.injected_us], [recovered_us.estimate], "o", mec=INK, mfc=face, mew=1.3, zorder=4
        )
    room = 0.06 * (max(ends) - min(ends))
    low, high = min(ends) - room, max(ends) + room
    axes.set_xlim(0, most_us)
    axes.set_ylim(low, high)
    axes.set_xticks(even_ticks(0, most_us, 6))
    axes.set_yticks(even_ticks(low, high, 6))
    axes.set_xlabel(f"injected {INJECTED[recovery.factor]} (µs per request)")
    axes.set_ylabel("recovered (µs per request)")
    axes.set_title(
        f"{sentence(INJECTED[recovery.factor])}, measured by {recovery.measure}\n"
        f"slope {plus_minus(recovery.slope, 3)}, bias {microseconds(recovery.bias_us)}",
        fontsize=SMALL_PT,
        fontweight="normal",
    )


def _alternative(recoveries: Sequence[Recovery]) -> str:
    words = []
    for each in recoveries:
        held = (
            "one block, so no interval"
            if each.held is None
            else f"{each.held} of {count(len(each.doses), 'interval')} hold the expected value"
        )
        words.append(
            f"{INJECTED[each.factor]} in {each.measure}: slope {plus_minus(each.slope, 3)}, should "
            f"be {each.share:g}, {held}"
        )
    return f"Recovery of injected costs. {sentence('; '.join(words))}."
