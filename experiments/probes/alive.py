"""
Whether a deployment is as it was, without asking dockerd, which would cost CPU time.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.deployments.ended import DAEMONS
from experiments.probes.cpu import descendants
from experiments.records.cpu import DAEMON, LOG_READER, part_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.deployments import Part

POLL_S = 0.02
PROC = Path("/proc")

ENDED = frozenset("ZX")
STOPPED = "T"
"""States in /proc/PID/stat of a process that has ended, or that a signal has stopped."""


class Watch:
    """
    The first processes of a deployment's services, and its daemon's processes, as they are now.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        """
        Notes when each was started, because the kernel may reuse its number.
        """
        # A log reader ends with its service.
        self._services = {
            name: part for name, part in parts.items() if part_of(name) not in {DAEMON, LOG_READER}
        }
        self._born = {
            (name, part.first_process): born(part.first_process)
            for name, part in parts.items()
            if part_of(name) != LOG_READER
        }
        daemon = parts.get(DAEMON)
        if daemon is not None and daemon.group is not None:
            for pid in daemon.group.process_ids():
                if (name := named(pid)) in DAEMONS:
                    self._born[name, pid] = born(pid)
        self._groups = {name: group_of(part.first_process) for name, part in self._services.items()}
        self._kills = self._memory_kills()

    def gone(self, wait_s: float = 0.0) -> list[str]:
        """
        The names of those that have ended, or the first to end within this time.
        """
        deadline = time.monotonic() + wait_s
        while True:
            found = [name for (name, pid), then in self._born.items() if not lives(pid, then)]
            if found or time.monotonic() >= deadline:
                return list(dict.fromkeys(found))
            time.sleep(POLL_S)

    def starved(self) -> list[str]:
        """
        The services of which the kernel has killed a process at their memory limit since.
        """
        kills = self._memory_kills()
        return [name for name, count in kills.items() if count > self._kills[name]]

    def fled(self) -> list[str]:
        """
        The services that have left their control group, and with it their CPUs and the freezer.
        """
        return [
            name
            for name, part in self._services.items()
            if group_of(part.first_process) not in {"", self._groups[name]}
        ]

    def _memory_kills(self) -> dict[str, int]:
        return {
            name: part.group.memory_kills()
            for name, part in self._services.items()
            if part.group is not None
        }

    def troubles(self) -> list[str]:
        """
        What may keep a service that lives from answering, in words.
        """
        found = []
        for name, part in self._services.items():
            pids = descendants(part.first_process)
            if any(state(pid) == STOPPED for pid in pids):
                found.append(f"service {name} is stopped, as by SIGSTOP")
            if any(map(has_no_file_left, pids)):
                found.append(f"service {name} has opened as many files as it may")
            refused = part.group.refused_processes() if part.group is not None else 0
            if refused:
                found.append(
                    f"service {name} was refused {refused} processes or threads at its limit"
                )
        return found


def lives(pid: int, since: int | None) -> bool:
    """
    Whether the process that was started then still runs.
    """
    return since is not None and born(pid) == since


def born(pid: int, proc: Path = PROC) -> int | None:
    """
    When a process was started, in clock ticks since the machine booted; None if it has ended.
    """
    fields = stat_of(pid, proc)
    return None if not fields or fields[0] in ENDED else int(fields[19])


def state(pid: int, proc: Path = PROC) -> str:
    """
    The state of a process by its letter; empty if there is none.
    """
    return (stat_of(pid, proc) or [""])[0]


def stat_of(pid: int, proc: Path = PROC) -> list[str]:
    """
    The fields of a process from its state on; see proc_pid_stat(5). Empty if there is none.
    """
    return read(proc / str(pid) / "stat").rpartition(")")[2].split()


def named(pid: int, proc: Path = PROC) -> str:
    """
    The name of a process, at most 15 characters; empty if there is none.
    """
    return read(proc / str(pid) / "comm").strip()


def group_of(pid: int, proc: Path = PROC) -> str:
    """
    The control groups of a process in all hierarchies; empty if there is none.
    """
    return read(proc / str(pid) / "cgroup")


def has_no_file_left(pid: int, proc: Path = PROC) -> bool:
    """
    Whether a process has opened as many files as its soft limit allows.
    """
    limit = re.search(r"^Max open files +(\d+)", read(proc / str(pid) / "limits"), re.MULTILINE)
    try:
        opened = sum(1 for _ in (proc / str(pid) / "fd").iterdir())
        return limit is not None and opened >= int(limit[1])
    except OSError:
        return False


def read(path: Path) -> str:
    """
    A file of a process; empty if that has ended.
    """
    try:
        return path.read_text()
    except OSError:
        return ""
