"""
CPU time per request: by comparison, and by variant and place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import microseconds, percent, plus_minus, table
from analysis.statistics.intervals import Interval
from experiments.records.cpu import CLIENT, DAEMON, LOG_READER, PROXY, RUNNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from analysis.topics.cpu.findings import CpuComparison, CpuCost
    from experiments.records.trials import TrialRecord

INTRODUCTION = (
    "Microseconds of CPU time per request over all loads: the mean over trials ± half the width of "
    "its 95 % interval. Counters of control groups and of /proc are read before and after each "
    "load. “Unaccounted” is the machine's busy time beyond all parts, also as a share of that "
    "busy time. “Stolen” is CPU time that a hypervisor gave to others. Context switches are of "
    "the whole machine."
)

COMPARED = (
    "CPU time of the treatment less that of the baseline, paired within blocks, with 95 % "
    "intervals. It covers services, Docker's daemons, docker-proxy and log readers, but not the "
    "client and the runner. The kernel's work on a packet that the client sends counts as the "
    "client's. P-values are of no relative difference, after Holm; A/A comparisons are corrected "
    "separately. Arms that are not comparable have no values. Soft interrupts are of the whole "
    "machine, and shown only where the kernel counts them separately."
)

NONE = Interval(0.0, None, None)


def cpu(findings: Findings) -> str:
    """
    One row for each declared comparison; empty without CPU records.
    """
    compared = findings.cpu_comparisons
    if all(each.difference is None for each in compared):
        return ""
    headers = ["Comparison", "Baseline (µs)", "Difference", "Relative", "p (Holm)"]
    return "\n\n".join(
        [
            "## CPU time per request",
            COMPARED,
            table([*headers, "Soft interrupts", "Blocks"], [_compared(each) for each in compared]),
        ]
    )


def cpu_details(findings: Findings) -> str:
    """
    One row for each variant with CPU records; empty without any.
    """
    costs = findings.cpu_costs
    if not costs:
        return ""
    services = [
        name
        for name in findings.manifest.workload.services
        if any(name in cost.parts for cost in costs.values())
    ]
    return "\n\n".join(
        [
            "### CPU time per request of each variant",
            INTRODUCTION + " " + _about_interrupts(findings.trials),
            table(
                [
                    *("Variant", "Services, user", "Services, kernel", "Docker's daemons"),
                    *("docker-proxy", "Log readers", "Client", "Runner"),
                    "Soft interrupts",
                    *("Unaccounted", "Stolen", "Context switches", "Trials"),
                ],
                [_row(name, cost) for name, cost in costs.items()],
            ),
            "By service:",
            table(
                ["Variant", *services],
                [
                    [name, *(plus_minus(cost.parts.get(each, NONE)) for each in services)]
                    for name, cost in costs.items()
                ],
            ),
        ]
    )


def _compared(each: CpuComparison) -> list[str]:
    compared, difference, p_value = each.compared, each.difference, each.p_value
    name = f"{compared.name} ({compared.treatment} against {compared.baseline})"
    if difference is None:
        return [name, *["–"] * 5, "0"]
    p_text = "–" if p_value is None else f"{p_value:.3f}"
    return [
        name,
        plus_minus(difference.baseline_us),
        microseconds(difference.difference_us),
        percent(difference.relative) if difference.relative else "–",
        "< 0.001" if p_value is not None and p_value < 0.001 else p_text,
        microseconds(difference.interrupts_us) if difference.interrupts_us else "–",
        str(difference.blocks),
    ]


def _about_interrupts(trials: Sequence[TrialRecord]) -> str:
    kinds = {trial.cpu.interrupts_apart for trial in trials if trial.cpu}
    if kinds == {True}:
        return "This kernel counts soft interrupts separately from the tasks that they interrupt."
    if kinds == {False}:
        return (
            "This kernel adds soft interrupts to the tasks that they interrupt, so that column is "
            "part of the others, estimated from clock ticks."
        )
    return (
        "This kernel does not say whether it counts soft interrupts separately, so that column may "
        "be part of the others."
    )


def _row(name: str, cost: CpuCost) -> list[str]:
    share = percent(Interval(cost.unaccounted_share.estimate, None, None)).partition(" [")[0]
    return [
        name,
        plus_minus(cost.services_user),
        plus_minus(cost.services_system),
        *(plus_minus(cost.parts[part]) if part in cost.parts else "–" for part in (DAEMON, PROXY)),
        plus_minus(cost.parts[LOG_READER]) if LOG_READER in cost.parts else "–",
        plus_minus(cost.parts[CLIENT]),
        plus_minus(cost.parts[RUNNER]),
        plus_minus(cost.interrupts),
        f"{plus_minus(cost.unaccounted)} ({share})",
        plus_minus(cost.stolen),
        plus_minus(cost.context_switches, 1),
        str(cost.trials),
    ]
