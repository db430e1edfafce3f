"""
What was run, what came out, in sentences, and what that does not say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis.formatting import count, verdict
from analysis.topics.trust.section import control

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.topics.comparisons.findings import Comparison
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

FEW_BLOCKS = 5
"""Below this the report says that its intervals are wide by nature."""

WORDS = (
    "*Trial*: one fresh deployment, from bringing up to taking down; every statistic is over "
    "trials. *Block*: one trial of every variant, side by side: all are up, and all but the one "
    "under load are frozen. *Round*: one load of every trial of a block, in random order. "
    "*Load*: one short, whole run of ab; the loads of a trial are one observation. *A/A*: one "
    "variant measured as two, to see what the instrument makes of no difference. *Holm*: the "
    "correction of verdicts for how many comparisons there are. *Cannot tell*: the question "
    "stays open, which is not to say that there is no difference. *Not comparable*: the shares "
    "of good answers differ, so that times say nothing, because errors are quick."
)
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


def overview(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    What was run, and the words that the report uses.
    """
    day = datetime.fromtimestamp(manifest.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    blocks = max((trial.block for trial in trials), default=0)
    intro = (
        "One microservice stack, deployed afresh for every trial, as plain processes in raw Linux "
        "network namespaces and by Docker Compose: the same files, the same interpreter, the same "
        f"Compose file. Run {manifest.run}, begun {day}: {count(len(trials), 'trial')} of "
        f"{count(len(manifest.variants), 'variant')} in {count(blocks, 'block')} of "
        f"{count(manifest.rounds, 'round')}, on "
        f"{manifest.machine.reason}."
    )
    return f"## Overview\n\n{intro}\n\n{WORDS}"


def conclusions(compared: Sequence[Comparison], *, has_ladder: bool) -> str:
    """
    One sentence for each comparison, and what they do not say.
    """
    lines = [f"- {control(each) if each.control else verdict(each)}" for each in compared]
    limits = []
    blocks = [each.difference.blocks for each in compared if each.difference is not None]
    if blocks and min(blocks) < FEW_BLOCKS:
        limits.append(
            f"{count(min(blocks), 'block')} of each: an interval from so few is wide by nature, "
            "and does not speak against a difference that it fails to resolve."
        )
    limits += [RUNTIMES, ELSEWHERE]
    if not has_ladder:
        limits.append("A difference between whole systems does not say which part costs what.")
    return "\n\n".join(
        [
            "## Conclusions",
            "\n".join(lines),
            UNSAID,
            "\n".join(f"- {line}" for line in limits),
        ]
    )
