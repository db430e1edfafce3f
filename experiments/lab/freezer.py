"""
Freezing everything in a control group, so that it takes no CPU time until it is thawed.

By the freezer of cgroup v2, which is there on hybrid hosts too and needs no controller. A frozen
process dies of SIGKILL at once, which one that the freezer of v1 holds does not.
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
More CPU time than a group is charged for after the kernel calls it frozen.

A task counts as frozen before it has left its CPU, and what it spends until then is charged when it
does: 10 µs were seen on a busy machine. In the shortest load, 50 ms, 100 µs are 0.2 %.
"""

LACKING = (
    "this host mounts no cgroup v2 hierarchy, and idle deployments are frozen by it; mount one "
    "beside v1: `mkdir /sys/fs/cgroup/unified; mount -t cgroup2 none /sys/fs/cgroup/unified`"
)


def check_freezer(found: Sequence[Hierarchy]) -> None:
    """
    Raise HostError where there is no hierarchy of cgroup v2.
    """
    if not any(hierarchy.version == 2 for hierarchy in found):
        raise HostError(LACKING)


class Freezer:
    """
    The freezer of one control group, with all groups below it.
    """

    def __init__(self, group: ControlGroup) -> None:
        """
        Takes a group that exists.
        """
        (self._directory,) = (
            hierarchy.base / group.path for hierarchy in group.hierarchies if hierarchy.version == 2
        )

    def freeze(self) -> None:
        """
        Freeze, and wait until every process stands still.

        Raises DeployError when one does not within ten seconds.
        """
        self._set(frozen=True)

    def thaw(self) -> None:
        """
        Let every process go on.

        Raises DeployError when the kernel does not say so within ten seconds.
        """
        self._set(frozen=False)

    def ran_us(self) -> int:
        """
        Microseconds of CPU time that everything in the group has ever taken.
        """
        for line in (self._directory / "cpu.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value)
        msg = f"{self._directory}/cpu.stat does not say how much CPU time was used"
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
