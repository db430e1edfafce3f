"""
The freezer on real processes: what is frozen takes no CPU time, goes on when thawed, dies at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.declare.reading import load_variants
from experiments.declare.workloads import ENTRY_PORT, ENTRY_SERVICE, choose_workload
from experiments.deployments.compose import resolve
from experiments.lab.freezer import Freezer
from experiments.lab.launch import launch_command
from experiments.lab.network import NetworkNamespace
from experiments.paths import SERVICES
from experiments.probes.cpu import group_time
from experiments.probes.response import check_answers
from experiments.run.deployed import DEPLOYMENT_CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.deployments import Site
    from experiments.lab.cgroups import ControlGroup

VARIANTS = load_variants().variants

AT_ONCE_S = 2.0
"""A machine that is busy otherwise lets even a killed process wait a while."""


def processes_in(group: ControlGroup) -> dict[int, str]:
    """
    The processes that the freezer of a group holds, with their names; ended ones are none.
    """
    (directory,) = (
        hierarchy.base / group.path for hierarchy in group.hierarchies if hierarchy.version == 2
    )
    found = {}
    for file in directory.glob("**/cgroup.procs"):
        for pid in file.read_text().split():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            name, _, rest = stat.partition("(")[2].rpartition(")")
            if not rest.startswith(" Z"):
                found[int(pid)] = name
    return found


def die_at_once(group: ControlGroup) -> None:
    """
    Assert that nothing of a killed group is left, and that it can be removed.
    """
    killed = time.monotonic()
    while processes_in(group):
        assert time.monotonic() < killed + AT_ONCE_S, processes_in(group)
        time.sleep(0.01)
    group.remove()
    assert not any(directory.exists() for directory in group.directories())


@pytest.mark.parametrize(
    ("name", "programs"),
    [
        ("netns", {"python3"}),
        (
            "docker-as-published",
            {"dockerd", "containerd", "containerd-shim", "docker-proxy", "python3"},
        ),
    ],
)
def test_a_frozen_deployment_takes_no_cpu_time_until_it_is_thawed_and_dies_of_a_kill(
    name: str, programs: set[str], site: Site
) -> None:
    """
    Not even for a client that connects; its request is answered after the thaw.
    """
    levels, workload = VARIANTS[name].levels, choose_workload("fixed")
    project = resolve(VARIANTS[name].compose_files(SERVICES), workload.services)
    with DEPLOYMENT_CLASSES[levels["runtime"]](project, site, levels) as deployment:
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, levels["entry"])
        host = NetworkNamespace(site.network_namespace).path
        freezer = Freezer(site.group)
        freezer.freeze()
        assert programs <= set(processes_in(site.group).values())
        before = freezer.ran_us(), group_time(site.group)
        with ThreadPoolExecutor(1) as executor:
            answer = executor.submit(check_answers, host, address, workload)
            time.sleep(1)
            assert not answer.done()
            assert (freezer.ran_us(), group_time(site.group)) == before
            freezer.thaw()
            assert answer.result()[0].answer.status == 200
        freezer.freeze()
        site.group.kill()
        die_at_once(site.group)


def kill_each(group: ControlGroup) -> None:
    """
    SIGKILL, to each process; one may have ended with another.
    """
    for pid in processes_in(group):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_first(group: ControlGroup) -> None:
    """
    SIGKILL, only to the process that the others come from.
    """
    os.kill(min(processes_in(group)), signal.SIGKILL)


@pytest.mark.parametrize(
    "kill", [kill_each, kill_first, lambda group: group.kill()], ids=["each", "first", "group"]
)
def test_what_is_frozen_dies_at_once(site: Site, kill: Callable[[ControlGroup], None]) -> None:
    """
    A PID namespace with processes in it, of which some ignore what can be ignored.
    """
    group = site.group.child("made")
    group.create()
    script = "trap '' TERM INT HUP; sleep 1000 & sleep 1000 & wait"
    command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", script]
    host = NetworkNamespace(site.network_namespace).path
    with subprocess.Popen(launch_command(group, host, command)):
        while len(processes_in(group)) < 4:
            time.sleep(0.01)
        Freezer(site.group).freeze()
        kill(group)
        die_at_once(group)
