"""
The open loop in the lab: a real stack that stands still for a second.
"""

from __future__ import annotations

import csv
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from experiments.declare.reading import load_variants
from experiments.declare.workloads import ENTRY_PORT, ENTRY_SERVICE, choose_workload
from experiments.deployments.compose import resolve
from experiments.deployments.process import ProcessDeployment
from experiments.lab.network import NetworkNamespace
from experiments.load import Client
from experiments.load.open_loop import OpenLoop, OpenPlan, schedule_us
from experiments.paths import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from experiments.deployments import Site
    from experiments.lab.cgroups import ControlGroup

LEVELS = load_variants().variants["netns"].levels

STOP_AFTER_S = 1.5
STOP_S = 1.0


def plan(address: str, requests: int, connections: int) -> OpenPlan:
    """
    Thirty requests of the constant answer a second, at the common rate.
    """
    workload = choose_workload("fixed")
    return OpenPlan(address, workload, 30, requests, "1", 60, None, connections)


def client(site: Site, group: ControlGroup) -> Client:
    """
    A client in the host's namespace.
    """
    return Client(NetworkNamespace(site.network_namespace).path, group)


def rows(log: Path) -> list[dict[str, int]]:
    """
    The requests of a log.
    """
    with log.open() as file:
        return [{key: int(cell) for key, cell in row.items()} for row in csv.DictReader(file)]


def p99_us(latencies_us: Sequence[int]) -> int:
    """
    The least latency that at most one request in a hundred is beyond.
    """
    return sorted(latencies_us)[len(latencies_us) - 1 - len(latencies_us) // 100]


@contextmanager
def stopped_for_a_second(process: int) -> Iterator[None]:
    """
    The process stands still for a second, some time after now; it goes on in any case.
    """
    stop = threading.Timer(STOP_AFTER_S, os.kill, (process, signal.SIGSTOP))
    go_on = threading.Timer(STOP_AFTER_S + STOP_S, os.kill, (process, signal.SIGCONT))
    stop.start()
    go_on.start()
    try:
        yield
    finally:
        stop.cancel()
        stop.join()
        go_on.cancel()
        go_on.join()
        os.kill(process, signal.SIGCONT)


def test_requests_are_sent_by_the_schedule(site: Site, client_group: ControlGroup) -> None:
    """
    From the client's namespace and group, and all are answered.
    """
    project = resolve([SERVICES / "compose.yaml"], ["gateway"])
    with ProcessDeployment(project, site, LEVELS) as deployment:
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, "direct")
        load = OpenLoop().run(
            plan(address, 60, 64), client(site, client_group), site.directory, site.directory
        )
    assert (load.requests_completed, load.requests_ok) == (60, 60)
    found = rows(site.directory / load.log)
    assert [row["intended_us"] for row in found] == schedule_us(30, 60, "1")
    assert all(row["intended_us"] <= row["sent_us"] <= row["done_us"] for row in found)
    assert client_group.process_ids() == set()


def test_a_gateway_that_stands_still_is_in_the_corrected_latency(
    site: Site, client_group: ControlGroup
) -> None:
    """
    With one connection only one request is under way then; those that were due meanwhile waited.
    """
    project = resolve([SERVICES / "compose.yaml"], ["gateway"])
    with ProcessDeployment(project, site, LEVELS) as deployment:
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, "direct")
        gateway = deployment.services()[ENTRY_SERVICE].first_process
        with stopped_for_a_second(gateway):
            load = OpenLoop().run(
                plan(address, 150, 1), client(site, client_group), site.directory, site.directory
            )
    assert load.requests_ok == 150
    found = rows(site.directory / load.log)
    corrected_us = p99_us([row["done_us"] - row["intended_us"] for row in found])
    uncorrected_us = p99_us([row["done_us"] - row["sent_us"] for row in found])
    assert corrected_us >= 500_000
    assert uncorrected_us < 250_000
