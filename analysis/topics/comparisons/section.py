"""
What came out of each comparison, in a sentence, and what that does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import count, verdict
from analysis.topics.trust.section import control

if TYPE_CHECKING:
    from analysis.findings import Findings

FEW_BLOCKS = 5
"""Below this the report says that its intervals are wide by nature."""

UNSAID = "What this run does not say:"
RUNTIMES = (
    "“The same” is the same files, interpreter, network layout and way in. The runtimes differ in "
    "all that each brings by default: only containers have control groups, PID, mount, UTS and IPC "
    "namespaces, an overlay root, a seccomp filter, fewer capabilities, firewall rules with "
    "connection tracking on their path, and output through a shim and a log driver (raw-namespace "
    "services write to a file); and only beside containers do a daemon, containerd and shims run, "
    "on the stack's CPUs."
)
ELSEWHERE = (
    "To another machine that is made alike the percentages should carry over rather than the "
    "microseconds; to another service on this machine the microseconds, since a heavier request "
    "pays about the same tolls on a larger sum. Neither was tested here."
)


def conclusions(findings: Findings) -> str:
    """
    One sentence for each comparison, and what they do not say.
    """
    compared = findings.comparisons
    lines = [f"- {control(each) if each.control else verdict(each)}" for each in compared]
    limits = []
    blocks = [each.difference.blocks for each in compared if each.difference is not None]
    if blocks and min(blocks) < FEW_BLOCKS:
        limits.append(
            f"{count(min(blocks), 'block')} of each: an interval from so few is wide by nature, "
            "and does not speak against a difference that it fails to resolve."
        )
    limits += [RUNTIMES, ELSEWHERE]
    if not findings.manifest.ladders:
        limits.append("A difference between whole systems does not say which part costs what.")
    return "\n\n".join(
        [
            "## Conclusions",
            "\n".join(lines),
            UNSAID,
            "\n".join(f"- {line}" for line in limits),
        ]
    )
