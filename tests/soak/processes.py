"""
The processes of a run as the host sees them: which they are, and which of them still live.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.processes import PROC, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOOK_S = 0.2
"""The time between two looks at a run."""

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

OWNERS = ("nox", "host command", "keeper", "unshare", "init", "runner")
"""The roles whose end is the end of the run, from outside to inside."""

IN_A_TRIAL = ("dockerd", "containerd", "shim", "docker-proxy", "service", "ab")
"""The roles whose end is a fault of one trial."""

REPORT, BUILD_STEP = "report", "build step"
"""The roles of a report's and of a build's own processes: of a build, all that have no other."""

ENTERED = ("experiments.run.runner", "experiments.lab.image")
"""In the command line of what enters the lab; a deployment's own namespaces have another."""


def _enters(command: str) -> bool:
    return any(module in command for module in ENTERED)


ROLES: Mapping[str, Callable[[str, str], bool]] = {
    REPORT: lambda _, command: " -m analysis " in f"{command} ",
    "nox": lambda _, command: " -m nox " in command,
    "keeper": lambda _, command: "experiments.lab.keeper" in command,
    "host command": lambda _, command: " -m experiments " in command,
    "runner": lambda name, command: name == "python3" and _enters(command),
    "init": lambda name, command: name == "tini" and _enters(command),
    "unshare": lambda name, command: name == "unshare" and _enters(command),
    "shim": lambda name, _: name.startswith("containerd-shim"),
    "dockerd": lambda name, _: name == "dockerd",
    "containerd": lambda name, _: name == "containerd",
    "docker-proxy": lambda name, _: name == "docker-proxy",
    "ab": lambda name, _: name == "ab",
    "service": lambda name, command: name == "python3" and "services." in command,
}
"""The first role that fits, by the name and the command line of a process."""


@dataclass(frozen=True)
class Seen:
    """
    A process of the run that lives now.
    """

    process: Process
    role: str
    frozen: bool


class Tree:
    """
    Everything that was ever seen to descend from the command, and its namespaces.
    """

    def __init__(self, root: int) -> None:
        """
        Begins with one process.
        """
        self.known = {Process.of(root)}
        self.namespaces: set[str] = set()
        self._own = {str(link.readlink()) for link in Path("/proc/self/ns").iterdir()}
        self._last_ticks = 0.0

    def look(self) -> list[Seen]:
        """
        The processes that live now; more are known after each look.
        """
        parents = {}
        for folder in PROC.glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[Process(int(folder.name), int(fields[19]))] = (int(fields[1]), fields[0])
            except (OSError, IndexError):
                continue
        own = {each.pid for each in self.known if each in parents}
        grown = True
        while grown:
            children = {each for each, (parent, _) in parents.items() if parent in own}
            grown = not {each.pid for each in children} <= own
            own |= {each.pid for each in children}
            self.known |= children
        living = [each for each in self.known if parents.get(each, (0, "Z"))[1] not in "ZX"]
        living.sort(key=lambda process: (process.started, process.pid))
        found: list[Seen] = []
        for each in living:
            if seen := self._seen(each):
                # A child looks like its parent until it executes its own program.
                is_child = seen.role in OWNERS and seen.role in {other.role for other in found}
                found.append(replace(seen, role="other") if is_child else seen)
        if found:
            self._last_ticks = (time.clock_gettime(time.CLOCK_BOOTTIME) + LOOK_S) * TICKS_PER_S
        return found

    def held_namespaces(self) -> dict[str, str]:
        """
        The namespaces of the run that a process is in, and that process: a child of an orphan, say.

        A process that began after the end of the run cannot be in one: the kernel gives the number
        of a namespace that is gone to a new one.
        """
        held = {}
        for folder in PROC.glob("[0-9]*"):
            try:
                process = Process.of(int(folder.name))
                if process.started <= self._last_ticks:
                    name = (folder / "comm").read_text().strip()
                    links = {str(link.readlink()) for link in (folder / "ns").iterdir()}
                    held.update(dict.fromkeys(links & self.namespaces, f"{process} ({name})"))
            except OSError:
                continue
        return held

    def _seen(self, process: Process) -> Seen | None:
        folder = PROC / str(process.pid)
        try:
            self.namespaces |= {str(link.readlink()) for link in (folder / "ns").iterdir()}
            self.namespaces -= self._own
            name = (folder / "comm").read_text().strip()
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            frozen = _is_frozen((folder / "cgroup").read_text())
        except OSError:
            return None
        role = next((role for role, fits in ROLES.items() if fits(name, command)), "other")
        return Seen(process, role, frozen)


def _is_frozen(groups: str) -> bool:
    """
    Whether the process is in a frozen group of cgroup v2.
    """
    for line in groups.splitlines():
        if line.startswith("0::"):
            for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
                events = Path(f"{mount}{line[3:]}/cgroup.events")
                if events.exists():
                    return "frozen 1" in events.read_text().splitlines()
    return False
