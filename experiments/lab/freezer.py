"""
Freezing all processes of a control group, so that they take no CPU time until they are thawed.

It uses the freezer of cgroup v2, which needs no controller and also exists on hybrid hosts. Unlike
with the freezer of v1, SIGKILL ends a frozen process at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from experiments.errors import DeployError, HostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.lab.cgroups import ControlGroup, Hierarchy

TIMEOUT_S = 10.0
POLL_S = 0.0002

FREEZING_US = 100
"""
Upper bound on the CPU time that is charged after the kernel reports a group as frozen.

A task counts as frozen shortly before it leaves its CPU; the time until then is charged afterwards.
On a busy machine this was 10 µs. In the shortest load, 50 ms, 100 µs are 0.2 %. It bounds the total
of all frozen deployments, because only the one that was loaded last has just been frozen.
"""

LACKING = (
    "this host mounts no cgroup v2 hierarchy, which is needed to freeze deployments; mount one "
    "beside v1: `mkdir /sys/fs/cgroup/unified; mount -t cgroup2 none /sys/fs/cgroup/unified`"
)


def check_freezer(found: Sequence[Hierarchy]) -> None:
    """
    Raise HostError if no cgroup v2 hierarchy is mounted.
    """
    if not any(hierarchy.version == 2 for hierarchy in found):
        raise HostError(LACKING)


class Freezer:
    """
    The freezer of a control group and all groups below it.
    """

    def __init__(self, group: ControlGroup) -> None:
        """
        The group must exist.
        """
        (self._directory,) = (
            hierarchy.base / group.path for hierarchy in group.hierarchies if hierarchy.version == 2
        )

    def freeze(self) -> None:
        """
        Freeze, and wait until every process is frozen.

        Raises DeployError if that takes longer than ten seconds.
        """
        self._set(frozen=True)

    def thaw(self) -> None:
        """
        Thaw all processes.

        Raises DeployError if that takes longer than ten seconds.
        """
        self._set(frozen=False)

    def ran_us(self) -> int:
        """
        The CPU time of all processes that were ever in the group, in microseconds.
        """
        for line in (self._directory / "cpu.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value)
        msg = f"{self._directory}/cpu.stat contains no usage_usec"
        raise DeployError(msg)

    def _set(self, *, frozen: bool) -> None:
        (self._directory / "cgroup.freeze").write_text(str(int(frozen)))
        wanted = f"frozen {int(frozen)}"
        events = self._directory / "cgroup.events"
        deadline = time.monotonic() + TIMEOUT_S
        while wanted not in events.read_text().splitlines():
            if time.monotonic() > deadline:
                what = "freeze" if frozen else "thaw"
                msg = f"control group {self._directory} did not {what} within {TIMEOUT_S:g} s"
                raise DeployError(msg)
            time.sleep(POLL_S)
