"""
The verdicts on the comparisons: a table, a sentence each, and their limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import (
    count,
    not_comparable,
    sentence,
    short_verdict,
    table,
    time_difference,
    verdict,
)
from analysis.statistics.verdicts import Kind
from analysis.topics.trust.section import control

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.comparisons.findings import JudgedComparison
    from analysis.topics.recommendations.findings import Change

FEW_BLOCKS = 5
"""With fewer blocks, the report says that its intervals are wide."""

RUNTIMES = (
    "**The runtimes differ in all of their defaults.** “Matched” means the same files, "
    "interpreter, network layout and entry. Only containers have control groups, namespaces for "
    "PIDs, mounts, UTS and IPC, an overlay root, a seccomp filter, fewer capabilities, firewall "
    "rules with connection tracking, and output through a shim and a log driver. Only beside "
    "containers do a daemon, containerd and shims run, on the stack's CPUs."
)
OF_STACKS = (
    "**The runtimes differ in what Docker adds.** In “matched” both arms have the same layers, "
    "addresses, names, limits, namespaces and capabilities. Only containers have Docker's seccomp "
    "filter, firewall rules with connection tracking, and output through a shim and a log driver. "
    "Only beside containers do a daemon, containerd and shims run, on the stack's CPUs."
)
ELSEWHERE = (
    "**Other machines and services were not tested.** What this project expects: the same "
    "percentages on a similar machine, and the same microseconds for another service on this "
    "machine."
)
OTHER_MACHINES = (
    "**Other machines were not tested.** What this project expects: the same percentages on a "
    "similar machine. *Where does your service lie?* has other services."
)
WHOLE = "**Whole systems were compared.** This run does not say which part costs what."


def verdicts(findings: Findings) -> str:
    """
    The table of verdicts; empty without comparisons.
    """
    if not findings.comparisons:
        return ""
    changes = {each.comparison.name: each for each in findings.changes}
    rows = [
        [
            f"**{sentence(each.name)}**",
            time_difference(each.difference) if each.difference else "–",
            "A/A" if each.control else short_verdict(each.verdict),
            advice(each, changes.get(each.name)),
            f"`{each.treatment}` against `{each.baseline}`",
        ]
        for each in findings.comparisons
    ]
    headers = ["Comparison", "Time per request", "Verdict", "What to do", "Compared"]
    reasons = [
        f"**{sentence(each.name)}** is {not_comparable(each.difference)}."
        for each in findings.comparisons
        if each.difference and not each.difference.comparable
    ]
    return "\n\n".join(["## Verdicts", table(headers, rows), *reasons])


def advice(each: JudgedComparison, change: Change | None) -> str:
    """
    The action that a verdict suggests.
    """
    if each.control:
        return _trust(each)
    blocks = each.verdict.blocks_needed
    words = {
        Kind.NOT_COMPARABLE: "Mend the errors, then measure again.",
        Kind.CANNOT_TELL: f"Measure about {blocks} blocks." if blocks else "Measure more blocks.",
        Kind.EQUIVALENT: "Decide by other criteria.",
        Kind.SLOWER: "Do not apply it." if change else "Expect this cost.",
        Kind.FASTER: _apply(change) if change else "Expect this saving.",
    }
    return words[each.verdict.kind]


def _apply(change: Change) -> str:
    if change.same_as:
        return f"The same configuration as `{change.same_as}`."
    slower = change.comparison.slower_at
    words = f"Apply it unless {' and '.join(slower)} matter: slower there" if slower else "Apply it"
    if not change.gives_up:
        return f"{words}."
    first, *others = change.gives_up
    more = f" and {len(others)} more (below)" if others else ""
    return f"{words}; it gives up {first}{more}."


def _trust(each: JudgedComparison) -> str:
    interval = each.trust_interval()
    if interval is None:
        return "Measure more blocks."
    if interval.excludes_zero:
        return "Trust no verdict of this run."
    return "Nothing: no difference was found where there is none."


def verdict_lines(findings: Findings) -> list[str]:
    """
    One sentence for each comparison.
    """
    return [control(each) if each.control else verdict(each) for each in findings.comparisons]


def unsaid(findings: Findings) -> str:
    """
    The limits of the verdicts.
    """
    limits = []
    differences = [each.difference for each in findings.comparisons]
    blocks = [each.blocks for each in differences if each is not None]
    if blocks and min(blocks) < FEW_BLOCKS:
        limits.append(
            f"**{count(min(blocks), 'block')} of each.** Intervals from so few blocks are wide. "
            "That a difference is not resolved is no evidence against it."
        )
    limits.append(OF_STACKS if findings.manifest.stack else RUNTIMES)
    limits.append(ELSEWHERE if findings.sweep is None else OTHER_MACHINES)
    if not findings.manifest.ladders:
        limits.append(WHOLE)
    return "\n\n".join(["## What this run does not say", "\n".join(f"- {line}" for line in limits)])
