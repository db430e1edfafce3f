"""
Entering the lab: one command in sealed namespaces, which end with the command.

The lab has its own network, mount, PID, IPC, UTS and cgroup namespaces. Its root is the userland
under an overlay in memory. Its first process is a small init (tini), which forwards signals. When
that process ends, the kernel ends every process of the PID namespace, and with them all mounts,
interfaces and namespaces. Only control groups outlive their processes: the process that created
them removes them, or else the lab's keeper, or else the next run, from a note of their names.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from experiments.errors import HostError
from experiments.lab.capabilities import LAB, bounded
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies, remove_directories
from experiments.lab.devices import devices
from experiments.lab.mounts import Mount, cgroup_mounts, script
from experiments.paths import PROJECT
from experiments.processes import Process, first_child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import IO

SCRATCH_SHARE = "75%"
"""The maximum size of the lab's scratch file system, as a share of the memory."""

LAB_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH inside the lab, and Docker's default for containers."""

KILL_TIMEOUT_S = 20.0


@dataclass
class Lab:
    """
    A context in which one command runs in the lab.

    ``root`` is the userland; ``state`` is a directory for notes that outlive a crash. The keeper of
    the lab inherits the file descriptors ``kept_open``, the lab does not.
    """

    root: Path
    state: Path
    command: Sequence[str]
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: int | IO[bytes] | None = subprocess.DEVNULL
    stdout: int | IO[bytes] | None = None
    stderr: int | IO[bytes] | None = None
    kept_open: Sequence[int] = ()

    def __enter__(self) -> Self:
        """
        Create the control groups and start the command.

        Raises HostError if a namespace, a mount or a control group cannot be created.
        """
        remove_stale_groups(self.state)
        found = hierarchies(inside_lab=False)
        name = f"bridgetoll-{uuid.uuid4().hex[:8]}"
        self._group = ControlGroup(name, found)
        self._note = self.state / f"{name}.json"
        self.state.mkdir(parents=True, exist_ok=True)
        owner = Process.of(os.getpid())
        groups = [str(path) for path in self._group.directories()]
        self._note.write_text(json.dumps({"owner": str(owner), "groups": groups}))
        ready_read, ready_write = os.pipe()
        try:
            self._group.create()
            self._process = subprocess.Popen(
                self._arguments(owner, ready_write),
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                stdin=self.stdin,
                stdout=self.stdout,
                stderr=self.stderr,
                pass_fds=(ready_write, *self.kept_open),
                # As containers have it, whatever the caller's.
                umask=0o022,
                # Ctrl-C then reaches only the caller, which stops the lab in an orderly way.
                start_new_session=True,
            )
            os.close(ready_write)
            ready_write = -1
            self._await_ready(ready_read)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        finally:
            os.close(ready_read)
            if ready_write >= 0:
                os.close(ready_write)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Kill the lab if it still runs, and remove its control groups.
        """
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(KILL_TIMEOUT_S)
        self._group.remove()
        self._note.unlink(missing_ok=True)

    def _await_ready(self, ready_read: int) -> None:
        """
        Wait until the last mount is made; the pipe ends early if a step fails.

        Only one line is read, because `unshare` keeps the other end of the pipe open.
        """
        with open(ready_read, "rb", closefd=False) as ready:
            if ready.readline() == b"ready\n":
                return
        status = self._process.wait()
        msg = (
            f"cannot enter the lab (status {status}; see the messages above). It needs root and a "
            "kernel with namespaces, overlayfs and control groups"
        )
        raise HostError(msg)

    def _arguments(self, owner: Process, ready: int) -> list[str]:
        """
        The command line, from outside to inside: keeper, PID namespace, groups, the rest.
        """
        # In the lab's mount namespace alone, over the notes, so that no mount point is left.
        scratch = str(self.state)
        root = f"{scratch}/root"
        inner = "\n".join(
            [
                script([Mount("tmpfs", "scratch", scratch, f"mode=755,size={SCRATCH_SHARE}")]),
                f"cd {shlex.quote(scratch)}",
                "mkdir upper work",
                script(self._root_mounts(scratch, root)),
                devices(root),
                "cd root",
                "mkdir .outside",
                # Not chroot, in which runc refuses to work.
                "pivot_root . .outside",
                "cd /",
                "umount -l /.outside",
                "rmdir /.outside",
                # cgroup v2 delegates controllers only to a group without processes.
                *(
                    f"mkdir '{hierarchy.mount}/{RUNNER_GROUP}'\n"
                    f"echo 0 >'{hierarchy.mount}/{RUNNER_GROUP}/cgroup.procs'"
                    for hierarchy in self._group.hierarchies
                ),
                "ip link set lo up",
                "hostname bridgetoll",
                f"echo ready >&{ready}",
                f"exec {ready}>&-",
                f'exec {shlex.join(bounded(LAB))} tini -- "$@"',
            ]
        )
        # A cgroup namespace begins at the caller's group, hence this order.
        unshare = "unshare --net --mount --ipc --uts --cgroup --propagation private"
        # bash, because other shells do not support file descriptors above 9.
        enter = f'exec {unshare} bash -euc {shlex.quote(inner)} lab "$@"'
        outer = f"{self._group.join_command()}\n{enter}"
        environment = {"PATH": LAB_PATH, **self.environment}
        return [
            *(sys.executable, "-B", "-m", "experiments.lab.keeper"),
            *(str(owner), str(self._note), str(ready)),
            *("env", "--ignore-environment", *map("=".join, environment.items())),
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--pid", "--fork", "--kill-child=KILL"),
            *("sh", "-euc", outer, "lab"),
            *self.command,
        ]

    def _root_mounts(self, scratch: str, root: str) -> list[Mount]:
        # By names in the current folder, because colons and commas in a path mean something here.
        layers = "lowerdir=lower,upperdir=upper,workdir=work"
        return [
            Mount("bind", str(self.root), f"{scratch}/lower"),
            Mount("overlay", "userland", root, layers),
            Mount("proc", "proc", f"{root}/proc"),
            Mount("sysfs", "sysfs", f"{root}/sys"),
            *cgroup_mounts(self._group.hierarchies, root),
            Mount("tmpfs", "run", f"{root}/run", "mode=755"),
            Mount("tmpfs", "tmp", f"{root}/tmp", "mode=1777"),  # noqa: S108 - in the lab
            *(replace(mount, target=root + mount.target) for mount in self.mounts),
        ]

    def first_process(self) -> int:
        """
        The process id of the lab's first process in the caller's PID namespace.

        Raises HostError if the lab has ended.
        """
        try:
            # The keeper's child made the PID namespace.
            return first_child(first_child(self._process.pid))
        except ProcessLookupError as error:
            msg = "the lab has ended"
            raise HostError(msg) from error

    def send_signal(self, number: int) -> None:
        """
        Send a signal to the lab's first process, which forwards it to the command.
        """
        with contextlib.suppress(HostError, ProcessLookupError):
            os.kill(self.first_process(), number)

    def wait(self, timeout_s: float | None = None) -> int:
        """
        Wait for the command; its exit status, or 128 plus the number of the signal that ended it.

        Raises subprocess.TimeoutExpired after ``timeout_s`` seconds.
        """
        status = self._process.wait(timeout_s)
        return status if status >= 0 else 128 - status


def remove_stale_groups(state: Path) -> None:
    """
    Remove the control groups of labs whose owner died, and their keeper too.

    Only groups in the notes that the owner left in ``state`` are removed.
    """
    for note in sorted(state.glob("bridgetoll-*.json")):
        try:
            content = json.loads(note.read_text())
            owner = Process.parse(content["owner"])
            groups = [Path(path) for path in content["groups"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            # Its writer died before the note was complete, and so before it created a group.
            note.unlink(missing_ok=True)
            continue
        if not owner.is_alive():
            remove_directories(groups)
            note.unlink(missing_ok=True)
