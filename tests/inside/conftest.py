"""
A fresh site for every test, like the stage's site for every trial.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiments.declare.workloads import choose_workload
from experiments.deployments import Site
from experiments.deployments.oci import docker_spec
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import choose_placement
from experiments.paths import IMAGE_STORE_IN_LAB
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.probes.parity import Parity
from experiments.records.cpu import CLIENT
from experiments.run.stage import SCRATCH, Stage
from experiments.run.stop import StopRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

numbers = itertools.count(1)

CPUS = frozenset(os.sched_getaffinity(0))
"""All CPUs; a stage binds this process to some of them."""

PLACEMENT = choose_placement(set(CPUS))

ROUNDS, REQUESTS, WARMUP, CHECKED = 2, 40, 20, 4
"""The loads of each trial on the fixture ``stage``, and the requests of the check."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def own_process_as_it_was() -> Iterator[None]:
    """
    Restore what a stage changes: the stop signals' handlers and this process's CPUs.
    """
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    ControlGroup(RUNNER_GROUP, hierarchies(inside_lab=True)).set_cpuset(CPUS)


def make_site(number: int, docker_spec: dict[str, Any]) -> Site:
    """
    The site of a deployment; creates its directory only.
    """
    directory = SCRATCH / f"test-{number}"
    directory.mkdir(parents=True)
    return Site(
        directory=directory,
        network_namespace=f"host-{number}",
        group=ControlGroup(f"stack-{number}", hierarchies(inside_lab=True)),
        image_store=IMAGE_STORE_IN_LAB,
        docker_spec=docker_spec,
        processors=len(PLACEMENT.stack),
    )


@pytest.fixture(scope="session")
def spec() -> dict[str, Any]:
    """
    The OCI specification with which Docker starts a container here.
    """
    made = make_site(0, {})
    made.group.create()
    found = docker_spec(made)
    made.group.remove()
    return found


@pytest.fixture
def site(spec: dict[str, Any]) -> Iterator[Site]:
    """
    A site with an empty directory, a new host namespace and a group on the stack's CPUs.
    """
    made = make_site(next(numbers), spec)
    made.group.create()
    made.group.set_cpuset(PLACEMENT.stack)
    with NetworkNamespace(made.network_namespace):
        yield made
    made.group.remove()


@pytest.fixture
def client_group() -> Iterator[ControlGroup]:
    """
    The client's control group.
    """
    group = ControlGroup("client", hierarchies(inside_lab=True))
    group.create()
    yield group
    group.remove()


def processes() -> set[str]:
    """
    The command lines of all processes in the lab.
    """
    found = set()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if command:
            found.add(command)
    return found


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
