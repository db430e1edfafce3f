"""
Control groups on cgroup v1, hybrid and v2 hosts: one group across all hierarchies.

It works on the host, where it creates the lab's group, and in the lab, where a cgroup namespace
makes this group the root.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Sequence

CPU_PERIOD_US = 100_000
"""Length of a CFS bandwidth period in microseconds; the kernel's and Docker's default."""

DELEGATED = ("cpu", "cpuset", "memory", "pids")
"""Controllers that the lab needs for itself on cgroup v2."""

RUNNER_GROUP = "runner"
"""The group, directly below the lab's group, of the lab's first process and the runner."""

REMOVE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Hierarchy:
    """
    One mounted cgroup hierarchy.

    ``controllers`` is empty for cgroup v2; groups are created below the directory ``base``.
    """

    version: int
    mount: Path
    base: Path
    controllers: tuple[str, ...]

    @property
    def mount_options(self) -> str:
        """
        The options of ``mount -t cgroup`` that mount the same hierarchy again.
        """
        named = any(name.startswith("name=") for name in self.controllers)
        return ",".join((("none",) if named else ()) + self.controllers)


def hierarchies(*, inside_lab: bool, proc: Path = Path("/proc/self")) -> list[Hierarchy]:
    """
    The mounted hierarchies that this process sees.

    On v1 outside the lab, groups are created below the caller's group, so that the caller's limits
    still apply. In the lab, and on v2, where a group with children cannot contain processes, they
    are created below the visible root. Raises HostError if no hierarchy is mounted.
    """
    own = {}
    for line in (proc / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    found = []
    for line in (proc / "mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        fstype, _, options = rest.split(" ", 2)
        mount_root, mount_point = fields.split(" ")[3:5]
        mount = Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), mount_point))
        if fstype == "cgroup2":
            found.append(Hierarchy(2, mount, mount, ()))
        elif fstype == "cgroup":
            named = {word for word in options.split(",") if word.startswith("name=")}
            for controllers, path in own.items():
                words = set(controllers.split(","))
                if controllers and words <= (named | set(options.split(","))):
                    inside = Path("/") / path.lstrip("/")
                    if inside.is_relative_to(mount_root):
                        inside = inside.relative_to(mount_root)
                    base = mount if inside_lab else mount / str(inside).lstrip("/")
                    found.append(Hierarchy(1, mount, base, tuple(controllers.split(","))))
    if not found:
        msg = "no cgroup file system is mounted; mount one at /sys/fs/cgroup"
        raise HostError(msg)
    # A hierarchy can be mounted several times; the first mount is the host's.
    unique = {(each.version, each.controllers): each for each in reversed(found)}
    return sorted(unique.values(), key=lambda hierarchy: str(hierarchy.mount))


def layout(found: list[Hierarchy]) -> str:
    """
    ``v1``, ``hybrid`` or ``v2``, by the mounted hierarchies.
    """
    versions = {hierarchy.version for hierarchy in found}
    return "hybrid" if versions == {1, 2} else f"v{versions.pop()}"


class ControlGroup:
    """
    One control group, present under the same path in every hierarchy.
    """

    def __init__(self, path: str, found: list[Hierarchy]) -> None:
        """
        Only names the group; ``create`` creates it.
        """
        self.path = path.strip("/")
        self.hierarchies = found

    def child(self, name: str) -> ControlGroup:
        """
        The group of this name below this one; not created yet.
        """
        return ControlGroup(f"{self.path}/{name}", self.hierarchies)

    def directories(self) -> list[Path]:
        """
        The group's directory in every hierarchy, whether it exists or not.
        """
        return [hierarchy.base / self.path for hierarchy in self.hierarchies]

    def directory(self, controller: str) -> Path | None:
        """
        The group's directory in the hierarchy with this controller; None without one.
        """
        for hierarchy in self.hierarchies:
            directory = hierarchy.base / self.path
            if controller in hierarchy.controllers:
                return directory
            if hierarchy.version == 2:
                available = hierarchy.mount / "cgroup.controllers"
                if controller in available.read_text().split():
                    return directory
        return None

    def create(self) -> None:
        """
        Create the group in every hierarchy, ready for processes.

        Raises HostError if the kernel refuses.
        """
        for hierarchy in self.hierarchies:
            directory = hierarchy.base / self.path
            try:
                if hierarchy.version == 2:
                    self._delegate(hierarchy, directory.parent)
                directory.mkdir(parents=True, exist_ok=True)
                if "cpuset" in hierarchy.controllers:
                    # A v1 cpuset accepts processes only with CPUs and memory nodes.
                    (directory / "cgroup.clone_children").write_text("1")
                    for knob in ("cpuset.cpus", "cpuset.mems"):
                        if not (directory / knob).read_text().strip():
                            inherited = (directory.parent / knob).read_text()
                            (directory / knob).write_text(inherited)
            except OSError as error:
                msg = (
                    f"cannot create the control group {directory}: {error.strerror}. Run as root, "
                    "and not in a container without its own cgroup"
                )
                raise HostError(msg) from error

    def _delegate(self, hierarchy: Hierarchy, parent: Path) -> None:
        available = (hierarchy.mount / "cgroup.controllers").read_text().split()
        chain = [parent, *parent.parents]
        for directory in reversed(chain[: chain.index(hierarchy.mount) + 1]):
            directory.mkdir(exist_ok=True)
            enabled = (directory / "cgroup.subtree_control").read_text().split()
            for controller in DELEGATED:
                if controller in available and controller not in enabled:
                    (directory / "cgroup.subtree_control").write_text(f"+{controller}")

    def join_command(self) -> str:
        """
        Shell commands that move the calling shell into the group.
        """
        return "\n".join(f"echo 0 >'{path}/cgroup.procs'" for path in self.directories())

    def set_cpuset(self, cpus: frozenset[int]) -> bool:
        """
        Bind the group's processes to these CPUs; False if there is no cpuset controller.
        """
        directory = self.directory("cpuset")
        if directory is None:
            return False
        (directory / "cpuset.cpus").write_text(",".join(map(str, sorted(cpus))))
        return True

    def bind(self, cpus: frozenset[int]) -> bool:
        """
        Bind the group and all groups below it; False if there is no cpuset controller.

        A v1 group cannot lose a CPU that a child has, so children come first.
        """
        directory = self.directory("cpuset")
        if directory is None:
            return False
        numbers = ",".join(map(str, sorted(cpus)))
        for name, _, _ in os.walk(directory, topdown=False):
            knob = Path(name) / "cpuset.cpus"
            # In a v2 child an empty value means the parent's CPUs.
            if name == str(directory) or (knob.exists() and knob.read_text().strip()):
                knob.write_text(numbers)
        return True

    def cpus(self) -> set[int] | None:
        """
        The CPUs that the group's processes may run on; None if there is no cpuset controller.
        """
        directory = self.directory("cpuset")
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus"):
            if directory is not None and (directory / name).exists():
                return parse_cpu_list((directory / name).read_text())
        return None

    def peak_bytes(self) -> int:
        """
        The peak memory of the group in bytes; 0 if the kernel does not count it.
        """
        directory = self.directory("memory")
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if directory is not None and (directory / name).exists():
                return int((directory / name).read_text())
        return 0

    def memory_kills(self) -> int:
        """
        How many processes the kernel has killed at the group's memory limit; 0 if it counts none.

        On v2 the kills in groups below count too, even if such a group is gone.
        """
        return self._counted("memory", ("memory.events", "memory.oom_control"), "oom_kill")

    def refused_processes(self) -> int:
        """
        How often the kernel has refused a process or thread at the group's limit.
        """
        return self._counted("pids", ("pids.events",), "max")

    def _counted(self, controller: str, files: Sequence[str], wanted: str) -> int:
        """
        A count in the first of these files that there is, by its name; 0 if there is none.
        """
        directory = self.directory(controller)
        for name in files:
            # The group of a container ends with it.
            with contextlib.suppress(OSError):
                lines = (directory / name).read_text().splitlines() if directory else []
                return next((int(n) for w, n in map(str.split, lines) if w == wanted), 0)
        return 0

    def kill(self) -> None:
        """
        Kill all processes in the group and below, even frozen ones, without waiting for their end.
        """
        for hierarchy in self.hierarchies:
            knob = hierarchy.base / self.path / "cgroup.kill"
            if knob.exists():
                knob.write_text("1")

    def set_limits(
        self, cpus: float | None, memory_bytes: int | None, processes: int | None = None
    ) -> None:
        """
        Limit CPU time (in CPUs, such as 0.5), memory and processes; None is no limit.

        The files and values are those that Docker writes: a memory limit allows the same amount of
        swap, if the kernel accounts for swap. Raises HostError without such a controller.
        """
        if cpus is not None:
            quota_us = int(cpus * CPU_PERIOD_US)
            directory = self._limiting("cpu")
            if (directory / "cpu.max").exists():
                (directory / "cpu.max").write_text(f"{quota_us} {CPU_PERIOD_US}")
            else:
                (directory / "cpu.cfs_period_us").write_text(str(CPU_PERIOD_US))
                (directory / "cpu.cfs_quota_us").write_text(str(quota_us))
        if memory_bytes is not None:
            directory = self._limiting("memory")
            if (directory / "memory.max").exists():
                limit, swap_limit, swap_bytes = "memory.max", "memory.swap.max", memory_bytes
            else:
                # The second limit is memory plus swap, and cannot be below the first.
                limit = "memory.limit_in_bytes"
                swap_limit, swap_bytes = "memory.memsw.limit_in_bytes", 2 * memory_bytes
            (directory / limit).write_text(str(memory_bytes))
            if (directory / swap_limit).exists():
                (directory / swap_limit).write_text(str(swap_bytes))

        if processes is not None:
            (self._limiting("pids") / "pids.max").write_text(str(processes))

    def _limiting(self, controller: str) -> Path:
        directory = self.directory(controller)
        if directory is None:
            msg = (
                f"the kernel has no {controller} controller, so it cannot enforce a limit of a "
                f"service; boot with cgroup_enable={controller}, or choose variants without limits"
            )
            raise HostError(msg)
        return directory

    def process_ids(self) -> set[int]:
        """
        The processes in the group in any hierarchy, without groups below.
        """
        found: set[int] = set()
        for directory in self.directories():
            with contextlib.suppress(OSError):
                found.update(map(int, (directory / "cgroup.procs").read_text().split()))
        return found - {0}

    def remove(self) -> None:
        """
        Kill the processes in the group and below, and remove it from every hierarchy.

        Raises HostError if that takes longer than ten seconds.
        """
        remove_directories(self.directories())


def parse_cpu_list(text: str) -> set[int]:
    """
    The numbers in a CPU list of the kernel, such as ``0-2,4``.
    """
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def remove_directories(groups: list[Path]) -> None:
    """
    Kill the processes in these control groups and below, and remove the groups.

    Raises HostError if that takes longer than ten seconds.
    """
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while True:
        remaining = [path for top in groups for path in _remove_tree(top)]
        if not remaining:
            return
        if time.monotonic() > deadline:
            try:
                listed = (remaining[0] / "cgroup.procs").read_text().split()
            except OSError:
                listed = []
            pids = [pid for pid in listed if pid != "0"]
            why = f"; `ps {' '.join(pids)}` shows what in it does not end" if pids else ""
            msg = f"cannot remove the control group {remaining[0]}{why}"
            raise HostError(msg)
        time.sleep(0.01)


def _remove_tree(top: Path) -> list[Path]:
    """
    Try to remove a directory and all below; the directories that could not be removed yet.
    """
    remaining = []
    for name, _, _ in os.walk(top, topdown=False):
        directory = Path(name)
        with contextlib.suppress(OSError):
            for pid in (directory / "cgroup.procs").read_text().split():
                # A process of another PID namespace is shown as 0.
                if pid != "0":
                    os.kill(int(pid), signal.SIGKILL)
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            remaining.append(directory)
    return remaining
