"""
What each change saves, and what it gives up, in a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import sentence, table, time_difference, verdict_and_blocks

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.comparisons.findings import JudgedComparison
    from analysis.topics.recommendations.findings import Left


RECOMMENDED = (
    "The published report recommends the host network, gunicorn (here one worker with threads in "
    "each service) and more resources; the other changes are this project's. "
)


def recommendations(findings: Findings) -> str:
    """
    One row for each change; empty without any.
    """
    rows = [
        [
            sentence(each.comparison.name),
            f"`{each.comparison.treatment}` against `{each.comparison.baseline}`",
            *_bought(each.comparison),
            _left(each.left),
            "; ".join(each.gives_up) or "not known",
        ]
        for each in findings.changes
    ]
    if not rows:
        return ""
    headers = ["Change", "Measured as", "Time per request", "Median latency", "p99", "Verdict"]
    return "\n\n".join(
        [
            "## What each change saves, and what it gives up",
            (
                "Relative to the same runtime without the change, with 95 % intervals; less time "
                f"is better. {'' if findings.manifest.stack else RECOMMENDED}“Left” is against raw "
                "namespaces on a bridge with the same server; its interval is not corrected for "
                "the number of changes."
            ),
            table([*headers, "Left against raw namespaces", "Gives up"], rows),
        ]
    )


def _bought(each: JudgedComparison) -> list[str]:
    if each.difference is None:
        return ["–", "–", "–", "no block has both"]
    return [
        time_difference(each.difference),
        time_difference(each.difference, "latency_p50_us"),
        time_difference(each.difference, "latency_p99_us"),
        verdict_and_blocks(each.verdict),
    ]


def _left(left: Left | None) -> str:
    return "–" if left is None else f"{time_difference(left.difference)} (`{left.baseline}`)"
