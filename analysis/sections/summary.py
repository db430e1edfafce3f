"""
What came out, in sentences: at the top, and with its limits at the end.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis.formatting import count, verdict
from analysis.sections.trust import control

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.comparisons import Comparison
    from experiments.records import Manifest, TrialRecord

FEW_BLOCKS = 5
"""Below this the report says that its intervals are wide by nature."""


def overview(
    manifest: Manifest,
    trials: Sequence[TrialRecord],
    compared: Sequence[Comparison],
) -> str:
    """
    What was run, and one sentence for each comparison.
    """
    day = datetime.fromtimestamp(manifest.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    blocks = max((trial.block for trial in trials), default=0)
    intro = (
        "One microservice stack, deployed afresh for every trial, as plain processes in raw Linux "
        "network namespaces and by Docker Compose: the same files, the same interpreter, the same "
        f"Compose file. Run {manifest.run}, begun {day}: {count(blocks, 'block')} of "
        f"{count(len(manifest.variants), 'variant')} in random order, on "
        f"{manifest.machine.get('reason', 'an unknown machine')}."
    )
    lines = [f"- {control(each) if each.control else verdict(each)}" for each in compared]
    return "\n\n".join(["## Overview", intro, "\n".join(lines)])


def conclusions(compared: Sequence[Comparison], *, has_ladder: bool) -> str:
    """
    The same sentences again, and what they do not say.
    """
    lines = [f"- {verdict(each)}" for each in compared if not each.control]
    limits = []
    blocks = [each.difference.blocks for each in compared if each.difference is not None]
    if blocks and min(blocks) < FEW_BLOCKS:
        limits.append(
            f"{count(min(blocks), 'block')} of each: an interval from so few is wide by nature, "
            "and does not speak against a difference that it fails to resolve."
        )
    limits += [
        "The numbers are this machine's; the differences in per cent carry further than the rates."
    ]
    limits += (
        []
        if has_ladder
        else [
            "A difference between whole systems does not say which part of it costs what.",
            (
                "The runtimes differ in all that each brings by default. Only containers have a "
                "seccomp filter, fewer capabilities, firewall rules with connection "
                "tracking on their path, and output through a shim and a log driver (raw-namespace "
                "services write to a file); and only beside containers do a daemon, containerd and "
                "shims run, on the stack's CPUs."
            ),
        ]
    )
    return "\n\n".join(
        [
            "## Conclusions",
            "\n".join(lines),
            "What this run does not say:",
            "\n".join(f"- {line}" for line in limits),
        ]
    )
