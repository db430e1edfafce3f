"""
CPU time per request: of each comparison, and of each variant by where it is spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import microseconds, percent, plus_minus, table
from analysis.statistics.estimates import compare
from analysis.statistics.intervals import Interval
from analysis.statistics.verdicts import holm, p_value_of_none
from analysis.topics.comparisons.findings import is_control
from analysis.topics.cpu.findings import (
    CLIENT,
    DAEMON,
    PROXY,
    READER,
    RUNNER,
    cpu_cost,
    cpu_difference,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.topics.cpu.findings import CpuCost, CpuDifference
    from experiments.records.manifest import Manifest
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


def cpu(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each declared comparison; empty when no block has both of any.
    """
    pairs = [(each.baseline, each.treatment) for each in manifest.comparisons]
    found = [
        cpu_difference(*pair, trials) if _comparable(*pair, trials) else None for pair in pairs
    ]
    if not any(found):
        return ""
    controls = [is_control(manifest, *pair) for pair in pairs]
    p_values = _p_values(found, controls)
    headers = ["Comparison", "Baseline (µs)", "Difference", "Relative", "p (Holm)"]
    rows = [
        [
            f"{declared.name} ({declared.treatment} against {declared.baseline})",
            *_cells(each, p_value),
        ]
        for declared, each, p_value in zip(manifest.comparisons, found, p_values, strict=True)
    ]
    return "\n\n".join(
        [
            "## CPU time per request",
            COMPARED,
            table([*headers, "Soft interrupts", "Blocks"], rows),
        ]
    )


def cpu_details(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each variant whose CPU time was looked at; empty when none was.
    """
    costs = {
        each.name: cost
        for each in manifest.variants
        if (cost := cpu_cost(each.name, trials)) is not None
    }
    if not costs:
        return ""
    services = [
        name
        for name in manifest.workload.services
        if any(name in cost.parts for cost in costs.values())
    ]
    return "\n\n".join(
        [
            "### CPU time per request of each variant",
            INTRODUCTION + " " + _about_interrupts(trials),
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


def _comparable(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> bool:
    """
    Whether both answered as well, because an error costs less CPU time than an answer, too.
    """
    difference = compare(baseline, treatment, trials)
    return difference is None or difference.comparable


def _p_values(
    found: Sequence[CpuDifference | None], controls: Sequence[bool]
) -> list[float | None]:
    """
    Of no difference, in two families: the comparisons of one thing with itself, and the others.
    """
    raw = [p_value_of_none(each.log_ratios) if each else None for each in found]
    families = {
        kind: holm([p if own is kind else None for p, own in zip(raw, controls, strict=True)])
        for kind in (False, True)
    }
    return [families[control][index] for index, control in enumerate(controls)]


def _cells(each: CpuDifference | None, p_value: float | None) -> list[str]:
    if each is None:
        return ["–"] * 5 + ["0"]
    p_text = "–" if p_value is None else f"{p_value:.3f}"
    return [
        plus_minus(each.baseline_us),
        microseconds(each.difference_us),
        percent(each.relative) if each.relative else "–",
        "< 0.001" if p_value is not None and p_value < 0.001 else p_text,
        microseconds(each.interrupts_us) if each.interrupts_us else "–",
        str(each.blocks),
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
