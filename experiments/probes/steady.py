"""
Whether the machine stays as it is during a load: its clock, and the CPUs of client and stack.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.lab.cgroups import ControlGroup

STEP_S = 0.001
"""A smaller step of the clock is 2 % of the shortest load, 50 ms, and less of all others."""

READINGS = 5
"""The closest pair of so many readings is taken, because a busy machine delays some."""


class Steady:
    """
    The CPUs as they are now, the clock as it is at ``begin``, and how they have changed since.

    ab measures by the wall clock, which anybody may set. The difference between the wall clock and
    the monotonic one changes by nothing else, and by a suspension.
    """

    def __init__(
        self,
        groups: Sequence[ControlGroup],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Reads the CPUs of the groups.
        """
        self._wall, self._monotonic = wall, monotonic
        self._groups = groups
        self._cpus = [group.cpus() for group in groups]
        self.begin()

    def begin(self) -> None:
        """
        Compare the clock with what it is now.
        """
        self._offset_s, _ = self._offset()

    def changes(self) -> list[str]:
        """
        What has changed since, in words.
        """
        found = []
        offset_s, error_s = self._offset()
        step_s = offset_s - self._offset_s
        if abs(step_s) > STEP_S + error_s:
            found.append(
                f"the clock of the machine was stepped by {step_s:+.3f} s during the load, and ab "
                "measures by it; stop what sets the clock, or let it slew"
            )
        for group, before in zip(self._groups, self._cpus, strict=True):
            cpus = group.cpus()
            if cpus != before:
                found.append(
                    f"the CPUs of {group.path} were {sorted(before or ())} and became "
                    f"{sorted(cpus or ())} during the load; see who takes CPUs offline or changes "
                    "cpusets on this machine"
                )
        return found

    def _offset(self) -> tuple[float, float]:
        """
        How far the wall clock is ahead of the monotonic one, and the uncertainty, in seconds.
        """
        found = []
        for _ in range(READINGS):
            before = self._monotonic()
            wall = self._wall()
            width = self._monotonic() - before
            found.append((width, wall - before - width / 2))
        width, offset_s = min(found)
        return offset_s, width
