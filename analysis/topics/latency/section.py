"""
Open-loop latency: tables by level of load, and differences at the common rate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.formatting import decimals, percent, table
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
    "Requests follow a schedule with random gaps (open loop), as from users who do not wait for "
    "each other. Latency counts from the scheduled start, so it includes the delay behind a "
    "stall; “uncorrected” counts from the actual send, which leaves that out. A failed request "
    f"counts as slower than all others. A stack that answers less than {OVERLOAD_SHARE * 100:g} % "
    "of the requested rate is overloaded, and its latency says only how long that lasted. "
    "Milliseconds with 95 % intervals: the geometric mean over trials of each trial's quantile "
    f"(Student's t). Marked *: a single trial has fewer than {LEAST_BEYOND} requests beyond the "
    "quantile, so it is that of all requests, by a bootstrap of whole trials. “–”: all requests "
    "together have fewer."
)


def latency(findings: Findings) -> str:
    """
    One table for each level of load, and the differences at the common rate.

    Empty without open-loop loads. Pooled runs have no logs, and refer to the single reports.
    """
    manifest, measured = findings.manifest, findings.latencies
    if measured is None:
        if not any(trial.open_loads for trial in findings.trials):
            return ""
        return f"{HEADING}\n\nSee the report of each single run, which has the logs."
    parts = [HEADING, INTRODUCTION]
    for level in measured.levels:
        if level.cells:
            parts += [f"### {_title(manifest, level)}", _cells(level.cells)]
    if measured.differences:
        parts += [
            (
                "Differences at the common rate, treatment relative to baseline, paired within "
                "blocks (mean log-ratio, Student's t), not corrected for their number:"
            ),
            table(
                ["Comparison", "Baseline", "Treatment", *COMPARED, "Blocks"],
                [_difference(each) for each in measured.differences],
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
    in_ms = interval.map(lambda latency_us: latency_us / 1e3)
    digits = decimals(in_ms, 2)

    def text(latency_ms: float) -> str:
        return "∞" if math.isinf(latency_ms) else f"{latency_ms:.{digits}f}"

    if in_ms.low is None or in_ms.high is None:
        return text(in_ms.estimate)
    return f"{text(in_ms.estimate)} [{text(in_ms.low)}, {text(in_ms.high)}]"


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
