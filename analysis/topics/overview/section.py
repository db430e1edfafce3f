"""
An overview of the run, and the terms that the report uses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis.formatting import GOOD_PERCENT, count

if TYPE_CHECKING:
    from analysis.findings import Findings

TERMS = {
    "trial": "one fresh deployment of one variant, from start to removal; the replicate",
    "block": "one trial of every variant, side by side: all are up, all but one are frozen",
    "round": "one load of every trial of a block, in random order",
    "load": "one short, whole run of ab; a subsample of its trial",
    "A/A": "one variant deployed and measured as two; any difference is the instrument's",
    "Holm": "the correction of p-values for the number of comparisons",
    "cannot tell": "the question stays open; there may be a difference",
    "not comparable": f"an arm has less than {GOOD_PERCENT} good answers (with the expected "
    "status, length and body); errors are quick, so times say nothing",
}


def overview(findings: Findings) -> str:
    """
    The run, its size and its machine, in two sentences.
    """
    manifest, trials = findings.manifest, findings.trials
    day = datetime.fromtimestamp(manifest.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    blocks = max((trial.block for trial in trials), default=0)
    what = f"The stack {manifest.stack.name}" if manifest.stack else "One microservice stack"
    return (
        f"{what}, deployed as plain processes in raw Linux network namespaces and "
        f"by Docker Compose. Run {manifest.run}, {day}: {count(len(trials), 'trial')} of "
        f"{count(len(manifest.variants), 'variant')} in {count(blocks, 'block')} of "
        f"{count(manifest.rounds, 'round')}, on {manifest.machine.reason}."
    )


def terms(_: Findings) -> str:
    """
    The report's terms.
    """
    lines = [f"- *{term}*: {meaning}" for term, meaning in TERMS.items()]
    return "\n\n".join(["## Terms", "\n".join(lines)])
