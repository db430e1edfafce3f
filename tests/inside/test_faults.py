"""
Faulty services, for real and in both runtimes: the same kind of failure, and it costs one trial.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from experiments.declare.reading import load_variants
from experiments.deployments import container
from experiments.lab import mounts
from experiments.load import ab
from experiments.probes import response
from experiments.probes.facts import facts_of
from experiments.records.trials import ERROR, OK
from experiments.run import conditions, deployed
from tests.inside.conftest import CHECKED, REQUESTS, ROUNDS, WARMUP
from tests.inside.faults import (
    AT_CHECK,
    AT_START,
    NO_FAULTS,
    STALL_S,
    UNDER_LOAD,
    gateway,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.deployments import Deployment
    from experiments.records.trials import Answer, Facts, TrialRecord
    from experiments.run.stage import Stage
    from tests.inside.faults import Fault, Service

VARIANTS = load_variants().variants
ARMS = ("netns", "docker")


def give_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Less time for the check, for an answer under load and for a load, and less room for output.
    """
    monkeypatch.setattr(response, "TIMEOUT_S", 3)
    monkeypatch.setattr(ab, "RESPONSE_TIMEOUT_S", 3)
    monkeypatch.setattr(conditions, "LOAD_BASE_S", 6)
    monkeypatch.setattr(conditions, "LOAD_PER_REQUEST_S", 0)
    monkeypatch.setattr(container, "STARTING_S", 15)
    monkeypatch.setattr(mounts, "ROOM_BYTES", 2**26)


def faulty(directory: Path, name: str, service: Service) -> list[Variant]:
    """
    A variant with this gateway in each runtime.
    """
    overlay = directory / f"{name}.yaml"
    # JSON is YAML.
    overlay.write_text(json.dumps({"services": {"gateway": service}}))
    return [
        dataclasses.replace(VARIANTS[arm], name=f"{arm}-{name}", overlays=(overlay,))
        for arm in ARMS
    ]


def run(stage: Stage, variants: Sequence[Variant]) -> dict[str, TrialRecord]:
    """
    The trials of a block by their variants; those without a fault are whole.
    """
    sound = [VARIANTS[arm] for arm in ARMS]
    records = stage.side_by_side([*variants, *sound]).run()
    for record in records[-len(sound) :]:
        assert (record.status, record.error) == (OK, "")
        assert [load.requests_ok for load in record.loads] == [REQUESTS] * ROUNDS
    return {record.variant: record for record in records}


@pytest.mark.parametrize("faults", [AT_START, AT_CHECK, UNDER_LOAD], ids=["start", "check", "load"])
def test_a_fault_is_of_one_kind_in_both_runtimes_and_costs_its_own_trial(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: dict[str, Fault]
) -> None:
    """
    It says whose process ended, by what, and its last words; the others of the block are whole.
    """
    give_up_soon(monkeypatch)
    variants = [
        variant
        for name, fault in faults.items()
        for variant in faulty(tmp_path, name, fault.service)
    ]
    found = run(stage, variants)
    wrong = []
    for name, fault in faults.items():
        for arm in ARMS:
            record = found[f"{arm}-{name}"]
            ended = (record.status, record.failed_phase, record.load)
            begins = record.error.startswith(f"{fault.kind}: ")
            said = re.search(fault.words, record.error, re.DOTALL)
            if ended != (ERROR, fault.phase, None) or not begins or not said:
                wrong.append(f"{record.variant}: {record.failed_phase}: {record.error}")
    assert not wrong, "\n\n".join(wrong)


def test_what_is_no_fault_is_measured(stage: Stage, tmp_path: Path) -> None:
    """
    Stalls are part of the time per request, and a kill ends what ignores signals.
    """
    variants = [each for name, it in NO_FAULTS.items() for each in faulty(tmp_path, name, it)]
    found = run(stage, variants)
    assert {record.variant: record.error for record in found.values() if record.error} == {}
    for arm in ARMS:
        stalled = found[f"{arm}-stalls"].load
        assert stalled is not None
        assert stalled.latency_max_us > STALL_S * 1e6


def test_a_crash_after_whole_loads_leaves_no_result_in_either_runtime(
    stage: Stage, tmp_path: Path
) -> None:
    """
    What was measured of a service that then crashes may have been its crashing.
    """
    service = gateway("os._exit(1)", good=CHECKED + WARMUP + REQUESTS + REQUESTS // 2)
    found = run(stage, faulty(tmp_path, "late", service))
    for arm in ARMS:
        record = found[f"{arm}-late"]
        assert (record.status, record.failed_phase, record.load) == (ERROR, "load", None)
        assert record.error.startswith("process ended: service gateway ended with status 1")
        assert [load.round for load in record.loads] == [1]
        assert record.requests_lost == REQUESTS


def test_what_ends_during_the_first_check_is_no_reference_for_later_trials(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A killed dockerd, or service, costs its own trial, and the next one of its variant is good.
    """
    killed: list[int] = []

    def kill_first(deployment: Deployment, answer: Answer, *, own: bool) -> Facts:
        parts = {**deployment.services(), **deployment.helpers()}
        pid = parts[next(reversed(parts))].first_process
        if len(killed) < len(ARMS):
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
        return facts_of(deployment, answer, own=own)

    monkeypatch.setattr(deployed, "facts_of", kill_first)
    variants = [VARIANTS[arm] for arm in ARMS]
    for record in stage.side_by_side(variants).run():
        assert (record.status, record.failed_phase) == (ERROR, "check")
        assert record.error.startswith("process ended: "), record.error
        whose = "dockerd" if record.variant == "docker" else "service gateway"
        assert f"{whose} was ended by signal SIGKILL" in record.error
    assert len(killed) == len(ARMS)
    run(stage, [])
