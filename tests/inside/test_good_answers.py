"""
Services that answer badly under load, for real and in both runtimes: no time is compared.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pyroute2 import netns

from experiments.declare.reading import load_variants
from experiments.declare.workloads import choose_workload
from experiments.errors import BridgetollError, Failure
from experiments.lab.network import NetworkNamespace
from experiments.load import Client, LoadPlan, sampled
from experiments.load.ab import ApacheBench
from experiments.load.open_client import request_of
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.plan.stopping import Estimates
from experiments.records.cpu import CLIENT
from experiments.records.trials import OK
from experiments.run.stage import Stage
from experiments.run.stop import StopRequest
from tests.inside.conftest import own_process_as_it_was

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.deployments import Site
    from experiments.lab.cgroups import ControlGroup
    from experiments.records.trials import TrialRecord

VARIANTS = load_variants().variants
ARMS = ("netns", "docker")

ROUNDS, REQUESTS, WARMUP, OPEN = 2, 200, 20, 100

GATEWAY = """
import itertools, socket, threading
from flask import request
from services.gateway import app
from services.web import serve

asked = itertools.count()

@app.before_request
def fault():
    number = next(asked) if request.path != "/health" else 0
    # Not before a load, and seldom in the first ones.
    if number > 40 and {when}:
        {fault}

serve(app)
"""

SELDOM_GOOD = "number % 14"
"""About 36 of 500 requests are answered well."""

HALF_UNDER_LOAD = "number % 2 and threading.active_count() > 3"

FAULTS = {
    "errors": (SELDOM_GOOD, "return {'error': 'broken'}, 500"),
    "closes": (SELDOM_GOOD, "request.environ['werkzeug.socket'].shutdown(socket.SHUT_RDWR)"),
    "wrong": (HALF_UNDER_LOAD, "return {'message': 'mixed'}"),
    "longer": (HALF_UNDER_LOAD, "return {'message': 'fixed', 'and': 'more'}"),
}
"""When a service answers badly, and how: by status, not at all, by body alone, by length."""


def faulty(directory: Path, name: str, arm: str) -> Variant:
    """
    A variant of this runtime whose gateway has this fault.
    """
    when, fault = FAULTS[name]
    overlay = directory / f"{name}.yaml"
    program = GATEWAY.format(when=when, fault=fault)
    services = {"gateway": {"command": ["python3", "-c", program]}}
    # JSON is YAML.
    overlay.write_text(json.dumps({"services": services}))
    return dataclasses.replace(VARIANTS[arm], name=f"{arm}-{name}", overlays=(overlay,))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrialRecord]:
    """
    The trials of one block by their variants: each fault in each runtime, and both without one.
    """
    options = ["--variants", "netns,docker", "--workload", "fixed", "--blocks", "1"]
    options += ["--warmup-requests", str(WARMUP), "--rounds", str(ROUNDS), "--concurrency", "4"]
    options += ["--requests", str(REQUESTS)]
    directory = tmp_path_factory.mktemp("run")
    with own_process_as_it_was(), pytest.MonkeyPatch.context() as patched:
        # So that few loads tell as much as the many of a run.
        patched.setattr(sampled, "REQUESTS_PER_SAMPLE", 20)
        stage = Stage(directory, choose_workload("fixed"), StopRequest(), lambda _: None)
        stage.prepare(draft_manifest(measure_parser().parse_args(options), None), [])
        stage.start_docker_once()
        conditions = dataclasses.replace(
            stage.conditions, open_fractions=(0.5,), open_requests=OPEN
        )
        variants = [
            *(faulty(directory, name, arm) for name in FAULTS for arm in ARMS),
            *(VARIANTS[arm] for arm in ARMS),
        ]
        found = {each.variant: each for each in stage.side_by_side(variants, conditions).run()}
        stage.groups[CLIENT].remove()
    return found


@pytest.mark.parametrize("arm", ARMS)
def test_a_service_that_is_well_has_no_bad_answer(
    records: dict[str, TrialRecord], arm: str
) -> None:
    """
    By any of status, length and sampled bodies, in any load.
    """
    record = records[arm]
    assert (record.status, record.error) == (OK, "")
    assert record.load is not None
    assert record.cold is not None
    assert record.cold.requests_ok == WARMUP
    assert [load.requests_ok for load in record.loads] == [REQUESTS] * ROUNDS
    assert [load.requests_ok for load in record.open_loads] == [OPEN]
    assert record.load.requests_failed == record.load.sampled_bad == 0
    assert all(load.sampled for load in record.loads)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("name", FAULTS)
def test_bad_answers_under_load_are_no_speed(
    records: dict[str, TrialRecord], name: str, arm: str
) -> None:
    """
    The trial has a share of good answers that is not comparable, or no result at all.
    """
    record, sound = records[f"{arm}-{name}"], records["netns"]
    if record.load is None:
        # No good answer was seen in a load.
        assert record.error.startswith(f"{Failure.ANSWER}: "), record.error
        return
    estimates = Estimates()
    estimates.add(sound)
    estimates.add(record)
    estimate = estimates.of(sound.variant, record.variant)
    assert estimate is not None
    assert not estimate.comparable
    share = record.load.requests_ok / record.load.requests
    assert share < (0.2 if FAULTS[name][0] == SELDOM_GOOD else 0.95)
    assert (record.load.sampled_bad > 0) is (name == "wrong")
    for load in record.open_loads:
        assert load.requests_ok < load.requests


@pytest.mark.parametrize("workload", ["fixed", "orders"])
def test_a_sample_is_the_same_request_as_ab_s(
    site: Site, client_group: ControlGroup, workload: str
) -> None:
    """
    So that no service can tell them apart.
    """
    namespace = NetworkNamespace(site.network_namespace).path
    chosen = choose_workload(workload)
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(netns.setns, namespace, flags=0, fork=False).result()
        with executor.submit(socket.create_server, ("127.0.0.1", 0)).result() as listener:

            def seen() -> bytes:
                connection, _ = listener.accept()
                with connection:
                    return connection.recv(65536)

            asked = executor.submit(seen)
            host, port = listener.getsockname()
            plan = LoadPlan(f"{host}:{port}", chosen, 1, 1, 30)
            with pytest.raises(BridgetollError):
                ApacheBench().run(plan, Client(namespace, client_group), site.directory)
    assert asked.result() == request_of(plan.address, chosen)
