"""
Latency by schedule: what users wait for who do not wait for each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.formatting import percent, table
from analysis.topics.latency.findings import (
    COMPARED,
    LEAST_BEYOND,
    OVERLOAD_SHARE,
    QUANTILES,
    UNCORRECTED,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from analysis.statistics.intervals import Interval
    from analysis.topics.latency.findings import Cell, LatencyDifference, Level, Quantile
    from experiments.records.manifest import Manifest

HEADING = "## Latency by schedule (open loop)"

INTRODUCTION = (
    "Requests were sent by a schedule with random gaps, as by users who know nothing of each "
    "other, and not, as ab does, when another was answered. Latency is counted from when a request "
    "should have been sent, so whatever a stall kept waiting is in it; “uncorrected” is from when "
    "it was sent, which leaves that out. A request that failed counts as slower than all others. A "
    f"stack that answers less than {OVERLOAD_SHARE * 100:g} % of what it is asked is overloaded: "
    "its latency then only says how long that went on. Milliseconds, with 95 % intervals: the "
    "geometric mean over trials of each trial's quantile, by Student's t; marked *, where a single "
    f"trial has fewer than {LEAST_BEYOND} requests beyond the quantile, that of all requests "
    "together, by a bootstrap of whole trials; “–”, where all together have fewer."
)


def latency(findings: Findings) -> str:
    """
    One table for each level of load, and the differences at the common rate.

    Empty where nothing was loaded by schedule; pooled runs have no logs.
    """
    manifest, found = findings.manifest, findings.latencies
    if found is None:
        if not any(trial.open_loads for trial in findings.trials):
            return ""
        return f"{HEADING}\n\nIt is in the report of each single run, which has the logs."
    parts = [HEADING, INTRODUCTION]
    for level in found.levels:
        if level.cells:
            parts += [f"### {_title(manifest, level)}", _cells(level.cells)]
    if found.differences:
        parts += [
            (
                "Differences at the common rate, of the treatment relative to its baseline, paired "
                "within blocks (mean log-ratio, Student's t), not corrected for their number:"
            ),
            table(
                ["Comparison", "Baseline", "Treatment", *COMPARED, "Blocks"],
                [_difference(each) for each in found.differences],
            ),
        ]
    return "\n\n".join(parts)


def _title(manifest: Manifest, level: Level) -> str:
    if level.fraction is not None:
        return f"At {level.fraction * 100:g} % of each trial's own capacity"
    return f"At the same rate for all, {manifest.common_rate_per_s:.1f} per second"


def _cells(cells: Sequence[Cell]) -> str:
    headers = ["Variant", "Asked per second", "Achieved", *QUANTILES]
    headers += [f"{name}, uncorrected" for name in UNCORRECTED]
    return table([*headers, "Failed", "Blocks"], [_row(cell) for cell in cells])


def _row(cell: Cell) -> list[str]:
    asked = f"{cell.asked_per_s:.1f}"
    achieved = f"{cell.achieved_share * 100:.1f} %"
    if cell.overloaded:
        words = f"overload: achieved {achieved} of {asked}/s"
        cells = [words, *["–"] * (len(QUANTILES) + len(UNCORRECTED) - 1)]
    else:
        cells = [_quantile(cell.corrected[name]) for name in QUANTILES]
        cells += [_quantile(cell.uncorrected[name]) for name in UNCORRECTED]
    return [
        cell.variant,
        asked,
        achieved,
        *cells,
        f"{cell.failed} of {cell.requests}",
        str(cell.trials),
    ]


def _quantile(quantile: Quantile) -> str:
    if quantile.latency_us is None:
        return "–"
    return _milliseconds(quantile.latency_us) + (" *" if quantile.pooled else "")


def _milliseconds(interval: Interval) -> str:
    if math.isinf(interval.estimate):
        return "among the failed"
    if interval.low is None or interval.high is None:
        return _number(interval.estimate)
    return f"{_number(interval.estimate)} [{_number(interval.low)}, {_number(interval.high)}]"


def _number(latency_us: float) -> str:
    if math.isinf(latency_us):
        return "∞"
    latency_ms = latency_us / 1e3
    return f"{latency_ms:.2f}" if latency_ms < 10 else f"{latency_ms:.1f}"


def _difference(difference: LatencyDifference) -> list[str]:
    if difference.overloaded:
        cells = [f"overload: {', '.join(difference.overloaded)}", *["–"] * (len(COMPARED) - 1)]
    else:
        cells = [_relative(difference.relative.get(name)) for name in COMPARED]
    return [
        difference.name,
        difference.baseline,
        difference.treatment,
        *cells,
        str(difference.blocks),
    ]


def _relative(interval: Interval | None) -> str:
    return "–" if interval is None else percent(interval)
