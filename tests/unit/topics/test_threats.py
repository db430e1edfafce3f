"""
Threats to validity are those that a run has, each with its measure.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from msgspec import structs

from analysis.topics.threats.section import threats
from experiments.records.trials import CpuTime, OpenLoad
from tests.unit.reading import items_of
from tests.unit.samples import cpu_spent, failed_trial, findings, load, manifest, side_by_side
from tests.unit.samples import trial as one_trial
from tests.unit.topics.samples import run_of as run_of_all
from tests.unit.topics.samples import with_twin

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
            trials.append(one_trial(2 * block + position, block, name, 250 / slow))
    return manifest(blocks=blocks), trials


def threat(run: tuple[Manifest, list[TrialRecord]], name: str) -> str:
    """
    The threat with this in its name; empty where the run has none such.
    """
    found = [each for each in items_of(threats(findings(*run))) if name in each.split("**")[1]]
    assert len(found) < 2
    return found[0] if found else ""


def test_what_did_not_happen_threatens_nothing() -> None:
    """
    A calm run has no more than that it is one stack on one machine.
    """
    names = [each.split("**")[1] for each in items_of(threats(findings(*run_of())))]
    assert names == [
        "Two CPUs.",
        "Statistical power.",
        "Closed loop only.",
        "One stack, one workload, one machine.",
    ]


def test_each_threat_has_its_measure() -> None:
    """
    How much was stolen, how many trials failed, how many blocks there are.
    """
    made, trials = run_of()
    seen = dataclasses.replace(made.environment, stolen_s=6.0, observed_s=300.0, cpus_online=2)
    machine = dataclasses.replace(made.machine, acceleration="emulation")
    shaken = (
        dataclasses.replace(made, environment=seen, machine=machine),
        [*trials, failed_trial(99, 12, "docker")],
    )
    assert threat(shaken, "Emulation")
    assert "1.00 %" in threat(shaken, "Steal")
    assert threat(shaken, "1 trial failed")
    assert not threat(shaken, "blocks")
    assert "matched (4)" in threat(run_of(blocks=4), "Fewer than 10 blocks")


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
    assert "1 frozen deployment" in threat((made, trials), "Frozen and thawed")
    assert "%" not in threat((made, trials), "Short loads")
    assert "-4." in threat((made, trials), "place")
    at_once = dataclasses.replace(made, at_once=["netns"], requests_at_once=1000)
    whole = [structs.replace(each, at_once=load(250.0)) for each in trials]
    text = threat((at_once, whole), "Short loads")
    assert "1000" in text
    assert "netns +" in text


def test_a_client_that_was_busy_is_named() -> None:
    """
    Its rates are a bound on the client.
    """
    made, trials = run_of()
    cpu = cpu_spent({"client": CpuTime(1.0, 1.0), "runner": CpuTime()}, client_share=0.9)
    busy = (made, [structs.replace(trials[0], cpu=cpu), *trials[1:]])
    assert "1 trial may be" in threat(busy, "bound by the client")
    assert not threat(busy, "Other work")


def test_other_work_on_the_machine_is_named_with_whom_it_disturbed() -> None:
    """
    Six tenths of the five seconds that the machine was busy are more than a tenth.
    """
    made, trials = run_of()
    cpu = cpu_spent({"client": CpuTime(1.0, 1.0)}, unaccounted_s=0.6)
    text = threat((made, [structs.replace(trials[0], cpu=cpu), *trials[1:]]), "Other work")
    assert "1 trial" in text
    assert "(netns)" in text


def test_a_client_that_sent_late_is_named_with_how_late() -> None:
    """
    At the most and in the median, over all loads; then the loop is not only a closed one.
    """
    made, trials = run_of()
    sent = [
        structs.replace(
            each,
            open_loads=[OpenLoad(0.5, 99.0, 9, 9, 9, 99.0, 1000 * (number % 5), "raw/open.csv")],
        )
        for number, each in enumerate(trials)
    ]
    text = threat((made, sent), "late")
    assert "4.0 ms" in text
    assert "24 loads: 2.0 ms" in text
    assert not threat((made, sent), "Closed loop only")


def test_an_instrument_that_sees_what_is_not_there_is_a_threat() -> None:
    """
    Where A/A differs by more than its 99 % interval, and only there.
    """
    made, trials = run_of()
    for times, told in ((1.3, True), (1.075, False)):
        slow = [times * (1 + 0.05 * (block % 2)) for block in range(12)]
        twice, again = with_twin(made, slow)
        assert bool(threat((twice, [*trials, *again]), "A/A")) is told


def test_known_costs_that_do_not_come_out_are_named() -> None:
    """
    Each measure with its slope and the one that was expected; none where all come out.
    """
    made, trials = run_of_all(["inject-0", "burn-50", "burn-500"])
    calm = threat((made, trials), "Known costs")
    short = [
        structs.replace(each, cpu=structs.replace(each.cpu, parts={"gateway": CpuTime(1)}))
        if each.cpu
        else each
        for each in trials
    ]
    lost = threat((made, short), "Known costs")
    assert "0.00 ± 0.00 (expected 1)" in lost
    assert "0.00 ± 0.00 (expected 1)" not in calm
