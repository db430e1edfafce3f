"""
What each change buys, beside what it gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import percent, sentence, short_verdict, table
from analysis.recommendations import changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.comparisons import Comparison
    from experiments.records import Manifest


def recommendations(manifest: Manifest, compared: Sequence[Comparison]) -> str:
    """
    One row for each change; empty where the run measured none.
    """
    rows = [
        [
            sentence(each.name),
            f"`{each.treatment}` against `{each.baseline}`",
            *_bought(each),
            lost or "not known",
        ]
        for each, lost in changes(manifest, compared)
    ]
    if not rows:
        return ""
    headers = ["Change", "Measured as", "Time per request", "99th percentile latency", "Verdict"]
    return "\n\n".join(
        [
            "## What each change buys, and what it gives up",
            (
                "Relative to the same runtime without the change, with 95 % intervals; less time "
                "is better. The published report recommends the host's network, gunicorn (here one "
                "worker of threads in each service) and more resources; the other changes are "
                "this project's. What is given up is what is known of the change's parts."
            ),
            table([*headers, "Gives up"], rows),
        ]
    )


def _bought(each: Comparison) -> list[str]:
    if each.difference is None:
        return ["–", "–", "no block has both"]
    relative = each.difference.relative
    return [
        percent(relative["us_per_request"]),
        percent(relative["latency_p99_us"]),
        short_verdict(each.verdict),
    ]
