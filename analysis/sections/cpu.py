"""
CPU time per request, by where it is spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.cpu import CLIENT, DAEMON, PROXY, READER, RUNNER, cpu_cost
from analysis.formatting import percent, plus_minus, table
from analysis.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.cpu import CpuCost
    from experiments.records import Manifest, TrialRecord

INTRODUCTION = (
    "Microseconds of CPU time per request during the load: the mean over trials, ± half the width "
    "of its 95 % interval. Counters of control groups and of /proc are read before and after, and "
    "not while it runs. “Unaccounted” is what the machine was busy with beyond all parts, in "
    "microseconds and as a share of its busy time; “stolen” is what a hypervisor gave to others; "
    "context switches are the whole machine's."
)

NONE = Interval(0.0, None, None)


def cpu(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each variant whose CPU time was looked at; empty when none was.
    """
    costs = {
        each["name"]: cost
        for each in manifest.variants
        if (cost := cpu_cost(each["name"], trials)) is not None
    }
    if not costs:
        return ""
    services = [
        name
        for name in manifest.workload["services"]
        if any(name in cost.parts for cost in costs.values())
    ]
    kinds = {trial.cpu["interrupts_apart"] for trial in trials if trial.cpu}
    return "\n\n".join(
        [
            "## CPU time per request",
            INTRODUCTION + " " + _about_interrupts(kinds),
            table(
                [
                    *("Variant", "Services, user", "Services, kernel", "Docker's daemons"),
                    *("docker-proxy", "Log readers", "Client", "Runner", "Soft interrupts"),
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


def _about_interrupts(kinds: set[bool | None]) -> str:
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
