"""
The sandbox of a deployment: the namespaces and the root that its plain services share.

A service without container primitives is a plain process, but must see neither the runner, nor the
folder of the run, nor other deployments. So each deployment has one PID, one mount, one IPC and one
UTS namespace for all of its plain services. They see each other.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from experiments.commands import last_lines
from experiments.errors import DeployError
from experiments.lab.capabilities import SERVICE, bounded
from experiments.lab.cgroups import hierarchies
from experiments.lab.devices import devices
from experiments.lab.launch import launch_command
from experiments.lab.mounts import Mount, bind, cgroup_mounts, script
from experiments.lab.syscalls import filter_this_thread
from experiments.processes import first_child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from experiments.lab.cgroups import ControlGroup

T = TypeVar("T")

ROOT = "/mnt"
"""Where the root is built, in the sandbox's own mount namespace."""

WRITABLE = {"/run": "mode=755", "/tmp": "mode=1777", "/srv": "mode=755"}  # noqa: S108 - in the lab
"""Directories in memory in the read-only root, with their mount options."""

MASKED = (
    *(f"/proc/{name}" for name in ("acpi", "asound", "kcore", "keys", "latency_stats")),
    *(f"/proc/{name}" for name in ("sched_debug", "scsi", "timer_list", "timer_stats")),
    *("/sys/firmware", "/sys/devices/virtual/powercap"),
)
READ_ONLY = tuple(f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger"))
"""The paths that Docker masks or makes read-only: most belong to the machine."""

OWN_SYSCTLS = "/proc/sys/net"
"""The sysctls of the reader's own network namespace, which stay writable."""

JOINED = {"mount": "mnt", "ipc": "ipc", "uts": "uts"}
"""
The namespaces that a service joins, by the names of nsenter and of the kernel.

It is born into the PID namespace, which a process cannot join.
"""

STOP_TIMEOUT_S = 10.0


def plain_root(layer: Path, root: str) -> list[Mount]:
    """
    Mounts of the userland without an overlay, read-only, with writable directories in memory.
    """
    return [
        bind(layer, root),
        *(Mount("tmpfs", "tmpfs", root + path, options) for path, options in WRITABLE.items()),
    ]


@dataclass
class Sandbox:
    """
    The sandbox, as a context; its end is the end of every process in it.

    ``layer`` has the files of the userland. ``volumes`` and ``tmpfs`` are those of the services.
    With ``filtered`` the processes in it have the lab's filter of system calls.
    """

    group: ControlGroup
    network_namespace_path: str
    layer: Path
    volumes: Mapping[str, bool] = field(default_factory=dict)
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    filtered: bool = True

    def __enter__(self) -> Self:
        """
        Make the namespaces and the root.

        Raises DeployError with the message of the command that failed.
        """
        unshare = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--propagation", "private"]
        command = [*unshare, "--fork", "--kill-child=KILL", "sh", "-euc", self._script()]
        self._process = subprocess.Popen(
            launch_command(self.group, self.network_namespace_path, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as output:
            said = output.readline()
            if said != b"ready\n":
                said += output.read()
        if said != b"ready\n":
            self._end()
            msg = f"cannot make the sandbox of the services: {last_lines(said)}"
            raise DeployError(msg)
        self.first_process = first_child(self._process.pid)
        self._pid_namespace = os.open(f"/proc/{self.first_process}/ns/pid", os.O_RDONLY)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Kill everything in it.
        """
        os.close(self._pid_namespace)
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)

    def spawn(self, start: Callable[[], T]) -> T:
        """
        Call what starts processes; they are born in the PID namespace, with the filter.

        They are children of this process all the same, which learns how they end.
        """
        # In a thread of its own, because what is set for a thread's children stays with it.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._spawn, start).result()

    def _spawn(self, start: Callable[[], T]) -> T:
        os.setns(self._pid_namespace, os.CLONE_NEWPID)
        if self.filtered:
            filter_this_thread()
        return start()

    def command(
        self,
        command: Sequence[str],
        *,
        group: ControlGroup,
        network_namespace_path: str,
        environment: Mapping[str, str],
        working_directory: str = "/",
    ) -> list[str]:
        """
        The command line of a process in the sandbox; start it by ``spawn``.

        The environment comes last: the programs before the command have the lab's capabilities, and
        a variable such as LD_PRELOAD would be code for them.
        """
        variables = [f"{name}={value}" for name, value in environment.items()]
        return launch_command(
            group,
            network_namespace_path,
            [*bounded(SERVICE), "env", "--ignore-environment", "--", *variables, *command],
            namespaces={
                kind: f"/proc/{self.first_process}/ns/{file}" for kind, file in JOINED.items()
            },
            working_directory=working_directory,
        )

    def _script(self) -> str:
        volumes = [
            replace(bind(path, ROOT + path, writable=not read_only), is_file=Path(path).is_file())
            for path, read_only in self.volumes.items()
        ]
        return "\n".join(
            [
                script(plain_root(self.layer, ROOT)),
                devices(ROOT),
                script([*_kernel_mounts(), *volumes]),
                script(
                    Mount("tmpfs", "tmpfs", ROOT + path, options)
                    for path, options in self.tmpfs.items()
                ),
                f"mount -o remount,bind,ro {ROOT}/sys",
                *(_if_there(ROOT + path, "mount --bind {0} {0}") for path in READ_ONLY),
                # A bind mount of what is read-only would be read-only too.
                "mount --bind {0} {0}".format(ROOT + OWN_SYSCTLS),
                *(_if_there(ROOT + path, "mount -o remount,bind,ro {0}") for path in READ_ONLY),
                *(_mask(ROOT + path) for path in MASKED),
                f"cd {ROOT}",
                "pivot_root . tmp",
                "cd /",
                "umount --lazy /tmp",
                "echo ready",
                # It reaps orphans, as the lab's first process does.
                "exec tini -- sleep infinity >/dev/null 2>&1",
            ]
        )


def _kernel_mounts() -> list[Mount]:
    """
    Mounts of /proc, /sys and the control groups, which can be read there but not written.
    """
    return [
        Mount("proc", "proc", f"{ROOT}/proc"),
        Mount("sysfs", "sysfs", f"{ROOT}/sys"),
        *(
            group if group.kind == "tmpfs" else bind(group.target.removeprefix(ROOT), group.target)
            for group in cgroup_mounts(hierarchies(inside_lab=True), ROOT)
        ),
    ]


def _if_there(path: str, command: str) -> str:
    """
    A shell command about a path that not every kernel has.
    """
    return f"[ ! -e {path} ] || {command.format(path)}"


def _mask(path: str) -> str:
    """
    The shell commands that hide a path, as Docker does.
    """
    empty = f"mount -t tmpfs -o ro,size=4k tmpfs {path}"
    return (
        f"if [ -d {path} ]; then {empty}; else {_if_there(path, 'mount --bind /dev/null {0}')}; fi"
    )
