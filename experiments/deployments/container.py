"""
The stack as containers: Docker Compose on a private dockerd of this deployment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from docker.errors import DockerException

from experiments.commands import BY_SIGNAL, LAST_LINES, Ended, last_lines, run_command
from experiments.deployments import Part
from experiments.deployments.compose import compose_command
from experiments.deployments.compose_services import run_once, seconds
from experiments.deployments.ended import (
    DOCKERD,
    NOTHING,
    EndedProcess,
    await_ended,
    ended_error,
    unhealthy,
)
from experiments.deployments.private_daemon import private_daemon
from experiments.errors import DeployError, UnhealthyError
from experiments.lab.daemon import DATA_ROOT
from experiments.lab.uplink import UPLINK_ADDRESS
from experiments.records.cpu import DAEMON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from docker.models.containers import Container

    from experiments.deployments import Site
    from experiments.deployments.compose import ComposeProject
    from experiments.lab.cgroups import ControlGroup

UP_TIMEOUT_S = 180

STARTING_S = 60
"""The time to start the services, without the start periods of their health checks."""

ONCE_FILE = "once.json"
KILLED = BY_SIGNAL + signal.SIGKILL
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
        self._once = run_once(project.config)
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
        for name, container in self._named().items():
            if self._runs_once(container):
                continue
            group = self._site.group.child(str(container.id))
            found[name] = Part(first_of(group), group)
        return found

    def _runs_once(self, container: Container) -> bool:
        return container.labels.get(SERVICE_LABEL) in self._once

    def _named(self) -> dict[str, Container]:
        containers = self._containers()
        names = [str(container.labels.get(SERVICE_LABEL)) for container in containers]
        return {
            name if names.count(name) == 1 else f"{name}-{each.labels.get(NUMBER_LABEL)}": each
            for name, each in zip(names, containers, strict=True)
        }

    def helpers(self) -> dict[str, Part]:
        """
        The daemon with containerd and the shims; the CPU probe separates docker-proxy from them.
        """
        return {DAEMON: Part(self._daemon.first_process(), self._daemon.group)}

    def ended(self) -> list[EndedProcess]:
        """
        The daemon, or the services, as Docker reports them within a second.
        """
        return await_ended(self._ended)

    def _ended(self) -> list[EndedProcess]:
        status = self._daemon.status()
        if status is not None:
            killed = self._daemon.group.memory_kills() > 0
            return [EndedProcess(DOCKERD, status, self._daemon.last_words(), out_of_memory=killed)]
        if not self._daemon.answers():
            return []
        try:
            states = [(*each, each[1].attrs["State"]) for each in self._named().items()]
        except (DockerException, OSError, DeployError):
            # The daemon has just ended.
            return []
        return [
            EndedProcess(
                name,
                int(state["ExitCode"]),
                last_words(container),
                out_of_memory=bool(state["OOMKilled"]) or self._was_killed(state),
                docker_says=str(state.get("Error", "")),
            )
            for name, container, state in states
            # One whose program is missing stays created.
            if state["ExitCode"]
            or (state["Status"] in {"exited", "dead"} and not self._runs_once(container))
        ]

    def _was_killed(self, state: Mapping[str, Any]) -> bool:
        # Docker may miss it; the groups above, where cgroup v2 counts it too, are still there.
        return state["ExitCode"] == KILLED and self._site.group.memory_kills() > 0

    def outputs(self) -> dict[str, Path]:
        """
        The files of Docker's log driver, and the data root with the containers' own files.
        """
        root = Path(f"/proc/{self._daemon.first_process()}/root")
        logs = {name: each.attrs.get("LogPath", "") for name, each in self._named().items()}
        files = {name: root / path.lstrip("/") for name, path in logs.items() if path}
        return {**files, DAEMON: root / DATA_ROOT.lstrip("/")}

    def logs(self, lines: int) -> dict[str, str]:
        """
        The output of ``docker logs`` for every container.
        """
        return {
            str(container.name): last_lines(container.logs(tail=lines), lines) or NOTHING
            for container in self._containers()
        }

    def _containers(self) -> list[Container]:
        if not self._daemon.answers():
            msg = "the lab's dockerd does not answer"
            raise DeployError(msg)
        found: list[Container] = self._daemon.client.containers.list(all=True)
        return sorted(found, key=lambda container: str(container.name))

    def _up(self) -> None:
        once = self._site.directory / ONCE_FILE
        once.write_text(json.dumps(started_once(self._project.config)))
        command = [*compose_command([*self._project.files, once]), "--progress", "quiet"]
        command += ["up", "--detach", "--quiet-pull", "--no-build"]
        # With --wait, Compose takes two kinds of services for failed that are not: one that has
        # ended, whatever its status, and one whose health check is switched off.
        services = self._project.config["services"]
        unfit = self._once | {name for name, each in services.items() if is_unchecked(each)}
        waited = [name for name in services if name not in unfit]
        commands = [[*command, "--wait", *self._project.chosen]]
        if unfit:
            commands = [[*command, *self._project.chosen]]
            if waited:
                commands.append([*command, "--wait", "--no-deps", "--no-recreate", *waited])
        for each in commands:
            ended = run_command(
                each,
                limit_s=starting_s(self._project.config),
                environment={
                    **os.environ,
                    **self._project.variables,
                    "DOCKER_HOST": self._daemon.socket,
                },
            )
            if not ended.ok:
                break
        else:
            if unfit and (gone := self._ended()):
                raise ended_error(gone, "when the stack was up")
            return
        # A dockerd that is ending has no status yet.
        gone = self._ended() if self._daemon.answers() else self.ended()
        if gone:
            raise ended_error(gone, "before it was healthy")
        if found := self._unhealthy():
            raise UnhealthyError("\n".join(found))
        raise DeployError(ended.failure("`docker compose up`"))

    def _unhealthy(self) -> list[str]:
        """
        The last lines of every running service that is not healthy, for an error message.
        """
        found = []
        with contextlib.suppress(DockerException, OSError, DeployError):
            for name, container in self._named().items():
                state = container.attrs["State"]
                health = state.get("Health") or {"Status": "healthy"}
                if state["Status"] == "running" and health["Status"] != "healthy":
                    limit_s = container.attrs["Config"]["Healthcheck"].get("Timeout", 0) / 1e9
                    check = last_check(health.get("Log") or [], limit_s)
                    found.append(unhealthy(name, check, last_words(container)))
        return found


def is_unchecked(service: Mapping[str, Any]) -> bool:
    """
    Whether a service of a resolved configuration has its health check switched off.
    """
    check = service.get("healthcheck") or {}
    return bool(check.get("disable")) or check.get("test") == ["NONE"]


def started_once(config: Mapping[str, Any]) -> dict[str, Any]:
    """
    The override file that starts no service again: one that ends is a fault in both runtimes.
    """
    changes: dict[str, Any] = {}
    for name, service in config.get("services", {}).items():
        changes[name] = {"restart": "no"}
        if service.get("deploy", {}).get("restart_policy"):
            # It has precedence over the other key.
            changes[name]["deploy"] = {"restart_policy": {"condition": "none"}}
    return {"services": changes}


def starting_s(config: Mapping[str, Any]) -> float:
    """
    The time in which all services become healthy, or will not.

    After the start period Docker waits for a whole interval, which is long, before it looks again.
    """
    services = config.get("services", {}).values()
    checks = [each["healthcheck"] for each in services if each.get("healthcheck") is not None]
    needed = STARTING_S + sum(
        seconds(check.get("start_period", "0s")) + seconds(check.get("timeout", "30s"))
        for check in checks
    )
    return min(UP_TIMEOUT_S, needed)


def last_check(log: Sequence[Mapping[str, Any]], limit_s: float) -> Ended | None:
    """
    The last health check in Docker's log of them; a status below 0 is Docker's for a time-out.
    """
    if not log:
        return None
    status, said = int(log[-1]["ExitCode"]), str(log[-1].get("Output", "")).encode()
    if status < 0:
        # Docker's words for it are no output of the check.
        return Ended((), limit_s, None)
    return Ended((), limit_s, status, said)


def last_words(container: Container) -> str:
    """
    The last lines that a container printed, as far as Docker has kept them.
    """
    try:
        return last_lines(container.logs(tail=LAST_LINES))
    except (DockerException, OSError):
        # The log driver none keeps nothing.
        return ""


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
