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
from experiments.declare.workloads import choose_workload
from experiments.errors import Failure
from experiments.load import ab
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.probes.facts import facts_of
from experiments.probes.parity import Parity
from experiments.records.cpu import CLIENT
from experiments.records.trials import ERROR, OK
from experiments.run import deployed
from experiments.run.stage import Stage
from experiments.run.stop import StopRequest
from tests.inside.conftest import own_process_as_it_was

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.deployments import Deployment
    from experiments.records.trials import Answer, Facts, TrialRecord

VARIANTS = load_variants().variants
ARMS = ("netns", "docker")

ROUNDS, REQUESTS, WARMUP, CHECKED = 2, 40, 20, 4

GATEWAY = """
import ctypes, itertools, os, socket, time
from flask import request
from services.gateway import app
from services.web import serve

asked = itertools.count()

@app.before_request
def fault():
    if request.path == "/health" or next(asked) < {good}:
        return
    {fault}

serve(app)
"""
"""The gateway with a fault after so many good answers."""


def gateway(fault: str, good: int = CHECKED) -> dict[str, object]:
    """
    The overlay's service whose requests meet this fault.
    """
    return {"command": ["python3", "-c", GATEWAY.format(fault=fault, good=good)]}


AT_START = {
    "exits-with-words": (
        {"command": ["sh", "-c", "echo out of paper; exit 3"]},
        Failure.ENDED,
        r"gateway ended with status 3 before it was healthy.*out of paper",
    ),
    "exits-silently": (
        {"command": ["sh", "-c", "exit 3"]},
        Failure.ENDED,
        r"gateway ended with status 3 before it was healthy.*\(nothing was printed\)",
    ),
    "lacks-its-program": (
        {"command": ["no-such-program"]},
        Failure.ENDED,
        r"gateway ended with status 127 before it was healthy.*no-such-program",
    ),
}
UNDER_LOAD = {
    "crashes": (
        gateway("print('out of ink', flush=True); os._exit(1)"),
        Failure.ENDED,
        r"gateway ended with status 1 under load.*out of ink",
    ),
    "segfaults": (
        gateway("ctypes.string_at(0)"),
        Failure.ENDED,
        r"gateway was ended by signal SIGSEGV under load",
    ),
    "hungry": (
        {**gateway("[bytearray(2**24) for _ in range(99)]"), "mem_limit": "96m"},
        Failure.MEMORY,
        r"gateway was ended by signal SIGKILL at its memory limit under load",
    ),
    "answers-500": (
        gateway("return {'error': 'broken'}, 500"),
        Failure.ANSWER,
        r"none of 20 answers was good: 20 were not 2xx",
    ),
    "slow": (gateway("time.sleep(4)"), Failure.SLOW, r"timeout specified has expired"),
    "closes": (
        gateway("request.environ['werkzeug.socket'].shutdown(socket.SHUT_RDWR)"),
        Failure.SILENT,
        r"closed all 20 connections without an answer",
    ),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """
    A stage on which Docker has been started once.
    """
    options = ["--variants", "netns,docker", "--workload", "fixed", "--blocks", "1"]
    options += ["--warmup-requests", str(WARMUP), "--rounds", str(ROUNDS)]
    options += ["--requests", str(REQUESTS)]
    with own_process_as_it_was():
        run = tmp_path_factory.mktemp("run")
        stage = Stage(run, choose_workload("fixed"), StopRequest(), lambda _: None)
        stage.prepare(draft_manifest(measure_parser().parse_args(options), None), [])
        stage.start_docker_once()
        yield stage
        stage.groups[CLIENT].remove()


@pytest.fixture
def stage(prepared: Stage) -> Iterator[Stage]:
    """
    A stage without facts of earlier trials, on which nothing is left.
    """
    prepared.conditions = dataclasses.replace(
        prepared.conditions, parity=Parity(), at_once=frozenset()
    )
    yield prepared
    prepared.check_residue()


def faulty(directory: Path, name: str, service: dict[str, object]) -> list[Variant]:
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


@pytest.mark.parametrize(("faults", "phase"), [(AT_START, "deploy"), (UNDER_LOAD, "cold")])
def test_a_fault_is_of_one_kind_in_both_runtimes_and_costs_its_own_trial(
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: dict[str, tuple[dict[str, object], Failure, str]],
    phase: str,
) -> None:
    """
    It says whose process ended, by what, and its last words; the others of the block are whole.
    """
    monkeypatch.setattr(ab, "RESPONSE_TIMEOUT_S", 1)
    variants = [
        variant
        for name, (service, _, _) in faults.items()
        for variant in faulty(tmp_path, name, service)
    ]
    found = run(stage, variants)
    for name, (_, kind, words) in faults.items():
        for arm in ARMS:
            record = found[f"{arm}-{name}"]
            assert (record.status, record.failed_phase, record.load) == (ERROR, phase, None)
            assert record.error.startswith(f"{kind}: "), record.error
            assert re.search(words, record.error, re.DOTALL), record.error


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

    def kill_first(deployment: Deployment, answer: Answer) -> Facts:
        parts = {**deployment.services(), **deployment.helpers()}
        pid = parts[next(reversed(parts))].first_process
        if len(killed) < len(ARMS):
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
        return facts_of(deployment, answer)

    monkeypatch.setattr(deployed, "facts_of", kill_first)
    variants = [VARIANTS[arm] for arm in ARMS]
    for record in stage.side_by_side(variants).run():
        assert (record.status, record.failed_phase) == (ERROR, "check")
        assert record.error.startswith("process ended: "), record.error
        whose = "dockerd" if record.variant == "docker" else "service gateway"
        assert f"{whose} was ended by signal SIGKILL" in record.error
    assert len(killed) == len(ARMS)
    run(stage, [])
