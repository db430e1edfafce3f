"""
Warnings: what a reader must know before any number, and nothing in a calm run.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.warnings.section import warnings
from experiments.records.manifest import MachineRecord, NetworkState, Session
from tests.unit.samples import PLACEMENT, failed_trial, findings, manifest, trial
from tests.unit.topics.samples import loaded, pair_of, with_cpu, with_twin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


def warned(made: Manifest, trials: Sequence[TrialRecord] | None = None) -> list[str]:
    """
    The warnings of a run of these trials, or of a calm one.
    """
    text = warnings(findings(made, pair_of([1.1, 1.2]) if trials is None else trials))
    return [line.removeprefix("> ") for line in text.splitlines() if line]


def test_a_calm_run_has_no_warning() -> None:
    """
    Not even a heading.
    """
    assert warned(manifest()) == []


@pytest.mark.parametrize(
    ("state", "words"), [("interrupted", "is interrupted"), ("running", "did not end")]
)
def test_a_run_that_is_not_complete_says_how_far_it_came(state: str, words: str) -> None:
    """
    How many of the trials that it began have a result, and how many blocks were planned.
    """
    (line,) = warned(manifest(state, blocks=5))
    assert line.startswith(f"**This run {words}**: 4 of the 10 trials")
    assert "5 blocks" in line


def test_wrong_bodies_are_a_warning() -> None:
    """
    Because no count of failed requests shows them.
    """
    first, *others = pair_of([1.1, 1.2])
    load = structs.replace(loaded(first), sampled=8)
    at_once = structs.replace(load, sampled_bad=2)
    made = structs.replace(first, at_once=at_once, loads=[])
    (line,) = warned(manifest(), [made, *others])
    assert line.startswith("**Wrong answers of netns** under load: 2 of 8 sampled bodies")


def test_failed_trials_are_counted() -> None:
    """
    Of all that there were.
    """
    (line,) = warned(manifest(), [*pair_of([1.1]), failed_trial(3, 2, "docker")])
    assert line.startswith("**1 of 3 trials failed**")


def test_a_variant_that_was_set_aside_is_said_with_the_reason() -> None:
    """
    After the count of failed trials, on one line.
    """
    failed = [failed_trial(number, number, "docker") for number in (2, 3, 4)]
    _, line = warned(manifest(), [*pair_of([1.1]), *failed])
    assert line.startswith("**docker was set aside** after 3 trials in a row without a result")
    assert line.endswith("The last one: gateway did not become healthy its last line: a | b")


@pytest.mark.parametrize(("apart", "pinned"), [(False, True), (True, False)])
def test_a_client_on_the_stack_s_cpus_is_said(*, apart: bool, pinned: bool) -> None:
    """
    Its work is then part of every number.
    """
    placement = structs.replace(PLACEMENT, apart=apart, pinned=pinned)
    shared = [structs.replace(each, placement=placement) for each in pair_of([1.1, 1.2])]
    (line,) = warned(manifest(), shared)
    assert line.startswith("**Client and stack shared CPUs**")


def test_stolen_time_is_said_above_one_per_cent() -> None:
    """
    With its share; less than that is no warning.
    """

    def stolen(seconds: float) -> Manifest:
        seen = dataclasses.replace(
            manifest().environment, stolen_s=seconds, observed_s=100.0, cpus_online=2
        )
        return dataclasses.replace(manifest(), environment=seen)

    (line,) = warned(stolen(10.0))
    assert "5.0 %" in line
    assert warned(stolen(1.0)) == []


def test_a_missing_br_netfilter_is_said_of_containers() -> None:
    """
    Without it Docker looks cheaper than it is.
    """
    plan = manifest()
    netns, docker = plan.variants

    def with_sysctl(sysctl: str) -> Manifest:
        state = NetworkState(links=[], addresses=[], routes=[], firewall=[], sysctls=[sysctl])
        return dataclasses.replace(
            plan,
            variants=[netns, dataclasses.replace(docker, levels={"runtime": "container"})],
            network_state={"netns": state, "docker": state},
        )

    (line,) = warned(with_sysctl("/proc/sys/net/ipv4/ip_forward:1"))
    assert line.startswith("**docker ran without br_netfilter**")
    assert warned(with_sysctl("/proc/sys/net/bridge/bridge-nf-call-iptables:1")) == []


def test_a_client_that_may_be_the_limit_is_said() -> None:
    """
    With the variants whose rates are then the client's.
    """
    trials = [with_cpu(trial(1, 1, "netns", 250), 1.0, share=0.81)]
    (line,) = warned(manifest(), trials)
    assert line.startswith("**Client-bound**")
    assert "netns" in line
    assert warned(manifest(), [with_cpu(trials[0], 1.0, share=0.8)]) == []


def test_services_that_could_leave_the_lab_are_named() -> None:
    """
    By their keys in the Compose files.
    """
    keys = ["services.gateway.privileged: true"]
    (line,) = warned(dataclasses.replace(manifest(), allow_privileged=True, privileges=keys))
    assert line.startswith("**Services could leave the lab**")
    assert "`services.gateway.privileged: true`" in line


def test_differences_that_were_allowed_are_said_word_for_word() -> None:
    """
    Each once, however many trials had it.
    """
    words = "gateway.x is 1 in a, 2 in b"
    odd = [structs.replace(each, allowed=[words]) for each in pair_of([1.1])]
    (line,) = warned(manifest(), odd)
    assert line.count(words) == 1


def test_an_emulated_machine_is_said() -> None:
    """
    No number of it is a real CPU's.
    """
    machine = MachineRecord("vagrant", acceleration="emulation")
    (line,) = warned(dataclasses.replace(manifest(), machine=machine))
    assert line.startswith("**Emulated machine**")


def test_a_baseline_that_differs_from_itself_is_said_before_all_else() -> None:
    """
    By its 99 % interval; where that holds zero, nothing is said.
    """
    pair = pair_of([1.2, 1.21, 1.19, 1.2, 1.22])
    made, again = with_twin(manifest("interrupted", blocks=5), [1.05, 1.06, 1.05, 1.04, 1.05])
    first, *others = warned(made, [*pair, *again])
    assert first.startswith("**Do not trust this run**")
    assert "+5" in first
    assert len(others) == 1
    made, again = with_twin(manifest(blocks=5), [1.01, 0.99, 1.02, 1.0, 0.98])
    assert warned(made, [*pair, *again]) == []


def test_a_run_that_was_resumed_says_where_and_how_long_it_paused() -> None:
    """
    And why the session before ended; a start of the machine in between is said, too.
    """
    first = Session(
        started_at=1.7e9,
        minutes=5,
        boot_id="a",
        finished_at=1.7e9 + 60,
        state="failed",
        note="killed\n> twice",
    )
    second = dataclasses.replace(
        first, started_at=1.7e9 + 3661, after_block=2, boot_id="b", finished_at=1.7e9 + 9e4
    )
    third = dataclasses.replace(second, started_at=1.7e9 + 9e4 + 5, boot_id="b")
    assert warned(dataclasses.replace(manifest(), sessions=[first])) == []
    one, two = warned(dataclasses.replace(manifest(), sessions=[first, second, third]))
    assert one == (
        "**This run was resumed** after block 2, on 2023-11-14 23:14 UTC, after a pause of 1:00:01 "
        "(hours:minutes:seconds) and a restart of the machine. No block has a pause in it. The "
        "session before ended so: killed > twice."
    )
    assert "after a pause of 0:00:05 (hours:minutes:seconds). No block" in two
    begun = dataclasses.replace(second, after_block=0, boot_id=None)
    (line,) = warned(dataclasses.replace(manifest(), sessions=[first, begun]))
    assert line.startswith("**This run was resumed** before its first block, on ")
    assert "restart" not in line
