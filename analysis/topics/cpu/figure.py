"""
CPU time per request by where it is spent, as stacked bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Patch

from analysis.drawing.canvas import (
    AXIS_IN,
    BLUE,
    GRID,
    INK,
    MARGIN_IN,
    ORANGE,
    PAPER,
    ROSE,
    SKY,
    TITLE_IN,
    YELLOW,
    even_ticks,
    legend,
    rendered,
)
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.drawing.rows import LINE_IN, Row, row_panel
from analysis.statistics.intervals import Interval
from experiments.records.cpu import CLIENT, DAEMON, LOG_READER, PROXY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure as Canvas

    from analysis.drawing.canvas import Look
    from analysis.findings import Findings
    from analysis.topics.cpu.findings import CpuCost

TITLE = "CPU time per request, by where it is spent"
CAPTION = (
    "Microseconds of CPU time per request: means over trials, stacked by where the time is spent. "
    "The number at the right excludes the client, which is drawn last and is not part of the "
    "stack. The data have the 95 % intervals."
)

USER, KERNEL, INTERRUPTS = "services, user", "services, kernel", "soft interrupts"
LOOKS: dict[str, tuple[str, str]] = {
    USER: (BLUE, ""),
    KERNEL: (SKY, "////"),
    DAEMON: (ORANGE, ""),
    PROXY: (ROSE, "xxxx"),
    LOG_READER: (YELLOW, "||||"),
    INTERRUPTS: (GRID, "----"),
    CLIENT: (PAPER, "\\\\\\\\"),
}
"""Places in stacking order, with fill colour and hatching."""

NAMES = {DAEMON: "Docker's daemons", LOG_READER: "log readers"}

LEFT_IN, RIGHT_IN, LEGEND_IN = 2.1, 1.7, 0.5
BAR = 0.62
NOTHING = Interval(0.0, None, None)


def cpu(findings: Findings) -> Figure | None:
    """
    One bar for each variant with CPU records; None without any.
    """
    apart = {trial.cpu.interrupts_apart for trial in findings.trials if trial.cpu} == {True}
    costs = findings.cpu_costs
    if not costs:
        return None
    spent = {name: _places(cost, apart=apart) for name, cost in costs.items()}
    alternative = _alternative(spent)

    def paint(canvas: Canvas) -> None:
        _paint(canvas, spent)

    height_in = TITLE_IN + LEGEND_IN + LINE_IN * len(spent) + AXIS_IN + MARGIN_IN
    return Figure(
        name="cpu",
        title=TITLE,
        svg=rendered(height_in, TITLE, alternative, paint),
        csv=csv_text(
            ["variant", "place", "cpu_us_per_request", "low_us", "high_us", "trials"],
            [
                [name, NAMES.get(place, place), *limits_of(interval), costs[name].trials]
                for name, places in spent.items()
                for place, interval in places.items()
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _places(cost: CpuCost, *, apart: bool) -> dict[str, Interval]:
    """
    CPU time by place, without places that spent none.

    Soft interrupts are a place only if the kernel counts them separately (``apart``).
    """
    by_place = {
        USER: cost.services_user,
        KERNEL: cost.services_system,
        **cost.parts,
        INTERRUPTS: cost.interrupts if apart else NOTHING,
    }
    return {place: by_place[place] for place in LOOKS if by_place.get(place, NOTHING).estimate > 0}


def _paint(canvas: Canvas, spent: Mapping[str, Mapping[str, Interval]]) -> None:
    axes = row_panel(
        canvas,
        [Row(name, words=_words(places)) for name, places in spent.items()],
        top_in=TITLE_IN + LEGEND_IN,
        left_in=LEFT_IN,
        right_in=RIGHT_IN,
        row_in=LINE_IN,
    )
    for y, places in enumerate(spent.values()):
        start_us = 0.0
        for place, interval in places.items():
            axes.barh([y], [interval.estimate], left=[start_us], height=BAR, **_look(place))
            start_us += interval.estimate
    longest_us = max(sum(each.estimate for each in places.values()) for places in spent.values())
    axes.set_xlim(0, 1.02 * longest_us)
    axes.set_xticks(even_ticks(0, 1.02 * longest_us))
    axes.set_xlabel("µs of CPU time per request")
    shown = [place for place in LOOKS if any(place in places for places in spent.values())]
    samples = {NAMES.get(place, place): Patch(**_look(place)) for place in shown}
    legend(canvas, samples, columns=4, length=2.0)


def _look(place: str) -> Look:
    colour, hatch = LOOKS[place]
    return {"facecolor": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.7}


def _stack_us(places: Mapping[str, Interval]) -> float:
    return sum(interval.estimate for place, interval in places.items() if place != CLIENT)


def _words(places: Mapping[str, Interval]) -> str:
    client_us = places[CLIENT].estimate if CLIENT in places else 0.0
    return f"{_stack_us(places):.0f} + client {client_us:.0f} µs"


def _alternative(spent: Mapping[str, Mapping[str, Interval]]) -> str:
    least = min(spent, key=lambda name: _stack_us(spent[name]))
    most = max(spent, key=lambda name: _stack_us(spent[name]))
    words = f"{most} spends {_stack_us(spent[most]):.0f} µs of CPU time per request"
    parts = "; ".join(
        f"{NAMES.get(place, place)} {interval.estimate:.0f} µs"
        for place, interval in spent[most].items()
        if place != CLIENT
    )
    if least == most:
        return f"{words}: {parts}."
    return (
        f"Of {len(spent)} variants {words}, the most ({parts}), and {least} "
        f"{_stack_us(spent[least]):.0f} µs, the least; the client's own is not in these."
    )
