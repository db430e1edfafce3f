"""
Whether a deployment and its machine are as they were: processes, limits, control groups, clock.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING, cast

import pytest

from experiments.deployments import Part
from experiments.lab.cgroups import ControlGroup, Hierarchy
from experiments.probes import alive
from experiments.probes.alive import Watch, state
from experiments.probes.steady import Steady
from experiments.records.cpu import DAEMON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Group:
    """
    A control group with processes and the kernel's counts.
    """

    def __init__(self, *pids: int) -> None:
        """
        Nothing was killed or refused; the CPUs are two.
        """
        self.path = "stack-1"
        self.pids = set(pids)
        self.kills = self.refused = 0
        self.now: set[int] | None = {0, 1}

    def process_ids(self) -> set[int]:
        """
        As a control group.
        """
        return self.pids

    def memory_kills(self) -> int:
        """
        As a control group.
        """
        return self.kills

    def refused_processes(self) -> int:
        """
        As a control group.
        """
        return self.refused

    def cpus(self) -> set[int] | None:
        """
        As a control group.
        """
        return self.now


def part(pid: int, group: Group | None = None) -> Part:
    """
    A part of a deployment.
    """
    return Part(pid, cast("ControlGroup | None", group))


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    """
    A process.
    """
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_the_processes_of_a_daemon_are_watched_by_their_names(
    sleeping: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Those that live as long as the deployment; what it starts for a moment may end.
    """
    with subprocess.Popen(["sleep", "61"]) as short:
        names = {sleeping.pid: "containerd-shim", short.pid: "runc"}
        monkeypatch.setattr(alive, "named", names.__getitem__)
        group = Group(sleeping.pid, short.pid)
        with subprocess.Popen(["sleep", "62"]) as tini:
            watch = Watch({DAEMON: part(tini.pid, group)})
            short.kill()
            short.wait()
            assert watch.gone() == []
            sleeping.kill()
            sleeping.wait()
            assert watch.gone() == ["containerd-shim"]
            tini.kill()


def test_a_kill_for_memory_counts_from_the_check_on(sleeping: subprocess.Popen[bytes]) -> None:
    """
    Also if the first process of the service lives on.
    """
    group = Group()
    group.kills = 1
    watch = Watch({"gateway": part(sleeping.pid, group), "product-1": part(sleeping.pid)})
    assert watch.starved() == []
    group.kills = 2
    assert watch.starved() == ["gateway"]


def test_a_service_that_leaves_its_control_group_is_found(
    sleeping: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One that has ended has left none.
    """
    groups = iter(["0::/stack", "0::/stack", "0::/", ""])
    monkeypatch.setattr(alive, "group_of", lambda _: next(groups))
    watch = Watch({"gateway": part(sleeping.pid)})
    assert [watch.fled(), watch.fled(), watch.fled()] == [[], ["gateway"], []]


def test_what_keeps_a_service_from_answering_is_told(sleeping: subprocess.Popen[bytes]) -> None:
    """
    That it is stopped, or at a limit.
    """
    group = Group()
    watch = Watch({"gateway": part(sleeping.pid, group)})
    assert watch.troubles() == []
    sleeping.send_signal(signal.SIGSTOP)
    while state(sleeping.pid) != "T":
        pass
    group.refused = 7
    assert watch.troubles() == [
        "service gateway is stopped, as by SIGSTOP",
        "service gateway was refused 7 processes or threads at its limit",
    ]
    script = (
        "import os, resource, time\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
        "try: [os.dup(0) for _ in range(99)]\n"
        "except OSError: print(flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert Watch({"gateway": part(process.pid)}).troubles() == [
            "service gateway has opened as many files as it may"
        ]
        process.kill()


@pytest.mark.parametrize(
    ("version", "file"), [(1, "cpuset.effective_cpus"), (2, "cpuset.cpus.effective")]
)
def test_the_cpus_of_a_group_are_those_that_are_left(
    tmp_path: Path, version: int, file: str
) -> None:
    """
    In either version of control groups; unknown without a controller.
    """
    (tmp_path / "stack").mkdir()
    (tmp_path / "cgroup.controllers").write_text("cpuset")
    controllers = ("cpuset",) if version == 1 else ()
    group = ControlGroup("stack", [Hierarchy(version, tmp_path, tmp_path, controllers)])
    assert group.cpus() is None
    (tmp_path / "stack" / file).write_text("1-2,4\n")
    assert group.cpus() == {1, 2, 4}


def test_a_stepped_clock_is_found() -> None:
    """
    A delay between two readings is no step, and neither is time that passes.
    """
    ticks = count()
    stepped_s = 0.0

    def monotonic() -> float:
        # Each reading comes a tenth of a second after the one before, as on a busy machine.
        return next(ticks) / 10

    def wall() -> float:
        return 1e9 + stepped_s + next(ticks) / 10

    slow = Steady([], wall, monotonic)
    stepped_s = 0.1
    assert slow.changes() == []
    stepped_s = -3600.0
    (words,) = slow.changes()
    assert words.startswith("the clock of the machine was stepped by -3600.0")
    slow.begin()
    assert slow.changes() == []

    real = Steady([])
    assert real.changes() == []


def test_cpus_that_are_taken_away_are_found() -> None:
    """
    With the group, and which they were.
    """
    group = Group()
    machine = Steady([cast("ControlGroup", group)])
    group.now = {1}
    (words,) = machine.changes()
    assert words.startswith("the CPUs of stack-1 were [0, 1] and became [1] during the load")
