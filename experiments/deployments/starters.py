"""
Starting a service instance at a confinement, from a bare process to all primitives of Docker.

Up to control groups an instance is a plain process. From namespaces on it is started by runc, the
runtime of Docker, with Docker's OCI specification without the further primitives.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from experiments.commands import Ended, output_of, run_command
from experiments.deployments.oci import bundle_config, has_primitive
from experiments.errors import DeployError
from experiments.lab.docker_layout import layer
from experiments.lab.mounts import MOUNT_TIMEOUT_S, Mount, mount
from experiments.lab.network import NetworkNamespace
from experiments.lab.sandbox import Sandbox, plain_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import ExitStack

    from experiments.deployments import Site
    from experiments.deployments.compose_services import Service
    from experiments.lab.cgroups import ControlGroup

POLL_S = 0.01
RUNC_TIMEOUT_S = 20
ROOTS = Path("/run/bridgetoll-roots")
"""Where the roots of containers are mounted."""


class Started(Protocol):
    """
    A started process; ``subprocess.Popen`` is one.
    """

    pid: int

    def poll(self) -> int | None:
        """
        Its exit status, 0 if that is unknown, or None while it runs.
        """

    def kill(self) -> None:
        """
        End it.
        """

    def wait(self, timeout: float | None = None) -> int:
        """
        Wait for its end; raises subprocess.TimeoutExpired.
        """


class RuncContainer:
    """
    The first process of a container that runc started in the background.
    """

    def __init__(self, name: str, pid: int, state: Path) -> None:
        """
        Opens a handle, because the kernel may reuse the number after the process has ended.
        """
        self.pid = pid
        self._name = name
        self._state = state
        self._handle = os.pidfd_open(pid)
        self._status: int | None = None

    def poll(self) -> int | None:
        """
        0 after its end: runc does not keep the status, and only the lab's init learns it.
        """
        if self._status is None and self._has_ended():
            self._status = 0
        return self._status

    def _has_ended(self) -> bool:
        try:
            signal.pidfd_send_signal(self._handle, 0)
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            # It may end between the two calls.
            return True
        # A zombie still accepts signals.
        return stat.rpartition(")")[2].split()[0] == "Z"

    def send_signal(self, sig: int) -> None:
        """
        Send it a signal, unless it has ended.
        """
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, sig)

    def kill(self) -> None:
        """
        End it.
        """
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """
        Wait for its end; raises subprocess.TimeoutExpired.
        """
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._name, timeout or 0)
            time.sleep(POLL_S)
        return status

    def delete(self) -> None:
        """
        Let runc remove its state of the container and kill the process if it still runs.
        """
        delete = ["runc", "--root", str(self._state), "delete", "--force", self._name]
        run_command(delete, limit_s=RUNC_TIMEOUT_S)
        os.close(self._handle)


@dataclass(frozen=True)
class Place:
    """
    The place of an instance: its name, its network namespace and its control group.
    """

    name: str
    network_namespace_path: str
    group: ControlGroup | None


class Starter:
    """
    Starts the instances of one deployment at one confinement; ``stack`` gets their resources.

    With ``filtered`` they have the lab's filter of system calls, unless they have Docker's.
    """

    def __init__(self, site: Site, confinement: str, stack: ExitStack, *, filtered: bool) -> None:
        """
        Nothing is created or started yet.
        """
        # On cgroup v2 a group with children cannot contain processes.
        self.shared_group = site.group.child("shared")
        self._site = site
        self._confinement = confinement
        self._stack = stack
        self._filtered = filtered

    def make_shared_group(self) -> None:
        """
        Create the control group of all processes without a group.
        """
        self.shared_group.create()
        self._stack.callback(self.shared_group.remove)

    def make_sandbox(self, services: Iterable[Service]) -> Sandbox:
        """
        Make the sandbox of the plain services and of all health checks.
        """
        known = list(services)
        self._sandbox = self._stack.enter_context(
            Sandbox(
                group=self.shared_group,
                network_namespace_path=NetworkNamespace(self._site.network_namespace).path,
                layer=layer(self._site.image_store),
                volumes={path: ro for each in known for path, ro in each.volumes.items()},
                tmpfs={path: how for each in known for path, how in each.tmpfs.items()},
                filtered=self._filtered,
            )
        )
        return self._sandbox

    def group(self, name: str, service: Service) -> ControlGroup | None:
        """
        A control group for the instance, if the confinement or a limit needs one.
        """
        limits = (service.cpus, service.memory_bytes, service.processes)
        if not has_primitive(self._confinement, "cgroups") and limits == (None, None, None):
            return None
        group = self._site.group.child(name)
        group.create()
        self._stack.callback(group.remove)
        group.set_limits(*limits)
        return group

    def start(
        self,
        service: Service,
        place: Place,
        command: Sequence[str],
        environment: dict[str, str],
        output: int | IO[bytes],
    ) -> Started:
        """
        Start a service's command, which includes the change to its user, at a place.

        Raises DeployError with runc's message if runc refuses.
        """
        if has_primitive(self._confinement, "namespaces"):
            return self._run_container(service, place, environment, output)
        line = self._command(service, place, command, environment)
        return self._sandbox.spawn(
            lambda: subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        )

    def check(
        self,
        service: Service,
        place: Place,
        command: Sequence[str],
        environment: dict[str, str],
        limit_s: float,
    ) -> Ended:
        """
        Run a command of a service's health check in the sandbox.
        """
        line = self._command(service, place, command, environment)
        return self._sandbox.spawn(lambda: run_command(line, limit_s=limit_s, own_session=True))

    def _command(
        self,
        service: Service,
        place: Place,
        command: Sequence[str],
        environment: dict[str, str],
    ) -> list[str]:
        return self._sandbox.command(
            command,
            group=place.group or self.shared_group,
            network_namespace_path=place.network_namespace_path,
            environment=environment,
            working_directory=service.working_dir,
        )

    def _run_container(
        self,
        service: Service,
        place: Place,
        environment: dict[str, str],
        output: int | IO[bytes],
    ) -> Started:
        name = place.name
        bundles = self._site.directory / "bundles"
        bundles.mkdir(exist_ok=True)
        bundle = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=bundles))
        config = bundle_config(
            self._site.docker_spec,
            self._confinement,
            service,
            hostname=name,
            environment=environment,
            root=self._root(bundle),
            network_namespace_path=place.network_namespace_path,
            group=f"/{self._site.group.path}/{name}",
            filtered=self._filtered,
        )
        (bundle / "config.json").write_text(json.dumps(config))
        state = self._site.directory / "runc"
        pid_file = bundle / "pid"
        log = bundle / "runc.log"
        command = ["runc", "--root", str(state), "--log", str(log), "run", "--detach"]
        command += ["--bundle", str(bundle), "--pid-file", str(pid_file), name]
        ended = run_command(command, limit_s=RUNC_TIMEOUT_S, output=output)
        if not ended.ok:
            words = log.read_text().strip() if log.exists() else "its log is empty"
            msg = f"{ended.failure(f'starting {name} by runc')}: {words}"
            raise DeployError(msg)
        container = RuncContainer(name, int(pid_file.read_text()), state)
        self._stack.callback(container.delete)
        return container

    def _root(self, bundle: Path) -> Path:
        """
        The root of a container: the plain root, or an overlay on the same files.
        """
        root = ROOTS / f"{self._site.network_namespace}-{bundle.name}"
        if has_primitive(self._confinement, "overlay"):
            for name in ("upper", "work"):
                (bundle / name).mkdir()
            layers = f"lowerdir={layer(self._site.image_store)}"
            layers += f",upperdir={bundle}/upper,workdir={bundle}/work"
            mounts = [Mount("overlay", "overlay", str(root), layers)]
        else:
            mounts = plain_root(layer(self._site.image_store), str(root))
        root.mkdir(parents=True)
        # Removed by rmdir, never by a recursive delete: the mount contains the lab's directories.
        # Both callbacks come before the mount, which may be interrupted.
        self._stack.callback(root.rmdir)
        self._stack.callback(unmount, root)
        mount(mounts, f"the root of {root.name}")
        return root


def unmount(root: Path) -> None:
    """
    Unmount a root with everything below it, if it is mounted.
    """
    if root.is_mount():
        output_of(["umount", "--lazy", str(root)], limit_s=MOUNT_TIMEOUT_S, error=DeployError)
