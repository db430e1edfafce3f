"""
CPU time per request: of each comparison, and of each variant by where it is spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import microseconds, percent, plus_minus, table
from analysis.statistics.intervals import Interval
from analysis.topics.cpu.findings import CLIENT, DAEMON, PROXY, READER, RUNNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from analysis.topics.cpu.findings import CpuComparison, CpuCost
    from experiments.records.trials import TrialRecord

INTRODUCTION = (
    "Microseconds of CPU time per request during all loads: the mean over trials, ± half the "
    "width of its 95 % interval. Counters of control groups and of /proc are read before and "
    "after each load, and not while it runs. “Unaccounted” is what the machine was busy with "
    "beyond all parts, in microseconds and as a share of its busy time; “stolen” is what a "
    "hypervisor gave to others; context switches are the whole machine's."
)

COMPARED = (
    "What each treatment spends beyond its baseline, paired within blocks, with 95 % intervals: "
    "CPU time of everything but the client and the runner, so of services, Docker's daemons, "
    "docker-proxy and log readers. What the kernel does with a packet while the client sends it "
    "is the client's, and so not in it. The p-value is of no relative difference, corrected for "
    "the number of comparisons (Holm); those of one thing with itself (A/A) are corrected apart. "
    "Of what is not comparable nothing is shown. Soft interrupts are the whole machine's, and "
    "shown only where the kernel is known to count them apart from all else."
)

NONE = Interval(0.0, None, None)


def cpu(findings: Findings) -> str:
    """
    One row for each declared comparison; empty when no block has both of any.
    """
    found = findings.cpu_comparisons
    if all(each.difference is None for each in found):
        return ""
    headers = ["Comparison", "Baseline (µs)", "Difference", "Relative", "p (Holm)"]
    return "\n\n".join(
        [
            "## CPU time per request",
            COMPARED,
            table([*headers, "Soft interrupts", "Blocks"], [_compared(each) for each in found]),
        ]
    )


def cpu_details(findings: Findings) -> str:
    """
    One row for each variant whose CPU time was looked at; empty when none was.
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
        return "This kernel counts soft interrupts apart from the tasks that they interrupt."
    if kinds == {False}:
        return (
            "This kernel counts soft interrupts as the tasks' that they interrupt, so that column "
            "is part of the others, estimated from the clock's ticks."
        )
    return (
        "This kernel does not say whether it counts soft interrupts apart from the tasks that they "
        "interrupt; the column may be part of the others."
    )


def _row(name: str, cost: CpuCost) -> list[str]:
    share = percent(Interval(cost.unaccounted_share.estimate, None, None)).partition(" [")[0]
    return [
        name,
        plus_minus(cost.services_user),
        plus_minus(cost.services_system),
        *(plus_minus(cost.parts[part]) if part in cost.parts else "–" for part in (DAEMON, PROXY)),
        plus_minus(cost.parts[READER]) if READER in cost.parts else "–",
        plus_minus(cost.parts[CLIENT]),
        plus_minus(cost.parts[RUNNER]),
        plus_minus(cost.interrupts),
        f"{plus_minus(cost.unaccounted)} ({share})",
        plus_minus(cost.stolen),
        plus_minus(cost.context_switches, 1),
        str(cost.trials),
    ]
