"""
Control groups on cgroup v1, hybrid and v2 hosts: one group across all hierarchies.

Works on the host, where it makes the lab's own group, and inside the lab, where a cgroup
namespace makes that group look like the root.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import HostError

CPU_PERIOD_US = 100_000
"""Length of a CFS bandwidth period in microseconds; the kernel's and Docker's default."""

DELEGATED = ("cpu", "cpuset", "memory", "pids")
"""Controllers that the lab needs for itself on cgroup v2."""

RUNNER_GROUP = "runner"
"""The group, directly below the lab's own, of the lab's first process and the runner."""

REMOVE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Hierarchy:
    """
    One mounted cgroup hierarchy.

    ``controllers`` is empty for cgroup v2; ``base`` is the directory below which groups are made.
    """

    version: int
    mount: Path
    base: Path
    controllers: tuple[str, ...]

    @property
    def mount_options(self) -> str:
        """
        What ``mount -t cgroup -o`` needs to mount the same hierarchy again.
        """
        named = any(name.startswith("name=") for name in self.controllers)
        return ",".join((("none",) if named else ()) + self.controllers)


def hierarchies(*, inside_lab: bool, proc: Path = Path("/proc/self")) -> list[Hierarchy]:
    """
    The hierarchies that are mounted and visible to this process.

    Outside of the lab, groups are made below the caller's own on v1, so that limits on the caller
    go on to hold; on v2, which allows no processes beside child groups, and inside the lab, they
    are made below the visible root. Raises HostError when no hierarchy is mounted.
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
    # One may be mounted in several places, such as below another root; the first one is the host's.
    unique = {(each.version, each.controllers): each for each in reversed(found)}
    return sorted(unique.values(), key=lambda hierarchy: str(hierarchy.mount))


def layout(found: list[Hierarchy]) -> str:
    """
    ``v1``, ``hybrid`` or ``v2``, by what is mounted.
    """
    versions = {hierarchy.version for hierarchy in found}
    return "hybrid" if versions == {1, 2} else f"v{versions.pop()}"


class ControlGroup:
    """
    One control group, present under the same path in every hierarchy.
    """

    def __init__(self, path: str, found: list[Hierarchy]) -> None:
        """
        Names the group; ``create`` makes it.
        """
        self.path = path.strip("/")
        self.hierarchies = found

    def child(self, name: str) -> ControlGroup:
        """
        The group of that name below this one; not created yet.
        """
        return ControlGroup(f"{self.path}/{name}", self.hierarchies)

    def directories(self) -> list[Path]:
        """
        The group's directory in each hierarchy, whether it exists or not.
        """
        return [hierarchy.base / self.path for hierarchy in self.hierarchies]

    def directory(self, controller: str) -> Path | None:
        """
        The group's directory in the hierarchy that has the controller; None when nothing has it.
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
        Make the group in every hierarchy, ready for processes.

        Raises HostError when the kernel refuses.
        """
        for hierarchy in self.hierarchies:
            directory = hierarchy.base / self.path
            try:
                if hierarchy.version == 2:
                    self._delegate(hierarchy, directory.parent)
                directory.mkdir(parents=True, exist_ok=True)
                if "cpuset" in hierarchy.controllers:
                    # A v1 cpuset takes no process before it has CPUs and memory nodes.
                    (directory / "cgroup.clone_children").write_text("1")
                    for knob in ("cpuset.cpus", "cpuset.mems"):
                        if not (directory / knob).read_text().strip():
                            inherited = (directory.parent / knob).read_text()
                            (directory / knob).write_text(inherited)
            except OSError as error:
                msg = (
                    f"cannot make the control group {directory}: {error.strerror}. "
                    "Run as root, outside of containers that own no cgroup of their own"
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
        Shell commands by which the calling shell moves itself into the group.
        """
        return "\n".join(f"echo 0 >'{path}/cgroup.procs'" for path in self.directories())

    def set_cpuset(self, cpus: frozenset[int]) -> bool:
        """
        Bind the group's processes to these CPUs; False when there is no cpuset controller.
        """
        directory = self.directory("cpuset")
        if directory is None:
            return False
        (directory / "cpuset.cpus").write_text(",".join(map(str, sorted(cpus))))
        return True

    def bind(self, cpus: frozenset[int]) -> bool:
        """
        Bind the group and all groups below it; False when there is no cpuset controller.

        A v1 group may not lose a CPU that one below it has, so the lowest come first.
        """
        directory = self.directory("cpuset")
        if directory is None:
            return False
        numbers = ",".join(map(str, sorted(cpus)))
        for name, _, _ in os.walk(directory, topdown=False):
            knob = Path(name) / "cpuset.cpus"
            # Below a v2 group that has them, none are the parent's.
            if name == str(directory) or (knob.exists() and knob.read_text().strip()):
                knob.write_text(numbers)
        return True

    def peak_bytes(self) -> int:
        """
        The most memory that the group ever took; 0 where nothing counts it.
        """
        directory = self.directory("memory")
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if directory is not None and (directory / name).exists():
                return int((directory / name).read_text())
        return 0

    def kill(self) -> None:
        """
        Kill everything in the group and below, also what is frozen; it is gone some time later.
        """
        for hierarchy in self.hierarchies:
            knob = hierarchy.base / self.path / "cgroup.kill"
            if knob.exists():
                knob.write_text("1")

    def set_limits(self, cpus: float | None, memory_bytes: int | None) -> None:
        """
        Limit CPU time (in CPUs, such as 0.5) and memory; None leaves either unlimited.

        The same knobs, with the same values, as Docker writes: with a memory limit it allows as
        much swap again, where the kernel accounts for swap. Raises HostError when the kernel has no
        such controller.
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
                # The second is for memory and swap together, and refuses to be below the first.
                limit = "memory.limit_in_bytes"
                swap_limit, swap_bytes = "memory.memsw.limit_in_bytes", 2 * memory_bytes
            (directory / limit).write_text(str(memory_bytes))
            if (directory / swap_limit).exists():
                (directory / swap_limit).write_text(str(swap_bytes))

    def _limiting(self, controller: str) -> Path:
        directory = self.directory(controller)
        if directory is None:
            msg = f"the kernel has no {controller} controller, so the limit cannot be kept"
            raise HostError(msg)
        return directory

    def process_ids(self) -> set[int]:
        """
        The processes in the group itself, in any hierarchy; groups below are not counted.
        """
        found: set[int] = set()
        for directory in self.directories():
            with contextlib.suppress(OSError):
                found.update(map(int, (directory / "cgroup.procs").read_text().split()))
        return found - {0}

    def remove(self) -> None:
        """
        Kill what is left in the group and below, and remove it from every hierarchy.

        Raises HostError when it does not go away within ten seconds.
        """
        remove_directories(self.directories())


def remove_directories(groups: list[Path]) -> None:
    """
    Kill what is left in these control group directories and below, and remove them.

    Raises HostError when one does not go away within ten seconds.
    """
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while True:
        remaining = [path for top in groups for path in _remove_tree(top)]
        if not remaining:
            return
        if time.monotonic() > deadline:
            msg = f"control group {remaining[0]} does not go away; something in it still runs"
            raise HostError(msg)
        time.sleep(0.01)


def _remove_tree(top: Path) -> list[Path]:
    """
    One attempt at a directory and all below it; those that could not be removed yet.
    """
    remaining = []
    for name, _, _ in os.walk(top, topdown=False):
        directory = Path(name)
        with contextlib.suppress(OSError):
            for pid in (directory / "cgroup.procs").read_text().split():
                # Processes of another PID namespace show as 0.
                if pid != "0":
                    os.kill(int(pid), signal.SIGKILL)
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            remaining.append(directory)
    return remaining
