"""
What another service should expect: the curve in a table, or the place of this run on another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import count, microseconds, percent, plus_minus, table
from analysis.topics.sweep.findings import BRANCHES

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.statistics.intervals import Interval
    from analysis.topics.sweep.findings import Curve, Expected, Placed, Point

INTRODUCTION = (
    "The cost of Docker in per cent depends on how long a request takes, and on what it does "
    "meanwhile. Each row is the matched pair with a heavier request, the same in both arms: more "
    "CPU time in one service, or more calls of another service, one after the other."
)
YOURS = (
    "**Expect this for yours.** Take the time per request of your service: one second divided by "
    "the requests per second that it serves at full load. It is not the latency, which grows with "
    "the requests under way. Look for it in the column *raw namespaces*; between two rows, the "
    "cost in microseconds is taken to change evenly."
)
ELSEWHERE = (
    "These are times of this stack on this machine ({cpu}). For a machine of another speed, "
    "measure the curve there. `nox -s report -- RUN --curve FOLDER` places another run on this "
    "curve, where FOLDER is that of this report."
)
PLACE = (
    "In raw namespaces, a request of this run takes {time} ms; Docker costs it {cost}. The curve "
    "is that of run {run} ({cpu}), which measured the project's own stack with heavier and "
    "heavier requests."
)
OTHER_CPU = (
    "A machine of another speed has another curve. `nox -s sweep` measures the one of this "
    "machine; then `nox -s report -- RUN --curve SWEEP` places this run on it."
)


def sweep(findings: Findings) -> str:
    """
    The table of a sweep, or this run on another run's curve; empty without either.
    """
    if findings.sweep is not None:
        return _table(findings.sweep)
    if findings.placed is not None:
        return _place(findings.placed)
    return ""


def milliseconds(time_us: Interval) -> str:
    """
    A time per request.
    """
    return plus_minus(time_us.map(lambda us: us / 1000), 2)


def point_name(point: Point) -> str:
    """
    A point in words: its dose and its time per request.
    """
    time = f"{point.time_us / 1000:.3g} ms"
    return f"{time} ({point.burn_us / 1000:g} ms of CPU time added, {count(point.calls, 'call')})"


def _table(curve: Curve) -> str:
    headers = ["CPU time added (ms)", "Calls", "Raw namespaces (ms per request)"]
    rows = [
        [
            f"{point.burn_us / 1000:g}",
            str(point.calls),
            milliseconds(point.measured.baseline_us),
            microseconds(point.measured.cost_us),
            percent(point.measured.relative),
            str(point.measured.blocks),
        ]
        for point in curve.points
    ]
    ends = [
        f"- If its time goes into {about}: {_end(points[0])}, {_end(points[-1])}."
        for factor, about in BRANCHES.items()
        if (points := curve.branch(factor))
    ]
    return "\n\n".join(
        [
            "## Where does your service lie?",
            INTRODUCTION,
            table([*headers, "Docker costs", "In per cent", "Blocks"], rows),
            YOURS,
            "\n".join(ends),
            ELSEWHERE.format(cpu=curve.cpu),
        ]
    )


def _end(point: Point) -> str:
    return f"{percent(point.measured.relative)} at {point.time_us / 1000:.3g} ms"


def _place(placed: Placed) -> str:
    measured, curve = placed.measured, placed.curve
    rows = [[BRANCHES[factor], *_expected(each)] for factor, each in placed.expected.items()]
    return "\n\n".join(
        [
            "## Where does this stack lie?",
            PLACE.format(
                time=milliseconds(measured.baseline_us),
                cost=percent(measured.relative),
                run=curve.run,
                cpu=curve.cpu,
            ),
            table(
                ["If its time went into", "Time per request on the curve", "The curve has there"],
                rows,
            ),
            beside(placed),
            OTHER_CPU,
        ]
    )


def _expected(each: Expected) -> list[str]:
    longer = [f"above {point_name(each.lower)}"] if each.lower else []
    shorter = [f"below {point_name(each.upper)}"] if each.upper else []
    return ["; ".join([*longer, *shorter]), percent(each.relative) if each.relative else "–"]


def beside(placed: Placed) -> str:
    """
    Whether the cost that was measured is less or more than both branches have there.
    """
    ranges = [each.relative for each in placed.expected.values() if each.relative]
    lows = [each.low for each in ranges if each.low is not None]
    highs = [each.high for each in ranges if each.high is not None]
    low, high = placed.measured.relative.low, placed.measured.relative.high
    if not ranges:
        return "The curve has no points around this time, so it does not say what to expect."
    if low is None or high is None or len(lows) < len(ranges):
        return "An interval is missing, so nothing can be said of the difference from the curve."
    if high < min(lows):
        return "Docker costs this stack **less** than any service on the curve there."
    if low > max(highs):
        return "Docker costs this stack **more** than any service on the curve there."
    return (
        "What Docker costs this stack **agrees** with the curve: its interval overlaps the range "
        "that both branches span there."
    )
