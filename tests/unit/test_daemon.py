"""
How a private dockerd is started.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.lab import daemon
from experiments.lab.cgroups import ControlGroup, Hierarchy
from experiments.lab.daemon import DockerDaemon

if TYPE_CHECKING:
    import pytest

V2 = Hierarchy(2, Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup"), ())


def a_daemon(processors: int | None) -> DockerDaemon:
    """
    A daemon that is not started.
    """
    group = ControlGroup("stack/daemon", [V2])
    return DockerDaemon("/run/netns/host-1", Path("/none"), group, group, processors)


def test_it_reckons_with_the_cpus_that_the_stack_will_have() -> None:
    """
    A Go program counts them once when it starts, and it is brought up on all of them.
    """
    assert a_daemon(1)._go_runtime() == {"GOMAXPROCS": "1"}
    assert a_daemon(None)._go_runtime() == {}


def test_it_outlives_the_thread_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Deployments are brought up by threads, and a signal at the parent's death is one at a thread's.
    """
    monkeypatch.setattr(daemon, "hierarchies", lambda **_: [V2])
    command = a_daemon(1)._arguments()
    assert command[0] == "sh"
    assert "unshare" in command
    assert not any("pdeathsig" in word for word in command)
