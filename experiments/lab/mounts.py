"""
Mounts as data, and the shell script that makes them in new namespaces.

A script, because starting a Python interpreter in every namespace would take longer than all the
mounts.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.commands import output_of
from experiments.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePath

    from experiments.lab.cgroups import Hierarchy

MOUNT_TIMEOUT_S = 10

ROOM_BYTES = 2**30
"""The room in memory for what the services of a deployment print and write, alike in both arms."""


@dataclass(frozen=True)
class Mount:
    """
    One mount.

    ``kind`` is a file system type, ``bind`` or ``rbind``; a missing ``target`` is created.
    """

    kind: str
    source: str
    target: str
    options: str = ""
    is_file: bool = False

    def command(self) -> str:
        """
        The shell commands that make the mount.
        """
        target = shlex.quote(self.target)
        source = shlex.quote(self.source)
        make = f'[ -e {target} ] || {{ mkdir -p "$(dirname {target})"; : >{target}; }}'
        lines = [make if self.is_file else f"mkdir -p {target}"]
        if self.kind in {"bind", "rbind"}:
            lines.append(f"mount --{self.kind} {source} {target}")
            if self.options:
                lines.append(f"mount -o remount,bind,{self.options} {target}")
        else:
            options = f"-o {shlex.quote(self.options)} " if self.options else ""
            # The kernel's newer interface takes 256 bytes per option, too few for three layers.
            older = "LIBMOUNT_FORCE_MOUNT2=always " if self.kind == "overlay" else ""
            lines.append(f"{older}mount -t {self.kind} {options}{source} {target}")
        return "\n".join(lines)


def script(mounts: Iterable[Mount]) -> str:
    """
    The shell script that makes the mounts in order; run it with ``sh -eu``.
    """
    return "\n".join(mount.command() for mount in mounts)


def mount(mounts: Iterable[Mount], what: str) -> None:
    """
    Make the mounts in order, in this process's namespace.

    Raises HostError with ``what`` is mounted and the message of the failed command.
    """
    command = ["sh", "-euc", script(mounts)]
    output_of(command, limit_s=MOUNT_TIMEOUT_S, error=HostError, name=f"mounting {what}")


def cgroup_mounts(found: Iterable[Hierarchy], root: str) -> list[Mount]:
    """
    Mounts of the same hierarchies below ``root``, as the current cgroup namespace sees them.
    """
    place = "/sys/fs/cgroup"
    mounts = []
    if not any(str(hierarchy.mount) == place for hierarchy in found):
        mounts.append(Mount("tmpfs", "cgroup", root + place, "mode=755"))
    for hierarchy in found:
        target = root + str(hierarchy.mount)
        if hierarchy.version == 2:
            mounts.append(Mount("cgroup2", "cgroup2", target))
        else:
            mounts.append(Mount("cgroup", "cgroup", target, hierarchy.mount_options))
    return mounts


def room(target: str, options: str) -> Mount:
    """
    A file system in memory with the room of a deployment.
    """
    return Mount("tmpfs", "room", target, f"{options},size={ROOM_BYTES}")


def copy_on_write(folder: PurePath | str, target: PurePath | str, scratch: PurePath | str) -> str:
    """
    The shell script that shows a folder at ``target``; what is changed there goes to ``scratch``.
    """
    options = f"lowerdir={folder},upperdir={scratch}/upper,workdir={scratch}/work"
    return "\n".join(
        [
            f"mkdir -p {scratch}/upper {scratch}/work",
            Mount("overlay", "overlay", str(target), options).command(),
        ]
    )


def bind(source: PurePath | str, target: str, *, writable: bool = False) -> Mount:
    """
    A bind mount, read-only by default.
    """
    return Mount("bind", str(source), target, "" if writable else "ro")
