"""
The published claims beside what was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import table
from analysis.topics.claims.findings import cold_start

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.claims.findings import Claim

INTRODUCTION = (
    "What the report that this project began with claims, what its own numbers support, and what "
    "this run shows. A claim *holds* where it was shown here, a size in that size; *holds in "
    "direction only* where another size was shown, or a part of what is claimed; *does not hold* "
    "where the opposite was shown, or no difference; and *cannot be tested* where this run cannot "
    "tell, or measures no such thing."
)
ARTEFACT = (
    "**The length artefact, measured.** {variant} was loaded before it was up: its product "
    "services opened their port only when the gateway had given its first answer, a 502. That "
    "shows how such numbers come about, and cannot show that the published ones did come about "
    "so. The same cold start, twice:"
)


def published_claims(findings: Findings) -> str:
    """
    The verdicts, the grounds of each, the cold starts side by side; empty without those systems.
    """
    found = findings.claims
    if not found:
        return ""
    rows = [
        [str(number), each.claim, f"**{each.verdict.value}**"]
        for number, each in enumerate(found, start=1)
    ]
    # In one table with the verdicts these would be too wide for a terminal.
    grounds = [_grounds(f"{number}. ", each) for number, each in enumerate(found, start=1)]
    parts = [
        "## The published claims, one by one",
        INTRODUCTION,
        table(["", "Claimed", "Verdict"], rows),
        "\n".join(grounds),
    ]
    loads = [trial.load for trial in findings.run.cold_starts if trial.load is not None]
    if loads:
        counts = [cold_start(load) for load in loads]
        parts += [
            ARTEFACT.format(variant=findings.manifest.artefact),
            table(
                ["", *(f"ab {'with' if each.any_length else 'without'} `-l`" for each in counts)],
                [
                    ["Requests completed", *(str(each.requests) for each in counts)],
                    ["“Failed requests”", *(str(each.failed) for each in counts)],
                    ["of them for their length", *(str(each.failed_length) for each in counts)],
                    ["Non-2xx responses", *(str(each.non_2xx) for each in counts)],
                    [
                        "Really good",
                        *(f"{each.ok} ({each.ok / each.requests * 100:.1f} %)" for each in counts),
                    ],
                ],
            ),
        ]
    return "\n\n".join(parts)


def _grounds(number: str, each: Claim) -> str:
    """
    One item of a numbered list, with items of its own, which stand below its text.
    """
    lines = [
        f"*What the published numbers support:* {each.supported}",
        f"*Measured here:* {each.measured}",
        f"*Verdict:* **{each.verdict.value}**",
    ]
    below = " " * len(number)
    return "\n".join([f"{number}{each.claim}", *(f"{below}- {line}" for line in lines)])
