"""
A private Docker daemon in the lab, in its own namespaces, that leaves nothing behind.

It runs in a given network namespace and in its own mount and PID namespaces, with a data root in
memory. So killing its first process also ends containerd, the shims and every container. Images
come from a store that is filled once; its layers are bind-mounted.

The Docker SDK (``client``) starts, lists and reads containers. The ``docker`` command is used for
what the SDK lacks: Compose, and an import that reports its own errors.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import docker

from experiments.commands import how_ended, last_lines, tail
from experiments.errors import DeployError, OutOfMemoryError, ProcessEndedError
from experiments.lab.cgroups import hierarchies
from experiments.lab.docker_layout import STORAGE_DRIVER, contents, descriptions
from experiments.lab.launch import launch_command
from experiments.lab.mounts import Mount, bind, cgroup_mounts, copy_on_write, room, script
from experiments.paths import RUN_IN_LAB, STACK_IN_LAB
from experiments.processes import first_child

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from experiments.lab.cgroups import ControlGroup

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.02
PING_TIMEOUT_S = 5

SOCKET = "docker.sock"
DATA_ROOT = "/var/lib/docker"

DEFAULT_BRIDGE = "198.19.255.1/24"
"""Address of docker0, which no service uses; in the range of RFC 2544."""

NO_SERVER = "127.0.0.1"
"""
Where Docker's DNS server asks for names that it does not know.

Nobody listens there, so such a query fails at once. To a server that cannot be reached it would
wait: eight seconds for each name, with the default servers.
"""

ADDRESS_POOL = "base=198.19.0.0/17,size=24"
"""The pool of subnets for networks that name none."""


@dataclass
class DockerDaemon:
    """
    A running dockerd, as a context.

    ``network_namespace_path`` is like ``/run/netns/trial``; ``directory`` gets the socket and the
    log. ``group`` is the daemon's control group; containers are put below ``container_group``.
    ``processors`` is the number of CPUs for which the daemon, its shims and docker-proxy configure
    themselves, if that differs from the CPUs at their start. With ``store`` its layers are used
    read-only and the data root is in memory; with ``fill_store`` that directory is the data root.
    """

    network_namespace_path: str
    directory: Path
    group: ControlGroup
    container_group: ControlGroup
    processors: int | None = None
    store: Path | None = None
    fill_store: Path | None = None
    userland_proxy: bool = True

    @property
    def socket(self) -> str:
        """
        The daemon's address, as ``DOCKER_HOST`` takes it.
        """
        return f"unix://{self.directory}/{SOCKET}"

    @property
    def log(self) -> Path:
        """
        The output of the daemon.
        """
        return self.directory / "dockerd.log"

    def __enter__(self) -> Self:
        """
        Start the daemon and wait until it answers.

        Raises DeployError with its last log lines if it ends, or does not answer within a minute.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments(),
                env=os.environ | self._go_runtime(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.client = docker.DockerClient(base_url=self.socket, version="1.43", timeout=60)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                status = self.status()
                killed = self.group.memory_kills() > 0
                self.__exit__(None, None, None)
                if status is None:
                    how = f"did not answer within {START_TIMEOUT_S:g} s"
                    error = DeployError
                else:
                    memory = " by the kernel for memory" if killed else ""
                    how = f"{how_ended(status)}{memory} before it answered"
                    error = OutOfMemoryError if killed else ProcessEndedError
                msg = f"dockerd {how}; its last lines:\n{self.last_words()}"
                raise error(msg)
            time.sleep(POLL_S)
        return self

    def status(self) -> int | None:
        """
        The exit status of the daemon; None while it runs.
        """
        return self._process.poll()

    def last_words(self) -> str:
        """
        The last lines of its log.
        """
        return last_lines(tail(self.log)) or "(nothing was printed)"

    def answers(self) -> bool:
        """
        Whether the daemon answers.
        """
        # Not by the client, which leaks a socket with every refused connection.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PING_TIMEOUT_S)
            try:
                connection.connect(str(self.directory / SOCKET))
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(64)
            except OSError:
                return False

    def first_process(self) -> int:
        """
        The process id of the first process in the daemon's namespaces.

        Raises DeployError if the daemon has ended.
        """
        try:
            # It is tini, a child of unshare.
            return first_child(self._process.pid)
        except ProcessLookupError as error:
            msg = "the lab's dockerd has ended"
            raise DeployError(msg) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        End the daemon's PID namespace; a daemon that fills a store may write it out first.
        """
        self.client.close()
        if self.fill_store is not None and error is None:
            # dockerd flushes its store on SIGTERM.
            os.kill(self.first_process(), signal.SIGTERM)
        else:
            self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)
        self.group.remove()

    def _go_runtime(self) -> dict[str, str]:
        # A Go program counts the CPUs once, at its start.
        return {} if self.processors is None else {"GOMAXPROCS": str(self.processors)}

    def _arguments(self) -> list[str]:
        inner = "\n".join(
            [
                # Whatever a container mounts, the folder of the run is not there.
                f"umount --lazy {RUN_IN_LAB} 2>/dev/null || true",
                script(self._mounts()),
                *self._copy_metadata(),
                *self._own_copy_of_the_stack(),
                "mount --rbind /run/sys /sys",
                "exec tini -g -- " + shlex.join(self._daemon_arguments()),
            ]
        )
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        command = [*unshare, "--propagation", "private", "sh", "-euc", inner]
        # Without a signal at its parent's death, because the parent is the thread that started it;
        # it ends with the lab.
        return launch_command(self.group, self.network_namespace_path, command)

    def _own_copy_of_the_stack(self) -> list[str]:
        """
        Containers may write to the files of a user's project, and no other deployment sees that.
        """
        if self.fill_store is not None or not STACK_IN_LAB.exists():
            return []
        scratch = room("/run/stack", "mode=700")
        return [scratch.command(), copy_on_write(STACK_IN_LAB, STACK_IN_LAB, scratch.target)]

    def _mounts(self) -> list[Mount]:
        # sysfs shows the interfaces of the network namespace that mounted it, hence a fresh one.
        sys_mounts = [
            Mount("sysfs", "sysfs", "/run/sys"),
            *(
                Mount("rbind", mount.target, "/run" + mount.target)
                for mount in cgroup_mounts(hierarchies(inside_lab=True), "")[:1]
            ),
        ]
        mounts = [Mount("proc", "proc", "/proc"), *sys_mounts]
        mounts.append(Mount("tmpfs", "exec", "/run/docker", "mode=711"))
        if self.fill_store is not None:
            return [*mounts, bind(self.fill_store, DATA_ROOT, writable=True)]
        mounts.append(room(DATA_ROOT, "mode=711"))
        if self.store is not None:
            mounts += [
                bind(diff, f"{DATA_ROOT}/{diff.relative_to(self.store)}")
                for diff in contents(self.store)
            ]
        return mounts

    def _copy_metadata(self) -> list[str]:
        # The daemon writes to the descriptions of images and layers, so it gets a copy of them; the
        # contents of layers are used in place.
        if self.store is None:
            return []
        return [
            shlex.join(["cp", "-r", str(path), f"{DATA_ROOT}/{path.relative_to(self.store)}"])
            for path in descriptions(self.store)
        ]

    def _daemon_arguments(self) -> list[str]:
        return [
            "dockerd",
            *("--host", self.socket),
            *("--data-root", DATA_ROOT),
            *("--exec-root", "/run/docker"),
            *("--pidfile", "/run/docker/dockerd.pid"),
            *("--storage-driver", STORAGE_DRIVER),
            *("--bip", DEFAULT_BRIDGE),
            *("--default-address-pool", ADDRESS_POOL),
            *("--dns", NO_SERVER),
            *("--cgroup-parent", f"/{self.container_group.path}"),
            f"--userland-proxy={str(self.userland_proxy).lower()}",
        ]
