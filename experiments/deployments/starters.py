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
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol

from experiments.commands import Ended, output_of, run_command
from experiments.deployments.compose_services import Settings
from experiments.deployments.images import account_of
from experiments.deployments.oci import bundle_config, has_primitive
from experiments.errors import ComposeError, DeployError
from experiments.lab.beneath import open_in
from experiments.lab.docker_layout import short_name
from experiments.lab.mounts import MOUNT_TIMEOUT_S, Mount, copy_on_write, mount
from experiments.lab.network import NetworkNamespace
from experiments.lab.sandbox import Sandbox, plain_root
from experiments.paths import STACK_IN_LAB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import ExitStack

    from experiments.deployments import Site
    from experiments.deployments.compose_services import Service
    from experiments.deployments.images import Account
    from experiments.lab.cgroups import ControlGroup

POLL_S = 0.01
RUNC_TIMEOUT_S = 20
COPY_TIMEOUT_S = 60
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
        self._handle: int | None = None
        self._status: int | None = None
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            # It has ended already.
            self._status = 0

    def poll(self) -> int | None:
        """
        0 after its end: runc does not keep the status, and only the lab's init learns it.
        """
        if self._status is None and self._has_ended():
            self._status = 0
        return self._status

    def _has_ended(self) -> bool:
        if self._handle is None:
            return True
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
        if self.poll() is None and self._handle is not None:
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
        if self._handle is not None:
            os.close(self._handle)


@dataclass(frozen=True)
class Place:
    """
    The place of an instance: its name, its network namespace, its control group, its /etc/hosts.
    """

    name: str
    network_namespace_path: str
    group: ControlGroup | None
    hosts: str = ""


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
        self._sandbox: Sandbox | None = None

    @property
    def first_process(self) -> int | None:
        """
        The first process of the sandbox; None if services have namespaces of their own.
        """
        return self._sandbox.first_process if self._sandbox else None

    def make_shared_group(self) -> None:
        """
        Create the control group of all processes without a group.
        """
        self.shared_group.create()
        self._stack.callback(self.shared_group.remove)

    def make_sandbox(self, services: Iterable[Service]) -> None:
        """
        Make the sandbox of the plain services, if they are plain.

        Raises ComposeError for what needs namespaces of the service's own.
        """
        if has_primitive(self._confinement, "namespaces"):
            return
        known = list(services)
        for each in known:
            _refuse_own_namespaces(each)
        self._sandbox = self._stack.enter_context(
            Sandbox(
                group=self.shared_group,
                network_namespace_path=NetworkNamespace(self._site.network_namespace).path,
                layer=known[0].image.layers[0],
                volumes={path: ro.read_only for each in known for path, ro in each.volumes.items()},
                tmpfs={path: how for each in known for path, how in each.tmpfs.items()},
                filtered=self._filtered,
            )
        )

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
        environment: dict[str, str],
        output: int | IO[bytes],
    ) -> Started:
        """
        Start a service's command at a place.

        Raises DeployError with runc's message if runc refuses.
        """
        if self._sandbox is None:
            return self._run_container(service, place, environment, output)
        line = self._command(self._sandbox, service, place, service.command, environment)
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
        Run a command of a service's health check where the service is.
        """
        if self._sandbox is None:
            line = ["runc", "--root", str(self._state), "exec", place.name, *command]
            return run_command(line, limit_s=limit_s, own_session=True)
        line = self._command(self._sandbox, service, place, command, environment)
        return self._sandbox.spawn(lambda: run_command(line, limit_s=limit_s, own_session=True))

    def _command(
        self,
        sandbox: Sandbox,
        service: Service,
        place: Place,
        command: Sequence[str],
        environment: dict[str, str],
    ) -> list[str]:
        return sandbox.command(
            [*become(account_of(service.image.layers, service.user)), *command],
            group=place.group or self.shared_group,
            network_namespace_path=place.network_namespace_path,
            environment=environment,
            working_directory=service.working_dir,
        )

    @property
    def _state(self) -> Path:
        return self._site.directory / "runc"

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
        root = self._root(service.image.layers, bundle)
        config = bundle_config(
            self._site.docker_spec,
            self._confinement,
            service,
            hostname=name,
            environment=environment,
            root=root,
            mounts=self._mounts(service, place, bundle, root),
            network_namespace_path=place.network_namespace_path,
            group=f"/{self._site.group.path}/{name}",
            filtered=self._filtered,
        )
        (bundle / "config.json").write_text(json.dumps(config))
        pid_file = bundle / "pid"
        log = bundle / "runc.log"
        command = ["runc", "--root", str(self._state), "--log", str(log), "run"]
        command += ["--bundle", str(bundle), "--pid-file", str(pid_file)]
        if service.runs_once:
            return self._run_to_the_end([*command, name], name, output)
        command += ["--detach", name]
        ended = run_command(command, limit_s=RUNC_TIMEOUT_S, output=output)
        if not ended.ok:
            words = log.read_text().strip() if log.exists() else "its log is empty"
            msg = f"{ended.failure(f'starting {name} by runc')}: {words}"
            raise DeployError(msg)
        container = RuncContainer(name, int(pid_file.read_text()), self._state)
        self._stack.callback(container.delete)
        return container

    def _run_to_the_end(
        self, command: Sequence[str], name: str, output: int | IO[bytes]
    ) -> Started:
        """
        Run a container with runc in the foreground, which ends with its status.
        """
        delete = ["runc", "--root", str(self._state), "delete", "--force", name]
        self._stack.callback(run_command, delete, limit_s=RUNC_TIMEOUT_S)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def _mounts(
        self, service: Service, place: Place, bundle: Path, root: Path
    ) -> dict[str, tuple[Path, bool]]:
        """
        What is mounted in a container, by path, and whether it is read-only: files, then volumes.
        """
        files = {"hosts": place.hosts, "hostname": f"{place.name}\n", "resolv.conf": ""}
        found = {}
        for name, content in files.items():
            (bundle / name).write_text(content)
            found[f"/etc/{name}"] = (bundle / name, False)
        for number, (path, volume) in enumerate(service.volumes.items()):
            source = self._own_copy(Path(volume.source))
            if volume.is_new:
                name = volume.source or f"{bundle.name}-{number}"
                source = self._site.directory / "volumes" / name
                if not source.exists():
                    fill(source, root, path)
            found[path] = (source, volume.read_only)
        return found

    def _own_copy(self, source: Path) -> Path:
        """
        The path at which this deployment has a file of a user's project, to which it may write.
        """
        if not source.is_relative_to(STACK_IN_LAB):
            return source
        copy = self._site.directory / "stack"
        if not copy.exists():
            self._stack.callback(unmount, copy)
            overlay = copy_on_write(STACK_IN_LAB, copy, self._site.directory / "stack-changes")
            command = ["sh", "-euc", overlay]
            output_of(command, limit_s=MOUNT_TIMEOUT_S, error=DeployError, name="the stack's copy")
        return copy / source.relative_to(STACK_IN_LAB)

    def _root(self, layers: Sequence[Path], bundle: Path) -> Path:
        """
        The root of a container: the plain root, or an overlay on the same files.
        """
        root = ROOTS / f"{self._site.network_namespace}-{bundle.name}"
        if has_primitive(self._confinement, "overlay"):
            for name in ("upper", "work"):
                (bundle / name).mkdir()
            options = f"lowerdir={':'.join(str(short_name(each)) for each in layers)}"
            options += f",upperdir={bundle}/upper,workdir={bundle}/work"
            mounts = [Mount("overlay", "overlay", str(root), options)]
        else:
            mounts = plain_root(layers[0], str(root))
        root.mkdir(parents=True)
        # Removed by rmdir, never by a recursive delete: the mount contains the lab's directories.
        # Both callbacks come before the mount, which may be interrupted.
        self._stack.callback(root.rmdir)
        self._stack.callback(unmount, root)
        mount(mounts, f"the root of {root.name}")
        return root


def become(account: Account) -> list[str]:
    """
    The command prefix that changes to an account, unless it is root.
    """
    if not account.uid:
        return []
    groups = ",".join(map(str, account.groups))
    also = f"--groups={groups}" if groups else "--clear-groups"
    return ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", also, "--"]


def fill(volume: Path, root: Path, path: str) -> None:
    """
    Make a new volume with what a root has at a path, as Docker does.
    """
    volume.mkdir(parents=True)
    try:
        # The image may have a link there, which is followed in its own root only.
        handle = open_in(root, path)
    except FileNotFoundError:
        return
    try:
        copy = ["cp", "--archive", f"/proc/{os.getpid()}/fd/{handle}/.", str(volume)]
        output_of(copy, limit_s=COPY_TIMEOUT_S, error=DeployError)
    finally:
        os.close(handle)


def _refuse_own_namespaces(service: Service) -> None:
    """
    Raise ComposeError for what a service without namespaces of its own cannot have.
    """
    for path, volume in service.volumes.items():
        if volume.is_new or PurePosixPath(volume.source) != PurePosixPath(path):
            msg = (
                f"services.{service.name}.volumes: {volume.source}:{path} needs a root of the "
                "service's own; mount a path at the same path, or use confinement = 'overlay'"
            )
            raise ComposeError(msg)
    if service.settings != Settings() or len(service.image.layers) > 1:
        msg = (
            f"services.{service.name} needs namespaces of its own for its image, or for "
            f"{service.settings}; use confinement = 'overlay'"
        )
        raise ComposeError(msg)


def unmount(root: Path) -> None:
    """
    Unmount a root with everything below it, if it is mounted.
    """
    if root.is_mount():
        output_of(["umount", "--lazy", str(root)], limit_s=MOUNT_TIMEOUT_S, error=DeployError)
