"""
The ladder: microseconds per request for each step, and the part that no step explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import (
    blocks_needed,
    count,
    microseconds,
    not_comparable,
    plus_minus,
    sentence,
    short_verdict,
    table,
    time_difference,
)
from analysis.statistics.verdicts import Kind
from analysis.topics.ladder.findings import main_first

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.ladder.findings import Step

INTRODUCTION = (
    "Neighbours differ in exactly one factor. That is checked for the declarations and, before "
    "every load, for what really runs. Each step is the mean difference within blocks with its "
    "95 % interval. The verdicts are corrected for the number of steps (Holm). “Blocks needed” is "
    "about how many blocks narrow an undecided interval to this half-width."
)


def ladder(findings: Findings) -> str:
    """
    One table for each ladder, and the remainder of each whole; empty without ladders.
    """
    manifest = findings.manifest
    if not manifest.ladders:
        return ""
    parts = ["## Where the cost comes from: the ladder", INTRODUCTION]
    abouts = manifest.abouts
    for each in main_first(manifest, findings.ladders):
        declared = each.ladder
        foot = declared.steps[0]
        base = findings.costs.get(foot)
        stands = f", {plus_minus(base[0])} µs per request" if base else ""
        rows = [_row(step, abouts[step.upper]) for step in each.steps]
        headers = ["Step", "What changes", "Time per request", "Relative", "Verdict", "Blocks"]
        parts += [
            f"### {sentence(declared.name)}: {declared.about}",
            f"From `{foot}` ({abouts[foot]}){stands}.",
            table([*headers, "Blocks needed"], rows),
            *(
                f"`{step.upper}` against `{step.lower}` is {not_comparable(step.difference)}."
                for step in each.steps
                if step.difference and not step.difference.comparable
            ),
        ]
    for left in findings.remainders:
        names = " and ".join(f"“{name}”" for name in left.declared.ladders)
        parts.append(
            f"**What the steps leave unexplained**, {left.declared.name}: the whole is "
            f"{microseconds(left.whole)}. The steps of {names} add up to "
            f"{microseconds(left.steps)}. {microseconds(left.unexplained)} remain "
            f"({count(left.blocks, 'block')}): interactions of the factors, and noise."
        )
    return "\n\n".join(parts)


def _row(step: Step, about: str) -> list[str]:
    cells = [f"`{step.upper}`", about]
    if step.difference is None:
        return [*cells, "–", "–", "no block has both", "0", "–"]
    relative = time_difference(step.difference)
    cost = microseconds(step.difference.us_per_request) if step.difference.comparable else "–"
    blocks = str(step.difference.blocks)
    words = short_verdict(step.verdict)
    if step.verdict.kind is Kind.CANNOT_TELL and step.difference.us_per_request.excludes_zero:
        words += "; excludes zero, but not after Holm"
    return [*cells, cost, relative, words, blocks, blocks_needed(step.verdict) or "–"]
