"""
Whether the processes of a deployment still live, without asking dockerd, which would cost CPU time.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.records.cpu import LOG_READER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.deployments import Part

POLL_S = 0.02

ENDED = frozenset("ZX")
"""States in /proc/PID/stat of a process that has ended; see proc_pid_stat(5)."""


class Watch:
    """
    The first processes of a deployment's services and of its daemon, as they are now.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        """
        Notes when each was started, because the kernel may reuse its number.
        """
        self._born = {
            (name, part.first_process): born(part.first_process)
            for name, part in parts.items()
            # It ends with its service.
            if not name.startswith(LOG_READER)
        }

    def gone(self, wait_s: float = 0.0) -> list[str]:
        """
        The names of those that have ended, or the first to end within this time.
        """
        deadline = time.monotonic() + wait_s
        while True:
            found = [name for (name, pid), then in self._born.items() if not lives(pid, then)]
            if found or time.monotonic() >= deadline:
                return found
            time.sleep(POLL_S)


def lives(pid: int, since: int | None) -> bool:
    """
    Whether the process that was started then still runs.
    """
    return since is not None and born(pid) == since


def born(pid: int, proc: Path = Path("/proc")) -> int | None:
    """
    When a process was started, in clock ticks since the machine booted; None if it has ended.
    """
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ENDED else int(fields[19])
