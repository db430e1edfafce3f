"""
A fresh site for every test, as the runner makes one for every trial.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiments.deployments import Site
from experiments.deployments.oci import docker_spec
from experiments.lab.cgroups import ControlGroup, hierarchies
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import choose_placement
from experiments.lab.plain_root import make_plain_root
from experiments.stage import HOST_NAMESPACE, IMAGE_STORE, SCRATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def spec() -> dict[str, Any]:
    """
    How Docker starts a container here.
    """
    directory = SCRATCH / "spec"
    directory.mkdir(parents=True)
    group = ControlGroup("stack", hierarchies(inside_lab=True))
    group.create()
    root = make_plain_root(IMAGE_STORE)
    found = docker_spec(Site(directory, HOST_NAMESPACE, group, IMAGE_STORE, root))
    group.remove()
    return found


@pytest.fixture
def site(spec: dict[str, Any]) -> Iterator[Site]:
    """
    An empty directory, a fresh host namespace, and the stack's group on the stack's CPUs.
    """
    directory = SCRATCH / f"test-{next(numbers)}"
    directory.mkdir(parents=True)
    group = ControlGroup("stack", hierarchies(inside_lab=True))
    group.create()
    group.set_cpuset(choose_placement(os.sched_getaffinity(0)).stack)
    with NetworkNamespace(HOST_NAMESPACE):
        yield Site(
            directory, HOST_NAMESPACE, group, IMAGE_STORE, make_plain_root(IMAGE_STORE), spec
        )
    group.remove()


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
    The commands of every process in the lab.
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
