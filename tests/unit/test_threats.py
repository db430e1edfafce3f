"""
Threats to validity are those that a run has, each with its measure.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from analysis.topics.threats.section import threats
from experiments.records.trials import CpuTime, OpenLoad
from tests.unit.samples import (
    cpu_spent,
    failed_trial,
    findings,
    load,
    manifest,
    report,
    side_by_side,
    trial,
)

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


def run_of(blocks: int = 12) -> tuple[Manifest, list[TrialRecord]]:
    """
    Blocks of two variants on a machine whose speed changes from trial to trial.
    """
    trials = []
    for block in range(1, blocks + 1):
        for position, name in enumerate(("netns", "docker")):
            slow = 1 + 0.05 * ((3 * block + 2 * position) % 4)
            trials.append(trial(2 * block + position, block, name, 250 / slow))
    return manifest(blocks=blocks), trials


def threats_of(run: tuple[Manifest, list[TrialRecord]]) -> str:
    """
    The section's text.
    """
    return report(*run).partition("## Threats to validity")[2].partition("\n## ")[0]


def test_what_did_not_happen_threatens_nothing() -> None:
    """
    A calm run has no more than that it is one stack on one machine.
    """
    lines = [line for line in threats_of(run_of()).splitlines() if line.startswith("- ")]
    assert [line.partition(".**")[0] for line in lines] == [
        "- **Two CPUs",
        "- **Small differences are out of reach",
        "- **Closed loop only",
        "- **One stack, one workload, one machine",
    ]


def test_each_threat_has_its_measure() -> None:
    """
    How much was stolen, how many failed or were few.
    """
    made, trials = run_of()
    seen = dataclasses.replace(made.environment, stolen_s=6.0, observed_s=300.0, cpus_online=2)
    machine = dataclasses.replace(made.machine, acceleration="emulation")
    shaken = dataclasses.replace(made, environment=seen, machine=machine)
    text = threats_of((shaken, [*trials, failed_trial(99, 12, "docker")]))
    assert "**Emulation.**" in text
    assert "took 1.00 % of the CPU time" in text
    assert "**1 trial failed**" in text
    assert "**Fewer than 10 blocks**" not in text
    assert "**Fewer than 10 blocks**: matched (4)" in threats_of(run_of(blocks=4))


def test_deployments_side_by_side_have_threats_of_their_own() -> None:
    """
    Cold caches, short loads with what they differ by from long ones, and the place.
    """
    made = manifest(blocks=6)
    names = ("netns", "docker")
    trials = [
        side_by_side(
            2 * block + position,
            block,
            names[(block + position) % 2],
            # The first takes five per cent longer, whoever it is.
            [(4200.0 if position == 1 else 4000.0) + us for us in (-20, 20, 5 * (block % 3))],
            position=position,
        )
        for block in range(1, 7)
        for position in (1, 2)
    ]
    text = threats_of((made, trials))
    assert "Beside the deployment under load stood up to 1 frozen one. They" in text
    assert "this run has no longer ones to compare them with" in text
    assert "**A deployment that is brought up later is another one.** At twice the place" in text
    at_once = dataclasses.replace(made, at_once=["netns"], requests_at_once=1000)
    whole = [dataclasses.replace(each, at_once=load(250.0)) for each in trials]
    text = threats_of((at_once, whole))
    assert "Against loads of 1000 on the same deployments a request takes longer by: netns" in text


def test_a_client_that_was_busy_is_named() -> None:
    """
    Its rates are a bound on the client.
    """
    made, trials = run_of()
    cpu = cpu_spent({"client": CpuTime(1.0, 1.0), "runner": CpuTime()}, client_share=0.9)
    busy = [dataclasses.replace(trials[0], cpu=cpu), *trials[1:]]
    text = threats_of((made, busy))
    assert "**1 trial may be bound by the client**" in text
    assert "had other work" not in text
    # Six tenths of the five seconds that the machine was busy.
    spent = dataclasses.replace(cpu, unaccounted_s=0.6)
    crowded = [dataclasses.replace(trials[0], cpu=spent), *trials[1:]]
    text = threats_of((made, crowded))
    assert "**In 1 trial the machine had other work**" in text
    assert "belonged to nothing that was measured (netns)" in text


def test_a_client_that_sent_late_is_named_with_how_late() -> None:
    """
    What it waits itself is in the latencies.
    """
    made, trials = run_of()
    loaded = [
        dataclasses.replace(
            each,
            open_loads=[OpenLoad(0.5, 99.0, 9, 9, 9, 99.0, 1000 * (number % 5), "raw/open.csv")],
        )
        for number, each in enumerate(trials)
    ]
    text = threats(findings(made, loaded))
    assert (
        "late** by up to 4.0 ms with a request (in half of the 24 loads by no more than 2.0 ms)"
        in text
    )
