"""
Freezing a control group: written, waited for, and never taken for granted.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from experiments.errors import DeployError, HostError
from experiments.lab.cgroups import ControlGroup, Hierarchy
from experiments.lab.freezer import Freezer, check_freezer

if TYPE_CHECKING:
    from pathlib import Path

POLLS = 3
"""So often the freezer looks before the kernel has done what it was told."""


class Kernel:
    """
    The files of a group on a hybrid host, and a kernel that takes its time.
    """

    def __init__(self, tmp_path: Path) -> None:
        """
        A group that runs.
        """
        v1, v2 = tmp_path / "cpuset", tmp_path / "unified"
        found = [Hierarchy(1, v1, v1, ("cpuset",)), Hierarchy(2, v2, v2, ())]
        self.group = ControlGroup("stack", found)
        self.directory = v2 / "stack"
        self.directory.mkdir(parents=True)
        (self.directory / "cgroup.freeze").write_text("0")
        self.events = self.directory / "cgroup.events"
        self.events.write_text("populated 1\nfrozen 0\n")
        self.polls = 0

    def sleep(self, _: float) -> None:
        """
        What happens while the freezer waits.
        """
        self.polls += 1
        if self.polls == POLLS:
            told = (self.directory / "cgroup.freeze").read_text()
            self.events.write_text(f"populated 1\nfrozen {told}\n")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """
    A kernel that does as it is told when it was looked at a few times.
    """
    made = Kernel(tmp_path)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=made.sleep)
    monkeypatch.setattr("experiments.lab.freezer.time", clock)
    return made


def test_it_waits_until_everything_is_frozen_or_thawed(kernel: Kernel) -> None:
    """
    What the kernel was told is not yet so.
    """
    freezer = Freezer(kernel.group)
    freezer.freeze()
    assert kernel.polls == POLLS
    assert "frozen 1" in kernel.events.read_text()
    kernel.polls = 0
    freezer.thaw()
    assert kernel.polls == POLLS
    assert (kernel.directory / "cgroup.freeze").read_text() == "0"


def test_what_is_so_already_is_not_waited_for(kernel: Kernel) -> None:
    """
    As where nothing is left in the group.
    """
    Freezer(kernel.group).thaw()
    assert kernel.polls == 0


def test_what_does_not_stand_still_is_an_error(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    That names the group and what it did not do; so is what does not go on.
    """
    monkeypatch.setattr("experiments.lab.freezer.TIMEOUT_S", 0.01)
    kernel.polls = POLLS
    freezer = Freezer(kernel.group)
    with pytest.raises(DeployError, match=r"group .*/unified/stack did not freeze within 0\.01 s"):
        freezer.freeze()
    kernel.events.write_text("populated 1\nfrozen 1\n")
    with pytest.raises(DeployError, match=r"did not thaw within 0\.01 s"):
        freezer.thaw()


def test_the_cpu_time_of_all_in_the_group_is_read(kernel: Kernel) -> None:
    """
    To the microsecond, which shows whether anything frozen ran.
    """
    freezer = Freezer(kernel.group)
    stat = kernel.directory / "cpu.stat"
    stat.write_text("usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\n")
    assert freezer.ran_us() == 123456
    stat.write_text("nr_periods 0\n")
    with pytest.raises(DeployError, match="contains no usage_usec"):
        freezer.ran_us()


def test_a_host_without_cgroup_v2_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """
    Before anything is measured.
    """
    v1 = Hierarchy(1, tmp_path, tmp_path, ("cpuset",))
    check_freezer([v1, Hierarchy(2, tmp_path, tmp_path, ())])
    with pytest.raises(HostError, match=r"no cgroup v2 hierarchy.*`mkdir .*mount -t cgroup2"):
        check_freezer([v1])
