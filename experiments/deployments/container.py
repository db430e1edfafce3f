"""
The stack as containers: Docker Compose on a private dockerd of this deployment.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from docker.errors import DockerException

from experiments.commands import LAST_LINES, run_command
from experiments.deployments import Part
from experiments.deployments.compose import compose_command
from experiments.deployments.private_daemon import private_daemon
from experiments.errors import DeployError
from experiments.lab.uplink import UPLINK_ADDRESS
from experiments.records.cpu import DAEMON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from docker.models.containers import Container

    from experiments.deployments import Site
    from experiments.deployments.compose import ComposeProject
    from experiments.lab.cgroups import ControlGroup

UP_TIMEOUT_S = 180
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"


class ContainerDeployment:
    """
    A deployment by Docker Compose; see ``experiments.deployments.Deployment``.
    """

    def __init__(self, project: ComposeProject, site: Site, levels: Mapping[str, str]) -> None:
        """
        Nothing is started yet.
        """
        self._project = project
        self._site = site
        self._levels = levels
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """
        Start the daemon, then let Compose bring the services up and wait until they are healthy.
        """
        try:
            proxy = self._levels["userland_proxy"] == "on"
            daemon = private_daemon(self._site, userland_proxy=proxy)
            self._daemon = self._stack.enter_context(daemon)
            self.started_at = time.monotonic()
            self._up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        End the daemon's namespaces, and every container with them.
        """
        self._stack.close()

    def address(self, service: str, port: int, entry: str) -> str:
        """
        The address of the first container of the service, or its published port on the host.
        """
        for container in self._containers():
            if container.labels.get(SERVICE_LABEL) == service:
                settings = container.attrs["NetworkSettings"]
                if entry == "direct":
                    for network in settings["Networks"].values():
                        # A container on the host network has no address.
                        return f"{network['IPAddress'] or '127.0.0.1'}:{port}"
                return _published(service, port, entry, settings["Ports"])
        msg = f"service {service!r} is not deployed"
        raise DeployError(msg)

    def services(self) -> dict[str, Part]:
        """
        Every container by the name of its service, with a number if there are several.
        """
        found: dict[str, Part] = {}
        containers = self._containers()
        names = [str(container.labels.get(SERVICE_LABEL)) for container in containers]
        for name, container in zip(names, containers, strict=True):
            number = container.labels.get(NUMBER_LABEL)
            key = name if names.count(name) == 1 else f"{name}-{number}"
            group = self._site.group.child(str(container.id))
            found[key] = Part(first_of(group), group)
        return found

    def helpers(self) -> dict[str, Part]:
        """
        The daemon with containerd and the shims; the CPU probe separates docker-proxy from them.
        """
        return {DAEMON: Part(self._daemon.first_process(), self._daemon.group)}

    def logs(self, lines: int) -> dict[str, str]:
        """
        The output of ``docker logs`` for every container.
        """
        return {
            str(container.name): container.logs(tail=lines).decode(errors="replace").strip()
            or "(nothing was printed)"
            for container in self._containers()
        }

    def _containers(self) -> list[Container]:
        if not self._daemon.answers():
            msg = "the lab's dockerd does not answer"
            raise DeployError(msg)
        found: list[Container] = self._daemon.client.containers.list(all=True)
        return sorted(found, key=lambda container: str(container.name))

    def _up(self) -> None:
        command = [*compose_command(self._project.files), "--progress", "quiet"]
        command += ["up", "--detach", "--wait", "--quiet-pull", "--no-build"]
        ended = run_command(
            [*command, *self._project.chosen],
            limit_s=UP_TIMEOUT_S,
            environment={
                **os.environ,
                **self._project.variables,
                "DOCKER_HOST": self._daemon.socket,
            },
        )
        if not ended.ok:
            msg = f"{ended.failure('`docker compose up`')}\n{self._unhealthy()}"
            raise DeployError(msg)

    def _unhealthy(self) -> str:
        """
        The last lines of every service that is not healthy, for an error message.
        """
        parts = []
        try:
            for container in self._containers():
                state = container.attrs["State"]
                condition = state.get("Health", {}).get("Status", state["Status"])
                if condition not in {"healthy", "running"}:
                    text = container.logs(tail=LAST_LINES).decode(errors="replace").strip()
                    parts.append(f"{container.name} is {condition}; its last lines:\n{text}")
        except (DockerException, DeployError) as error:
            parts.append(f"(the daemon gives no further information: {error})")
        return "\n".join(parts)


def _published(service: str, port: int, entry: str, ports: Mapping[str, Any]) -> str:
    """
    The address of a published port for a client on the host, or beyond the uplink.
    """
    for binding in ports.get(f"{port}/tcp") or []:
        address = binding["HostIp"]
        if ":" in address or (entry == "external" and address not in {"0.0.0.0", UPLINK_ADDRESS}):
            continue
        # 0.0.0.0 stands for every address of the host.
        own = UPLINK_ADDRESS if entry == "external" else "127.0.0.1"
        return f"{address.replace('0.0.0.0', own)}:{binding['HostPort']}"
    msg = (
        f"service {service!r} publishes no port {port} that an IPv4 client can reach, but the "
        f"variant has entry = {entry!r}; publish it under ports, or use entry = 'direct'"
    )
    raise DeployError(msg)


def first_of(group: ControlGroup) -> int:
    """
    The first process of a container, by its number in this process's PID namespace.

    Docker only knows its number in dockerd's PID namespace. Raises DeployError if there is none.
    """
    for pid in sorted(group.process_ids()):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:"))
        if numbers.split()[-1] == "1":
            return pid
    msg = f"control group {group.path} contains no first process of a container"
    raise DeployError(msg)
