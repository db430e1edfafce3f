"""
The stack as containers: Docker Compose itself, on a private dockerd started for this deployment.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from docker.errors import DockerException

from experiments.deployments.compose import compose_command
from experiments.errors import DeployError
from experiments.lab.daemon import DockerDaemon

if TYPE_CHECKING:
    from types import TracebackType

    from docker.models.containers import Container

    from experiments.deployments import Site
    from experiments.deployments.compose import ComposeProject

LOG_TAIL_LINES = 15
UP_TIMEOUT_S = 180
DOWN_TIMEOUT_S = 60
SERVICE_LABEL = "com.docker.compose.service"


class ContainerDeployment:
    """
    A deployment by Docker Compose; see ``experiments.deployments.Deployment``.
    """

    def __init__(self, project: ComposeProject, site: Site) -> None:
        """
        Nothing is started yet, not even the daemon.
        """
        self._project = project
        self._site = site
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """
        Start the daemon, then let Compose bring the services up and wait for their health.
        """
        try:
            daemon_group = self._site.group.child("daemon")
            daemon_group.create()
            self._daemon = self._stack.enter_context(
                DockerDaemon(
                    network_namespace=f"/run/netns/{self._site.network_namespace}",
                    directory=self._site.directory,
                    group=daemon_group,
                    container_group=self._site.group,
                    store=self._site.image_store,
                )
            )
            self._up()
            # Only now: when it did not come up, the end of the daemon takes away what there is, and
            # a second error would hide the first.
            self._stack.callback(self._down)
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
        Compose takes everything down, then the daemon's namespaces end.
        """
        self._stack.close()

    def address(self, service: str, port: int, *, published: bool) -> str:
        """
        The host's published port, or the first container's own address, whichever is asked for.
        """
        for container in self._containers():
            if container.labels.get(SERVICE_LABEL) != service:
                continue
            settings = container.attrs["NetworkSettings"]
            if not published:
                for network in settings["Networks"].values():
                    return f"{network['IPAddress']}:{port}"
            for binding in settings["Ports"].get(f"{port}/tcp") or []:
                if ":" not in binding["HostIp"]:
                    # 0.0.0.0 is every address of the host, and the client is on the host.
                    host = binding["HostIp"].replace("0.0.0.0", "127.0.0.1")
                    return f"{host}:{binding['HostPort']}"
            msg = (
                f"service {service!r} publishes no port {port} for IPv4, and the variant's entry "
                "is 'published'; give it one under ports, or use entry = 'direct'"
            )
            raise DeployError(msg)
        msg = f"service {service!r} is not deployed"
        raise DeployError(msg)

    def logs(self, lines: int) -> dict[str, str]:
        """
        What ``docker logs`` shows for each container.
        """
        return {
            str(container.name): container.logs(tail=lines).decode(errors="replace").strip()
            or "(nothing was printed)"
            for container in self._containers()
        }

    def _containers(self) -> list[Container]:
        found: list[Container] = self._daemon.client.containers.list(all=True)
        return sorted(found, key=lambda container: str(container.name))

    def _up(self) -> None:
        wait = ["up", "--detach", "--wait", "--quiet-pull", "--no-build"]
        done = self._compose([*wait, *self._project.chosen], UP_TIMEOUT_S)
        if done.returncode:
            msg = (
                f"`docker compose up` failed with status {done.returncode}: "
                f"{done.stderr.strip()}\n{self._unhealthy()}"
            )
            raise DeployError(msg)

    def _unhealthy(self) -> str:
        """
        The last lines of every service that is not healthy, for the reader of the error.
        """
        parts = []
        try:
            for container in self._containers():
                state = container.attrs["State"]
                condition = state.get("Health", {}).get("Status", state["Status"])
                if condition not in {"healthy", "running"}:
                    text = container.logs(tail=LOG_TAIL_LINES).decode(errors="replace").strip()
                    parts.append(f"{container.name} is {condition}; its last lines:\n{text}")
        except DockerException as error:
            parts.append(f"(the daemon does not say more: {error})")
        return "\n".join(parts)

    def _down(self) -> None:
        done = self._compose(["down", "--volumes", "--timeout", "1"], DOWN_TIMEOUT_S)
        if done.returncode:
            msg = f"`docker compose down` failed: {done.stderr.strip()}"
            raise DeployError(msg)

    def _compose(self, arguments: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        command = [*compose_command(self._project.files), "--progress", "quiet", *arguments]
        try:
            return subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "DOCKER_HOST": self._daemon.socket},
            )
        except subprocess.TimeoutExpired as error:
            msg = (
                f"`docker compose {arguments[0]}` did not finish within {timeout_s:.0f} s\n"
                f"{self._unhealthy()}"
            )
            raise DeployError(msg) from error
