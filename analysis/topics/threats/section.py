"""
Threats to validity: only those that apply to this run.
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
    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

FEW_FOR_NORMAL = 10
"""With fewer blocks, an interval relies on about normal values."""

NOTABLE_SHARE = 0.001
"""Steal is listed above this share of CPU time; the warnings at the top have a higher limit."""


CROWDED = 0.1
"""Unaccounted busy time above this share is other work on the machine, not rounding."""

LATE_US = 1000
"""The open loop's lateness, in microseconds, above which the report mentions it."""


AS_PUBLISHED = "As published, ab and the gateway open a connection for every request"
OF_STACK = "ab opens a connection for every request"


def _what(manifest: Manifest) -> str:
    if manifest.stack is None:
        return "a small Flask service"
    return f"service {manifest.workload.entry_service} of {manifest.stack.name}"


def threats(findings: Findings) -> str:
    """
    The threats to validity, each with its size in this run.
    """
    manifest = findings.manifest
    lines = [
        *_machine(manifest),
        *_instrument(findings.comparisons),
        *_side_by_side(findings),
        *_calibration(findings.recoveries),
        *_trials(findings.trials, findings.comparisons),
        (
            f"**One stack, one workload, one machine.** The percentages are of {_what(manifest)} "
            f"that answers `{manifest.workload.path}`. A request that does more work "
            "pays the same cost on a larger total. "
            f"{OF_STACK if manifest.stack else AS_PUBLISHED}, which makes name resolution, address "
            "translation and proxies expensive. Disks, TLS, keep-alive and several hosts are not "
            "measured."
        ),
    ]
    return "\n\n".join(["## Threats to validity", "\n".join(f"- {line}" for line in lines)])


def _machine(manifest: Manifest) -> list[str]:
    seen = manifest.environment
    lines = []
    if manifest.machine.is_emulated:
        lines.append("**Emulation.** The CPUs were emulated. No cost here is that of real CPUs.")
    share = seen.stolen_share
    if share is not None and share > NOTABLE_SHARE:
        lines.append(
            f"**Steal.** The hypervisor took {share * 100:.2f} % of the CPU time for others."
        )
    if len(seen.cpus) == 2:
        lines.append(
            "**Two CPUs.** The client has one and the whole stack the other. Services take turns, "
            "and they wait while Docker's daemons and docker-proxy compute. With more CPUs, part "
            "of that cost would show in CPU time per request only."
        )
    return lines


def _instrument(compared: Sequence[JudgedComparison]) -> list[str]:
    return [
        (
            "**A/A**: two deployments of the same thing differ by more than their interval of "
            f"{TRUST_CONFIDENCE * 100:.0f} % allows."
        )
        for each in compared
        if each.control
        and (interval := each.trust_interval()) is not None
        and interval.excludes_zero
    ]


def _side_by_side(findings: Findings) -> list[str]:
    """
    The threats from deployments side by side and from short loads.
    """
    others = [load.others for trial in findings.trials for load in trial.loads]
    if not others:
        return []
    lines = [
        (
            "**Frozen and thawed.** Up to "
            f"{count(max(others), 'frozen deployment')} stood beside the one under load. They take "
            "memory, but no CPU time. Every load begins with cold CPU caches, and a deployment "
            "with more processes has more to fetch. Clocks go on in a frozen deployment, so "
            "timers (TCP, name resolution, gunicorn's heartbeat) expire meanwhile."
        )
    ]
    manifest, short_loads = findings.manifest, findings.short_against_at_once
    measured = ", ".join(f"{name} {percent(interval)}" for name, interval in short_loads.items())
    lines.append(
        f"**Short loads.** Ramp-up and ramp-down are a larger part of a load of "
        f"{manifest.requests} requests than of a longer one. "
        + (
            f"Relative to loads of {manifest.requests_at_once} on the same deployments, a request "
            f"takes longer by: {measured}."
            if measured
            else "This run has no longer loads for comparison."
        )
    )
    place = findings.place_term
    if place.excludes_zero:
        lines.append(
            "**Effect of the place.** Each doubling of a deployment's place in its block changes "
            f"time per request by {percent(place.map(math.expm1))}. The cause is not known. "
            "Variants rotate through the places, and estimates are corrected for it; the "
            "correction's own uncertainty is in no interval."
        )
    return lines


def _calibration(recoveries: Sequence[Recovery]) -> list[str]:
    """
    The injected costs that were not recovered.
    """
    off = [
        f"{INJECTED[each.factor]} in {each.measure} by {plus_minus(each.slope, 2)} (expected "
        f"{each.share:g})"
        for each in recoveries
        if each.slope.low is not None
        and each.slope.high is not None
        and not each.slope.low <= each.share <= each.slope.high
    ]
    if not off:
        return []
    words = (
        f"**Known costs were not recovered**: {'; '.join(off)}. Costs in this report, in "
        "microseconds and in per cent, may be off by as much."
    )
    return [words]


def _trials(trials: Sequence[TrialRecord], compared: Sequence[JudgedComparison]) -> list[str]:
    lines = []
    crowded = [
        trial.variant for trial in trials if trial.cpu and unaccounted_share(trial.cpu) > CROWDED
    ]
    if crowded:
        lines.append(
            f"**Other work on the machine** in {count(len(crowded), 'trial')}: more than "
            f"{CROWDED * 100:.0f} % of its busy time was not the experiment's "
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
            f"request (median of the {count(len(late_us), 'load')}: "
            f"{statistics.median(late_us) / 1e3:.1f} ms). Latencies count from the scheduled "
            "start, so they include this."
        )
    failed = sum(trial.status == ERROR for trial in trials)
    if failed:
        lines.append(f"**{count(failed, 'trial')} failed** and have no result.")
    least = [
        each.verdict.detectable
        for each in compared
        if each.verdict.detectable is not None and not each.control
    ]
    if least:
        lines.append(
            f"**Statistical power.** The comparisons detect ±{min(least) * 100:.1f} to "
            f"±{max(least) * 100:.1f} % with 80 % power. Smaller differences may exist."
        )
    if trials and not any(trial.open_loads for trial in trials):
        lines.append(
            "**Closed loop only.** A stalled stack receives no requests, so the high percentiles "
            "are too small. `nox -s latency` loads by a schedule."
        )
    few = [
        f"{each.name} ({each.difference.blocks})"
        for each in compared
        if each.difference is not None and each.difference.blocks < FEW_FOR_NORMAL
    ]
    if few:
        lines.append(
            f"**Fewer than {FEW_FOR_NORMAL} blocks**: {', '.join(few)}. Such an interval assumes "
            "about normal values."
        )
    return lines
