"""
CPU time per request by where it is spent, from the records of trials.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.estimates import trials_by_part
from analysis.statistics.intervals import t_interval
from analysis.statistics.verdicts import holm, p_value_of_none
from experiments.records.trials import CLIENT_BOUND, OK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.statistics.intervals import Interval
    from analysis.topics.comparisons.findings import Comparison
    from experiments.records.trials import CpuSpent, TrialRecord

CLIENT = "client"
RUNNER = "runner"
DAEMON = "dockerd, containerd, shims"
PROXY = "docker-proxy"
READER = "log reader"
BESIDE = (CLIENT, RUNNER, DAEMON, PROXY, READER)
"""Parts that are no services, by the names in the records."""

INSTRUMENT = (CLIENT, RUNNER)
"""Parts that measure; all others are the stack with the Docker that it runs in."""

BUSY = ("user", "nice", "system", "irq", "softirq")
"""What /proc/stat counts that is neither idle nor taken by a hypervisor."""


@dataclass(frozen=True)
class CpuCost:
    """
    CPU time of one variant's trials in microseconds per request, each a mean with its interval.

    ``parts`` is by part, the readers of pipes together; ``services_user`` and ``services_system``
    are all services', in user mode and in the kernel; ``interrupts`` is what the kernel counted as
    soft interrupts, which is part of the other figures unless it counts them apart;
    ``unaccounted`` is what the machine was busy with beyond all parts, and ``stolen`` what the
    hypervisor gave to others. ``context_switches`` are of
    the whole machine, per request, and ``throttled_s`` seconds of standing still at a limit per
    second of load.
    """

    trials: int
    parts: dict[str, Interval]
    services_user: Interval
    services_system: Interval
    interrupts: Interval
    unaccounted: Interval
    unaccounted_share: Interval
    stolen: Interval
    context_switches: Interval
    throttled_s: Interval


@dataclass(frozen=True)
class CpuDifference:
    """
    What a treatment's CPU time per request differs by from its baseline's, paired within blocks.

    Of all parts but the INSTRUMENT: services, Docker's daemons, docker-proxy and readers of logs.
    ``baseline_us`` is what the baseline spends, ``difference_us`` how much more the treatment does,
    in microseconds per request, and ``log_ratios`` has one for each block, or none at all where a
    trial's time was too short for its clock to count. ``interrupts_us`` is the difference in the
    whole machine's soft interrupts, and None where those are in the other figures already, or where
    nobody knows.
    """

    blocks: int
    baseline_us: Interval
    difference_us: Interval
    log_ratios: list[float]
    interrupts_us: Interval | None

    @property
    def relative(self) -> Interval | None:
        """
        The relative difference (0.1 is ten per cent more), from the mean log-ratio.
        """
        return t_interval(self.log_ratios).map(math.expm1) if self.log_ratios else None


@dataclass(frozen=True)
class CpuComparison:
    """
    A comparison in CPU time: its difference, and the p-value of none, corrected for their number.

    Both are None where no block has both with their CPU time, or the arms are not comparable:
    an error costs less CPU time than an answer.
    """

    compared: Comparison
    difference: CpuDifference | None
    p_value: float | None


def cpu_comparisons(
    compared: Sequence[Comparison], trials: Sequence[TrialRecord]
) -> list[CpuComparison]:
    """
    Every comparison in CPU time; those of one thing with itself (A/A) are corrected apart.
    """
    found = [
        cpu_difference(each.baseline, each.treatment, trials)
        if each.difference is None or each.difference.comparable
        else None
        for each in compared
    ]
    raw = [p_value_of_none(each.log_ratios) if each else None for each in found]
    families = {
        kind: holm(
            [p if each.control is kind else None for p, each in zip(raw, compared, strict=True)]
        )
        for kind in (False, True)
    }
    return [
        CpuComparison(each, difference, families[each.control][index])
        for index, (each, difference) in enumerate(zip(compared, found, strict=True))
    ]


def client_bound(trial: TrialRecord) -> bool:
    """
    Whether the client used so much of its CPU that the rate may be a bound on the client.
    """
    return trial.cpu is not None and trial.cpu.client_share > CLIENT_BOUND


def unaccounted_share(cpu: CpuSpent) -> float:
    """
    What no part of a trial was busy with, as a share of the whole machine's busy time.
    """
    spent = sum(cpu.machine_s[name] for name in BUSY)
    return cpu.unaccounted_s / spent if spent else 0.0


def part_of(name: str) -> str:
    """
    The part that a record's name belongs to.
    """
    return name.partition(" of ")[0]


def cpu_cost(variant: str, trials: Sequence[TrialRecord]) -> CpuCost | None:
    """
    What one variant's trials spent; None when the CPU time of none was looked at.
    """
    rows = [
        (trial.cpu, trial.load.requests_completed)
        for trial in trials
        if trial.variant == variant and trial.status == OK and trial.load is not None and trial.cpu
    ]
    if not rows:
        return None
    names = list(dict.fromkeys(part_of(name) for cpu, _ in rows for name in cpu.parts))

    def user_s(cpu: CpuSpent, wanted: str) -> float:
        return sum(each.user_s for name, each in cpu.parts.items() if part_of(name) == wanted)

    def system_s(cpu: CpuSpent, wanted: str) -> float:
        return sum(each.system_s for name, each in cpu.parts.items() if part_of(name) == wanted)

    def per_request(of: Sequence[float]) -> Interval:
        return t_interval(
            [value * 1e6 / requests for value, (_, requests) in zip(of, rows, strict=True)]
        )

    services = [name for name in names if name not in BESIDE]
    return CpuCost(
        trials=len(rows),
        parts={
            name: per_request([user_s(cpu, name) + system_s(cpu, name) for cpu, _ in rows])
            for name in names
        },
        services_user=per_request([sum(user_s(cpu, name) for name in services) for cpu, _ in rows]),
        services_system=per_request(
            [sum(system_s(cpu, name) for name in services) for cpu, _ in rows]
        ),
        interrupts=per_request([cpu.machine_s["softirq"] for cpu, _ in rows]),
        unaccounted=per_request([cpu.unaccounted_s for cpu, _ in rows]),
        unaccounted_share=t_interval([unaccounted_share(cpu) for cpu, _ in rows]),
        stolen=per_request([cpu.machine_s["steal"] for cpu, _ in rows]),
        context_switches=t_interval([cpu.context_switches / requests for cpu, requests in rows]),
        throttled_s=t_interval([sum(cpu.throttled_s.values()) / cpu.duration_s for cpu, _ in rows]),
    )


def cpu_difference(
    baseline: str, treatment: str, trials: Sequence[TrialRecord]
) -> CpuDifference | None:
    """
    The paired difference in CPU time, or None when no block has both with their CPU time looked at.
    """
    pairs = [
        (own[baseline], own[treatment])
        for own in trials_by_part(trials).values()
        if baseline in own and treatment in own and own[baseline].cpu and own[treatment].cpu
    ]
    if not pairs:
        return None
    stacks_us = _by_block(pairs, _stack_s)
    softirqs_us = _by_block(pairs, lambda cpu: cpu.machine_s["softirq"])
    apart = all(
        trial.cpu is not None and trial.cpu.interrupts_apart for pair in pairs for trial in pair
    )
    countable = all(min(both) > 0 for both in stacks_us)
    return CpuDifference(
        blocks=len(stacks_us),
        baseline_us=t_interval([before for before, _ in stacks_us]),
        difference_us=t_interval([after - before for before, after in stacks_us]),
        log_ratios=[math.log(after / before) for before, after in stacks_us] if countable else [],
        interrupts_us=t_interval([after - before for before, after in softirqs_us])
        if apart
        else None,
    )


def _by_block(
    pairs: Sequence[tuple[TrialRecord, TrialRecord]], seconds: Callable[[CpuSpent], float]
) -> list[tuple[float, float]]:
    """
    What two trials spent, each in microseconds per request, as means over the parts of a block.
    """
    blocks: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for before, after in pairs:
        if before.load and after.load and before.cpu and after.cpu:
            blocks[before.block].append(
                (
                    seconds(before.cpu) * 1e6 / before.load.requests_completed,
                    seconds(after.cpu) * 1e6 / after.load.requests_completed,
                )
            )
    return [
        (statistics.fmean(one for one, _ in both), statistics.fmean(two for _, two in both))
        for both in blocks.values()
    ]


def _stack_s(cpu: CpuSpent) -> float:
    """
    Seconds of CPU time of all parts but the INSTRUMENT.
    """
    return sum(
        spent.user_s + spent.system_s
        for name, spent in cpu.parts.items()
        if part_of(name) not in INSTRUMENT
    )
