"""
The published claims and their verdicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import table
from analysis.topics.claims.findings import cold_start

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.claims.findings import Claim

INTRODUCTION = (
    "For each claim of the published report: what its own numbers support, and what this run "
    "shows. *Holds*: shown here, a size in that size. *Holds in direction only*: another size was "
    "shown, or a part of the claim. *Does not hold*: the opposite was shown, or no difference. "
    "*Cannot be tested*: this run cannot tell, or measures no such quantity."
)
ARTEFACT = (
    "**The length artefact, measured.** {variant} was loaded before it was up. Its product "
    "services opened their ports only after the gateway's first answer, a 502. This shows how such "
    "numbers can arise, not that the published ones did. The same cold start, twice:"
)


def published_claims(findings: Findings) -> str:
    """
    The verdicts, the grounds for each and the cold starts; empty without tested claims.
    """
    claims = findings.claims
    if not claims:
        return ""
    rows = [
        [str(number), each.claim, f"**{each.verdict.value}**"]
        for number, each in enumerate(claims, start=1)
    ]
    # A list: as table columns, the grounds would be too wide for a terminal.
    grounds = [_grounds(f"{number}. ", each) for number, each in enumerate(claims, start=1)]
    parts = [
        "## The published claims",
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
                    ["of these, for their length", *(str(each.failed_length) for each in counts)],
                    ["Non-2xx responses", *(str(each.non_2xx) for each in counts)],
                    [
                        "Good answers",
                        *(f"{each.ok} ({each.ok / each.requests * 100:.1f} %)" for each in counts),
                    ],
                ],
            ),
        ]
    return "\n\n".join(parts)


def _grounds(number: str, each: Claim) -> str:
    """
    One item of a numbered list with nested items, indented to its text.
    """
    lines = [
        f"*What the published numbers support:* {each.supported}",
        f"*Measured here:* {each.measured}",
        f"*Verdict:* **{each.verdict.value}**",
    ]
    below = " " * len(number)
    return "\n".join([f"{number}{each.claim}", *(f"{below}- {line}" for line in lines)])
