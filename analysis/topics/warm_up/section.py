"""
Cold start and warm-up in tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import count, percent, plus_minus, table, time_difference

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.warm_up.findings import Start, StartComparison
    from experiments.records.manifest import Manifest

COLD = (
    "The first good answer is timed from the start of the deployment, networks included; a Docker "
    "daemon ran already. {at_once} It follows the health checks, which run ten times a second. "
    "Compose polls them twice a second, so Docker's time is too long by 0.25 s on average. The "
    "first requests are the first {requests} of a fresh deployment, before any warm-up. How much "
    "longer they take than those of the rounds is the mean log-ratio within trials, ramp-up and "
    "ramp-down included."
)
COMPARED = (
    "Treatment against baseline, paired within blocks, with 95 % intervals that are not corrected "
    "for their number. The last column is the drift of the difference: the ratio of the two times "
    "in the second half of the rounds relative to the first half. Where its interval excludes "
    "zero, one arm was still warming up, or aged. No load is left out for that."
)


def warm_up(findings: Findings) -> str:
    """
    One row for each comparison; empty if no starts and no drift were recorded.
    """
    starts = findings.warm_up
    if starts is None:
        return ""
    parts = ["## Cold start and warm-up"]
    if starts.has_starts:
        requests = " or ".join(map(str, starts.cold_requests)) or "requests"
        parts.append(COLD.format(requests=requests, at_once=_came_up(findings.manifest)))
    if starts.comparisons:
        headers = ["Comparison", "First good answer later by (s)", "First requests take"]
        rows = [_compared(each) for each in starts.comparisons]
        parts += [COMPARED, table([*headers, "Drift over the rounds"], rows)]
    return "\n\n".join(parts)


def _came_up(manifest: Manifest) -> str:
    at_once = manifest.environment.brought_up_at_once
    if at_once is None or at_once < 2:
        return "Nothing else came up meanwhile."
    return (
        f"Up to {at_once} deployments came up at the same time on all CPUs, so one alone would be "
        "quicker; this is the same for all variants."
    )


def warm_up_details(findings: Findings) -> str:
    """
    One row for each variant; empty without recorded starts.
    """
    starts = findings.warm_up
    if starts is None or not starts.starts:
        return ""
    headers = ["Variant", "Trials", "First good answer (s)", "First requests (µs per request)"]
    return "\n\n".join(
        [
            "### Cold start of each variant",
            table([*headers, "Against the rounds"], [_row(each) for each in starts.starts]),
        ]
    )


def _row(start: Start) -> list[str]:
    return [
        start.variant,
        str(start.trials),
        plus_minus(start.first_answer_s, 2) if start.first_answer_s else "–",
        plus_minus(start.cold_us) if start.cold_us else "–",
        percent(start.against_rounds) if start.against_rounds else "–",
    ]


def _compared(each: StartComparison) -> list[str]:
    pair = each.compared
    later = plus_minus(each.later_s, 2) if each.later_s else ""
    return [
        f"{pair.name} ({pair.treatment} against {pair.baseline})",
        _with_blocks(later, each.later_blocks) if later else "–",
        _with_blocks(time_difference(each.cold), each.cold.blocks) if each.cold else "–",
        percent(each.change) if each.change else "–",
    ]


def _with_blocks(text: str, blocks: int) -> str:
    return f"{text}, {count(blocks, 'block')}"
