"""
Threats to validity, written from what was measured: only those that this run has.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from analysis.formatting import count, percent, plus_minus
from analysis.topics.calibration.findings import INJECTED
from analysis.topics.comparisons.findings import TRUST_CONFIDENCE
from analysis.topics.cpu.findings import client_bound, unaccounted_share
from experiments.records.trials import CLIENT_BOUND, ERROR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from analysis.topics.calibration.findings import Recovery
    from analysis.topics.comparisons.findings import Comparison
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

FEW_FOR_NORMAL = 10
"""Of fewer blocks the shape of their values decides how much an interval is worth."""

NOTABLE_SHARE = 0.001
"""From this share of CPU time on what a hypervisor took is listed; the top says it later."""


CROWDED = 0.1
"""More than this share of a trial's busy time that belongs to no part of it is no rounding."""

LATE_US = 1000
"""What the open loop's client is late by at the most before it is worth a word."""


def threats(findings: Findings) -> str:
    """
    What may make the numbers mean less than they say, each with its measure in this run.
    """
    manifest = findings.manifest
    lines = [
        *_machine(manifest),
        *_instrument(findings.comparisons),
        *_side_by_side(findings),
        *_calibration(findings.recoveries),
        *_trials(findings.trials, findings.comparisons),
        (
            "**One stack, one workload, one machine.** The percentages are of a small Flask "
            f"service that answers `{manifest.workload.path}`; a request that does more work "
            "pays the same tolls on a larger sum. As published, the gateway opens a connection for "
            "every request that it passes on, and ab one for every request, which makes names, "
            "address translation and proxies dear. Disks, TLS, connections that are kept, and "
            "several hosts are not measured."
        ),
    ]
    return "\n\n".join(["## Threats to validity", "\n".join(f"- {line}" for line in lines)])


def _machine(manifest: Manifest) -> list[str]:
    seen = manifest.environment
    lines = []
    if manifest.machine.is_emulated:
        lines.append("**Emulation.** The CPUs were emulated; no cost here is that of real ones.")
    share = seen.stolen_share
    if share is not None and share > NOTABLE_SHARE:
        lines.append(
            f"**Steal.** The hypervisor took {share * 100:.2f} % of the CPU time for others."
        )
    if len(seen.cpus) == 2:
        lines.append(
            "**Two CPUs.** The client has one and the whole stack the other, so services that "
            "could run side by side take turns, and what Docker's daemons and docker-proxy compute "
            "is time that services wait. With idle CPUs beside them, part of that would not show "
            "in time per request; in CPU time per request it would."
        )
    return lines


def _instrument(compared: Sequence[Comparison]) -> list[str]:
    return [
        (
            "**A/A**: the same thing twice differs by more than its interval of "
            f"{TRUST_CONFIDENCE * 100:.0f} % allows."
        )
        for each in compared
        if each.control
        and (interval := each.trust_interval()) is not None
        and interval.excludes_zero
    ]


def _side_by_side(findings: Findings) -> list[str]:
    """
    What comes of deployments that stand side by side, and of loads that are short.
    """
    others = [load.others for trial in findings.trials for load in trial.loads]
    if not others:
        return []
    lines = [
        (
            "**Frozen and thawed.** Beside the deployment under load stood up to "
            f"{count(max(others), 'frozen one')}. They take no CPU time, but memory, and what was "
            "loaded before is what the CPUs' caches hold, so every load begins with cold ones; "
            "one that has more processes has more to fetch. Clocks go on in a frozen deployment: "
            "whatever waits for a time (TCP, name resolution, gunicorn's sign of life) finds it "
            "passed."
        )
    ]
    manifest, found = findings.manifest, findings.short_against_at_once
    measured = ", ".join(f"{name} {percent(interval)}" for name, interval in found.items())
    lines.append(
        f"**Short loads.** In a load of {manifest.requests} requests its beginning and its end, "
        "when fewer are under way, are a larger part than in a longer one"
        + (
            f". Against loads of {manifest.requests_at_once} on the same deployments a request "
            f"takes longer by: {measured}."
            if measured
            else "; this run has no longer ones to compare them with."
        )
    )
    place = findings.place_term
    if place.excludes_zero:
        lines.append(
            "**A deployment that is brought up later is another one.** At twice the place it took "
            f"{percent(place.map(math.expm1))} time per request. Nobody knows why. Variants take "
            "turns in the places, and the difference is taken off."
        )
    return lines


def _calibration(recoveries: Sequence[Recovery]) -> list[str]:
    """
    The known doses that did not come out as they were put in.
    """
    off = [
        f"{INJECTED[each.factor]} in {each.measure} by {plus_minus(each.slope, 2)} where "
        f"{each.share:g} is right"
        for each in recoveries
        if each.slope.low is not None
        and each.slope.high is not None
        and not each.slope.low <= each.share <= each.slope.high
    ]
    if not off:
        return []
    words = (
        f"**Known doses did not come out as they were put in**: {'; '.join(off)}. What is said of "
        "microseconds here may be off by as much."
    )
    return [words]


def _trials(trials: Sequence[TrialRecord], compared: Sequence[Comparison]) -> list[str]:
    lines = []
    crowded = [
        trial.variant for trial in trials if trial.cpu and unaccounted_share(trial.cpu) > CROWDED
    ]
    if crowded:
        lines.append(
            f"**In {count(len(crowded), 'trial')} the machine had other work**: more than "
            f"{CROWDED * 100:.0f} % of its busy time belonged to nothing that was measured "
            f"({', '.join(dict.fromkeys(crowded))})."
        )
    bound = sum(map(client_bound, trials))
    if bound:
        lines.append(
            f"**{count(bound, 'trial')} may be bound by the client**, which used more than "
            f"{CLIENT_BOUND * 100:.0f} % of its CPU."
        )
    late_us = [load.latest_us for trial in trials for load in trial.open_loads]
    if max(late_us, default=0) > LATE_US:
        lines.append(
            f"**The open loop's client was late** by up to {max(late_us) / 1e3:.1f} ms with a "
            f"request (in half of the {count(len(late_us), 'load')} by no more than "
            f"{statistics.median(late_us) / 1e3:.1f} ms). Latencies count from when it should have "
            "been sent, so they hold that too."
        )
    failed = sum(trial.status == ERROR for trial in trials)
    if failed:
        lines.append(f"**{count(failed, 'trial')} failed** and have no number.")
    least = [
        each.verdict.detectable
        for each in compared
        if each.verdict.detectable is not None and not each.control
    ]
    if least:
        lines.append(
            f"**Small differences are out of reach.** The comparisons would find ±"
            f"{min(least) * 100:.1f} to ±{max(least) * 100:.1f} % in four of five runs; what was "
            "not told may well be there."
        )
    if trials and not any(trial.open_loads for trial in trials):
        lines.append(
            "**Closed loop only.** A stack that stalls is asked for nothing meanwhile, so the high "
            "percentiles are too small; `nox -s latency` loads by a schedule."
        )
    few = [
        f"{each.name} ({each.difference.blocks})"
        for each in compared
        if each.difference is not None and each.difference.blocks < FEW_FOR_NORMAL
    ]
    if few:
        lines.append(
            f"**Fewer than {FEW_FOR_NORMAL} blocks**: {', '.join(few)}. Such an interval rests on "
            "its values being about normal."
        )
    return lines
