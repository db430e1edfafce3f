"""
What was run, and the words that the report uses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis.formatting import count

if TYPE_CHECKING:
    from analysis.findings import Findings

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


def overview(findings: Findings) -> str:
    """
    What was run, and the words that the report uses.
    """
    manifest, trials = findings.manifest, findings.trials
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
