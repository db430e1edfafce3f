"""
Warnings that a reader needs before any number: disturbances of the run, and gaps.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from analysis.formatting import count, percent
from analysis.topics.comparisons.findings import TRUST_CONFIDENCE
from analysis.topics.cpu.findings import client_bound
from experiments.records.failures import FAILURES_IN_A_ROW, Failures
from experiments.records.manifest import COMPLETE, RUNNING
from experiments.records.trials import CLIENT_BOUND, ERROR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.findings import Findings
    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.records.manifest import Manifest, Session
    from experiments.records.trials import TrialRecord

STOLEN_SHARE = 0.01
"""Steal above this share of the run's CPU time is a warning at the top of the report."""

LONG_REASON = 300
"""Characters of a reason; the table of failed trials has more."""
MOST_SHOWN = 10
"""Of the records that were set aside."""

BRIDGE_NETFILTER_ON = "bridge-nf-call-iptables:1"


def warnings(findings: Findings) -> str:
    """
    The warnings as block quotes; empty without any.
    """
    manifest, trials = findings.manifest, findings.trials
    lines = [*_set_aside(findings.run.set_aside)]
    lines += [*_distrust(findings.comparisons), *_disturbances(manifest)]
    if manifest.state != COMPLETE:
        done = sum(trial.status != ERROR for trial in trials)
        begun = sum(len(part) for block in manifest.order for part in block)
        # The manifest of a killed run still says that it is running.
        what = "did not end" if manifest.state == RUNNING else f"is {manifest.state}"
        lines.append(
            f"**This run {what}**: {done} of the {begun} trials of its "
            f"{count(len(manifest.order), 'block')} have a result; at least "
            f"{count(manifest.blocks, 'block')} were planned. {manifest.note}"
        )
    lines += [*_resumed(manifest.sessions)]
    failed = [trial for trial in trials if trial.status == ERROR]
    if failed:
        lines.append(f"**{len(failed)} of {len(trials)} trials failed**; they are listed below.")
    lines += [
        f"**{variant} was set aside** after {FAILURES_IN_A_ROW} trials in a row without a result; "
        f"the run went on without it. The last one: {' '.join(why.split())[:LONG_REASON]}"
        for variant, why in Failures(trials).set_aside().items()
    ]
    apart = [trial.placement.pinned and trial.placement.apart for trial in trials]
    if not all(apart):
        lines.append(
            "**Client and stack shared CPUs**: the client's own work is part of every number."
        )
    lines += _wrong_answers(trials)
    bound = sorted({trial.variant for trial in trials if client_bound(trial)})
    if bound:
        lines.append(
            f"**Client-bound**: in trials of {', '.join(bound)} the client used more than "
            f"{CLIENT_BOUND * 100:.0f} % of its CPU. Those rates are the client's limit, not the "
            "stack's."
        )
    allowed = sorted({words for trial in trials for words in trial.allowed})
    if allowed:
        lines.append(
            "**Undeclared differences were allowed** between what really ran: "
            + "; ".join(allowed)
            + "."
        )
    return "\n\n".join(f"> {line.strip()}" for line in lines)


def _resumed(sessions: Sequence[Session]) -> Iterator[str]:
    """
    Where a run paused, for how long, and why; within a block there is no pause.
    """
    for before, after in pairwise(sessions):
        when = datetime.fromtimestamp(after.started_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        pause_s = after.started_at - (before.finished_at or before.started_at)
        pause = timedelta(seconds=max(0, round(pause_s)))
        where = (
            f"after block {after.after_block}" if after.after_block else "before its first block"
        )
        boots = {before.boot_id, after.boot_id} - {None}
        rebooted = " and a restart of the machine" if len(boots) > 1 else ""
        yield (
            f"**This run was resumed** {where}, on {when}, after a pause of {pause} "
            f"(hours:minutes:seconds){rebooted}. No block has a pause in it. The session before "
            f"ended so: {' '.join((before.note or before.state).split())[:LONG_REASON]}."
        )


def _wrong_answers(trials: Sequence[TrialRecord]) -> list[str]:
    """
    Answers of a good status and length and with a wrong body, which no count of ab shows.
    """
    taken: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for trial in trials:
        for load in (*trial.loads, trial.at_once):
            if load is not None:
                taken[trial.variant] += load.sampled
                wrong[trial.variant] += load.sampled_bad
    return [
        f"**Wrong answers of {variant}** under load: {number} of {taken[variant]} sampled bodies "
        "were not what the workload expects. `raw/` has them, in sampled-answers.json."
        for variant, number in wrong.items()
        if number
    ]


def _set_aside(places: Sequence[str]) -> list[str]:
    if not places:
        return []
    shown = [f"`{' '.join(place.replace('`', chr(39)).split())}`" for place in places[:MOST_SHOWN]]
    if len(places) > MOST_SHOWN:
        shown.append(f"and {len(places) - MOST_SHOWN} more")
    verb, them = ("was", "it") if len(places) == 1 else ("were", "them")
    number = count(len(places), "record")
    return [f"**{number} {verb} set aside**, and no number uses {them}: {'; '.join(shown)}."]


def _distrust(compared: Sequence[JudgedComparison]) -> list[str]:
    lines = []
    for each in compared:
        interval = each.trust_interval()
        if each.control and interval is not None and interval.excludes_zero:
            relative = percent(interval.map(math.expm1))
            lines.append(
                f"**Do not trust this run**: {each.treatment} and {each.baseline} are the same "
                f"thing, but differ by {relative} (an interval of {TRUST_CONFIDENCE * 100:.0f} %). "
                "Differences of that size mean nothing."
            )
    return lines


def _disturbances(manifest: Manifest) -> list[str]:
    lines = []
    if manifest.privileges:
        keys = "; ".join(f"`{each}`" for each in manifest.privileges)
        lines.append(
            "**Services could leave the lab**, which `--allow-privileged` allowed: "
            f"{keys}. They may have changed the machine, and with it any number here."
        )
    if manifest.machine.is_emulated:
        lines.append(
            "**Emulated machine**: this ran in a VM without hardware virtualisation. It shows that "
            "the procedure works. No number here says what Docker costs on real CPUs."
        )
    share = manifest.environment.stolen_share
    if share is not None and share > STOLEN_SHARE:
        lines.append(
            f"**The hypervisor took {share * 100:.1f} % of the CPU time** (steal). That widens "
            "the intervals and lowers the rates."
        )
    for variant in manifest.variants:
        state = manifest.network_state.get(variant.name)
        container = variant.levels.get("runtime") == "container"
        if state and container and not any(BRIDGE_NETFILTER_ON in s for s in state.sysctls):
            lines.append(
                f"**{variant.name} ran without br_netfilter**, which a Docker host has. Frames "
                "between containers passed no firewall rules, so Docker looks cheaper here."
            )
    return lines
