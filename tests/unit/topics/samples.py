"""
A run with something for every topic: rounds, CPU time, limits, doses, a sweep, a ladder and a twin.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from msgspec import structs

from analysis.topics.latency.findings import HEADER
from experiments.declare.variants import MATCHED, Comparison, Ladder, Variant, Whole
from experiments.records.cpu import STAT_FIELDS
from experiments.records.trials import CpuTime, OpenLoad
from tests.unit.samples import cpu_spent, facts, load, manifest, side_by_side, trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from experiments.records.manifest import Manifest
    from experiments.records.trials import CpuSpent, LoadResult, TrialRecord

PLAIN = {
    "runtime": "process",
    "network": "bridge",
    "entry": "direct",
    "discovery": "addresses",
    "stdio": "file",
    "server": "werkzeug",
    "cpus": "unlimited",
    "memory": "unlimited",
    "userland_proxy": "on",
    "calls": "1",
    "burn_us": "none",
    "sleep_us": "none",
}
DOCKER = {"runtime": "container", "stdio": "docker-json-file"}
INJECT = {"burn_us": "0", "sleep_us": "0"}
VARIANTS: dict[str, tuple[dict[str, str], float]] = {
    "netns": ({}, 2000.0),
    "docker": (DOCKER, 2500.0),
    "netns-again": ({}, 2002.0),
    "docker-host": ({**DOCKER, "network": "host"}, 2300.0),
    "netns-cpus-0.5": ({"cpus": "0.5"}, 6000.0),
    "netns-memory-256m": ({"memory": "256m"}, 2010.0),
    "netns-memory-64m": ({"memory": "64m"}, 2900.0),
    "netns-calls-4": ({"calls": "4"}, 6000.0),
    "docker-calls-4": ({**DOCKER, "calls": "4"}, 7500.0),
    "inject-0": (INJECT, 1500.0),
    "burn-50": ({**INJECT, "burn_us": "50"}, 1550.0),
    "burn-500": ({**INJECT, "burn_us": "500"}, 2000.0),
}
"""Levels beside the plain ones, and microseconds per request."""

LADDER = ["netns", "docker", "docker-host"]
PAIRS = [
    Comparison("matched", "", "netns", "docker", role=MATCHED),
    Comparison("host network", "", "docker", "docker-host"),
    Comparison("Docker, 4 calls", "", "netns-calls-4", "docker-calls-4"),
    Comparison("A/A", "", "netns", "netns-again"),
]


def manifest_of(names: Sequence[str]) -> Manifest:
    """
    The manifest of a run of these variants, with what can be compared and climbed among them.
    """
    ladders = [Ladder("steps", "", tuple(LADDER))]
    wholes = [Whole("from one to the other", "netns", "docker-host", ("steps",))]
    climbed = {*LADDER} <= {*names}
    return dataclasses.replace(
        manifest(),
        variants=[Variant(name, name, {**PLAIN, **VARIANTS[name][0]}) for name in names],
        comparisons=[pair for pair in PAIRS if {pair.baseline, pair.treatment} <= {*names}],
        focal=[("netns", "docker")] if "docker" in names else [],
        ladders=ladders if climbed else [],
        wholes=wholes if climbed else [],
    )


def one_trial(number: int, block: int, name: str, us: float) -> TrialRecord:
    """
    A trial with everything: rounds, and CPU time of all its places.
    """
    parts = {
        "gateway": CpuTime(us / 2000, 0.25),
        "client": CpuTime(0.1, 0.1),
        "runner": CpuTime(),
    }
    if VARIANTS[name][0].get("runtime") == "container":
        parts["dockerd, containerd, shims"] = CpuTime(0.3, 0.1)
    spent = cpu_spent(
        parts,
        machine_s=dict.fromkeys(STAT_FIELDS, 1.0) | {"softirq": 0.1},
        interrupts_apart=True,
    )
    good = side_by_side(number, block, name, [0.99 * us, us, 1.01 * us, us])
    return structs.replace(good, cpu=spent, facts=facts())


def run_of(
    names: Sequence[str], block_count: int = 4, noise: Mapping[str, float] | None = None
) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of these variants on a machine that is slower in every other block.

    ``noise`` is by how many per cent a variant is dearer in the odd ones of each two blocks.
    """
    trials: list[TrialRecord] = []
    for block in range(1, block_count + 1):
        for place, name in enumerate(names):
            slow = 1 + 0.05 * (block % 2) + 0.001 * place
            own = 1 + (noise or {}).get(name, 0.1) / 100 * (1 if block % 4 < 2 else -1)
            us = VARIANTS[name][1] * slow * own
            trials.append(one_trial(len(trials) + 1, block, name, us))
    return manifest_of(names), trials


def pair_of(ratios: Sequence[float], treatment: str = "docker") -> list[TrialRecord]:
    """
    One block for each ratio of the treatment's time per request to netns's.
    """
    trials = []
    for block, ratio in enumerate(ratios, start=1):
        trials.append(trial(2 * block - 1, block, "netns", 250))
        trials.append(trial(2 * block, block, treatment, 250 / ratio))
    return trials


def failing(trials: Sequence[TrialRecord], *names: str, non_2xx: int = 100) -> list[TrialRecord]:
    """
    The same trials, of which these variants' had so many errors among 1000 answers.
    """
    return [
        structs.replace(
            each,
            load=structs.replace(
                loaded(each),
                requests_ok=loaded(each).requests * (1000 - non_2xx) // 1000,
                responses_non_2xx=loaded(each).requests * non_2xx // 1000,
            ),
        )
        if each.variant in names
        else each
        for each in trials
    ]


def loaded(each: TrialRecord) -> LoadResult:
    """
    The load of a trial that has one.
    """
    assert each.load is not None
    return each.load


def spent_by(each: TrialRecord) -> CpuSpent:
    """
    The CPU time of a trial that has it.
    """
    assert each.cpu is not None
    return each.cpu


def with_twin(made: Manifest, again: Sequence[float]) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run with its first variant once more, and the twin's trials: one for each ratio to 4 ms.
    """
    first = made.variants[0]
    twin = dataclasses.replace(first, name=f"{first.name}-again", twin_of=first.name)
    control = Comparison("A/A", "twice", first.name, twin.name)
    twice = dataclasses.replace(
        made, variants=[*made.variants, twin], comparisons=[*made.comparisons, control]
    )
    trials = [
        trial(500 + block, block, twin.name, 250 / ratio)
        for block, ratio in enumerate(again, start=1)
    ]
    return twice, trials


def with_cpu(each: TrialRecord, gateway_s: float, share: float = 0.1) -> TrialRecord:
    """
    A trial whose CPU time was looked at; its services stood still for two of four seconds.
    """
    parts = {
        "gateway": CpuTime(gateway_s, 0.25),
        "log reader of gateway": CpuTime(0.0, 0.05),
        "client": CpuTime(0.1, 0.1),
        "runner": CpuTime(),
    }
    spent = cpu_spent(
        parts,
        duration_s=4.0,
        machine_s=dict.fromkeys(STAT_FIELDS, 0.0) | {"user": gateway_s + 1.0, "softirq": 0.1},
        unaccounted_s=0.05,
        context_switches=20_000,
        throttled_s={"gateway": 2.0},
        client_share=share,
    )
    return structs.replace(each, cpu=spent)


def rounds(
    block_count: int = 4, ratio: float = 1.25, *, names: tuple[str, ...] = ("netns", "docker")
) -> list[TrialRecord]:
    """
    Blocks of four rounds, in which the second takes so many times as long as the others.

    Every trial has a load of 1000 requests besides, which is one per cent quicker.
    """
    trials: list[TrialRecord] = []
    for block in range(1, block_count + 1):
        for place, name in enumerate(names):
            us = 4000.0 * (ratio if place == 1 else 1.0) * (1 + 0.001 * ((block + place) % 3))
            one = side_by_side(
                len(trials) + 1,
                block,
                name,
                [us * (1 + 0.002 * ((number + block * place) % 3)) for number in range(4)],
                position=1 + (place + block) % len(names),
            )
            trials.append(structs.replace(one, at_once=load(1.01e6 / us)))
    return trials


def with_logs(
    run: Path, trials: Sequence[TrialRecord], latencies_us: Callable[[str], Sequence[int]]
) -> list[TrialRecord]:
    """
    The same trials, each with a load at the common rate; a latency below zero is a failed request.
    """
    found = []
    for each in trials:
        lines = [HEADER]
        for number, latency_us in enumerate(latencies_us(each.variant)):
            at_us = 10_000 * (number + 1)
            end = "200,1" if latency_us >= 0 else "503,0"
            lines.append(f"{at_us},{at_us},{at_us + abs(latency_us)},{end}")
        (run / f"{each.number}.csv").write_text("\n".join([*lines, ""]))
        open_load = OpenLoad(None, 100.0, len(lines) - 1, 0, 0, 0.0, 0, f"{each.number}.csv")
        found.append(structs.replace(each, open_loads=[open_load]))
    return found
