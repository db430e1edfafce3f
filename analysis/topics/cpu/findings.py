"""
CPU time per request, by where it is spent.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.estimates import Trials, trials_by_part
from analysis.statistics.intervals import t_interval
from analysis.statistics.verdicts import holm, p_value_of_none
from experiments.records.cpu import (
    BUSY,
    CLIENT,
    DAEMON,
    LOG_READER,
    PROXY,
    RUNNER,
    part_of,
)
from experiments.records.trials import CLIENT_BOUND, OK, CpuTime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.statistics.intervals import Interval
    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.records.trials import CpuSpent, TrialRecord

BESIDE = (CLIENT, RUNNER, DAEMON, PROXY, LOG_READER)
"""Parts that are not services."""

INSTRUMENT = (CLIENT, RUNNER)
"""Parts of the instrument; all other parts are the stack and Docker."""


@dataclass(frozen=True)
class CpuCost:
    """
    CPU time of one variant's trials in microseconds per request: means with intervals.

    ``parts`` is by part; all log readers are one part. ``services_user`` and ``services_system``
    are sums over all services, in user mode and in the kernel. ``interrupts`` is the kernel's count
    of soft interrupts, which is part of the other figures unless the kernel counts it separately.
    ``unaccounted`` is the machine's busy time beyond all parts, ``unaccounted_share`` its share of
    that busy time, and ``stolen`` is steal. ``context_switches`` counts those of the whole machine,
    per request. ``throttled_s`` is seconds at a CPU limit per second of load.
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
    The difference in CPU time per request, treatment less baseline, paired within blocks.

    It covers all parts except the INSTRUMENT: services, Docker's daemons, docker-proxy and log
    readers. ``baseline_us`` and ``difference_us`` are in microseconds per request. ``log_ratios``
    has one value for each block; it is empty if a block's CPU time is below the clock's resolution.
    ``interrupts_us`` is the difference in the whole machine's soft interrupts; None unless the
    kernel is known to count them separately.
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
    A comparison in CPU time: the difference and its p-value after Holm's correction.

    Both are None if no block has CPU records of both arms, or if the arms are not comparable: an
    error costs less CPU time than an answer.
    """

    compared: JudgedComparison
    difference: CpuDifference | None
    p_value: float | None


def cpu_comparisons(
    compared: Sequence[JudgedComparison], trials: Sequence[TrialRecord]
) -> list[CpuComparison]:
    """
    Every comparison in CPU time; A/A comparisons are corrected as a separate family.
    """
    differences = [
        cpu_difference(each.baseline, each.treatment, trials)
        if each.difference is None or each.difference.comparable
        else None
        for each in compared
    ]
    raw = [p_value_of_none(each.log_ratios) if each else None for each in differences]
    families = {
        kind: holm(
            [p if each.control is kind else None for p, each in zip(raw, compared, strict=True)]
        )
        for kind in (False, True)
    }
    return [
        CpuComparison(each, difference, families[each.control][index])
        for index, (each, difference) in enumerate(zip(compared, differences, strict=True))
    ]


def client_bound(trial: TrialRecord) -> bool:
    """
    Whether the client used so much of its CPU that it may have limited the rate.
    """
    return trial.cpu is not None and trial.cpu.client_share > CLIENT_BOUND


def unaccounted_share(cpu: CpuSpent) -> float:
    """
    The busy time that belongs to no part, as a share of the whole machine's busy time.
    """
    spent = sum(cpu.machine_s[name] for name in BUSY)
    return cpu.unaccounted_s / spent if spent else 0.0


def cpu_cost(variant: str, trials: Sequence[TrialRecord]) -> CpuCost | None:
    """
    The CPU time of one variant's trials; None without CPU records.
    """
    rows = [
        (trial.cpu, trial.load)
        for trial in Trials.of(trials).by_variant.get(variant, [])
        if trial.status == OK and trial.load is not None and trial.cpu
    ]
    if not rows:
        return None
    parts = [_by_part(cpu) for cpu, _ in rows]
    names = list(dict.fromkeys(name for each in parts for name in each))
    nothing = CpuTime()

    def per_request(of: Sequence[float], part: str = "") -> Interval:
        requests = [load.requests_of(part) for _, load in rows]
        return t_interval([each * 1e6 / number for each, number in zip(of, requests, strict=True)])

    services = [name for name in names if name not in BESIDE]
    return CpuCost(
        trials=len(rows),
        parts={
            name: per_request([each.get(name, nothing).total_s for each in parts], name)
            for name in names
        },
        services_user=per_request(
            [sum(each[name].user_s for name in services if name in each) for each in parts]
        ),
        services_system=per_request(
            [sum(each[name].system_s for name in services if name in each) for each in parts]
        ),
        interrupts=per_request([cpu.machine_s["softirq"] for cpu, _ in rows]),
        unaccounted=per_request([cpu.unaccounted_s for cpu, _ in rows]),
        unaccounted_share=t_interval([unaccounted_share(cpu) for cpu, _ in rows]),
        stolen=per_request([cpu.machine_s["steal"] for cpu, _ in rows]),
        context_switches=t_interval([cpu.context_switches / load.served for cpu, load in rows]),
        throttled_s=t_interval([sum(cpu.throttled_s.values()) / cpu.duration_s for cpu, _ in rows]),
    )


def _by_part(cpu: CpuSpent) -> dict[str, CpuTime]:
    parts: dict[str, CpuTime] = {}
    for name, spent in cpu.parts.items():
        part = part_of(name)
        parts[part] = parts[part] + spent if part in parts else spent
    return parts


def cpu_difference(
    baseline: str, treatment: str, trials: Sequence[TrialRecord]
) -> CpuDifference | None:
    """
    The paired difference in CPU time; None if no block has CPU records of both arms.
    """
    pairs = [
        (part[baseline], part[treatment])
        for part in trials_by_part(trials).values()
        if baseline in part and treatment in part and part[baseline].cpu and part[treatment].cpu
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
    Microseconds per request of both arms for each block, as means over its parts.
    """
    blocks: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for before, after in pairs:
        if before.load and after.load and before.cpu and after.cpu:
            blocks[before.block].append(
                (
                    seconds(before.cpu) * 1e6 / before.load.served,
                    seconds(after.cpu) * 1e6 / after.load.served,
                )
            )
    return [
        (statistics.fmean(one for one, _ in both), statistics.fmean(two for _, two in both))
        for both in blocks.values()
    ]


def _stack_s(cpu: CpuSpent) -> float:
    return sum(
        spent.total_s for name, spent in cpu.parts.items() if part_of(name) not in INSTRUMENT
    )
