"""
Cold start and warm-up in words and tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import count, percent, plus_minus, table, time_difference

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.warm_up.findings import Start, StartComparison
    from experiments.records.manifest import Manifest

COLD = (
    "The first good answer is timed from when the stack began to be brought up, its networks "
    "first; a Docker daemon ran then already. {at_once} It is looked for once the health checks "
    "pass, which look ten times a second; Compose itself looks for that only twice a second, so "
    "Docker's time is too long by a quarter of a second on average. The first requests are the "
    "first {requests} of a fresh deployment, before any warm-up; how much longer they take than "
    "those of the rounds is the mean log-ratio within trials; the beginning and the end of so "
    "short a load, when fewer are under way, are part of it."
)
COMPARED = (
    "Paired within blocks, the treatment against its baseline, with 95 % intervals that are not "
    "corrected for their number. The last column asks whether a difference changes while its block "
    "lasts: by how much the ratio of the two times is greater in the second half of the rounds "
    "than in the first. Where its interval excludes zero, one of the two still warmed up, or "
    "aged; nothing is left out for that."
)


def warm_up(findings: Findings) -> str:
    """
    One row for each comparison; empty if nothing was recorded.
    """
    found = findings.warm_up
    if found is None:
        return ""
    parts = ["## Cold start and warm-up"]
    if found.has_starts:
        requests = " or ".join(map(str, found.cold_requests)) or "requests"
        parts.append(COLD.format(requests=requests, at_once=_came_up(findings.manifest)))
    if found.comparisons:
        headers = ["Comparison", "Later first good answer (s)", "First requests take"]
        rows = [_compared(each) for each in found.comparisons]
        parts += [COMPARED, table([*headers, "Changes over the rounds by"], rows)]
    return "\n\n".join(parts)


def _came_up(manifest: Manifest) -> str:
    """
    What else ran meanwhile.
    """
    at_once = manifest.environment.brought_up_at_once
    if at_once is None or at_once < 2:
        return "Nothing else came up meanwhile."
    return (
        f"Up to {at_once} deployments came up at the same time, on all CPUs, so these seconds are "
        "more than one alone would take; all variants share that alike."
    )


def warm_up_details(findings: Findings) -> str:
    """
    One row for each variant; empty where nothing of it was recorded.
    """
    found = findings.warm_up
    if found is None or not found.starts:
        return ""
    headers = ["Variant", "Trials", "First good answer (s)", "First requests (µs per request)"]
    return "\n\n".join(
        [
            "### Cold start of each variant",
            table([*headers, "Against the rounds"], [_row(each) for each in found.starts]),
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
