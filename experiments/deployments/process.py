"""
The stack as processes in raw network namespaces: an interpreter of the Compose file.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from typing import IO, TYPE_CHECKING, Self

from experiments.commands import LAST_LINES, last_lines, tail
from experiments.deployments import Part
from experiments.deployments.compose import networks
from experiments.deployments.compose_services import COMPLETED, services
from experiments.deployments.ended import (
    DOCKERD,
    NOTHING,
    EndedProcess,
    await_ended,
    ended_error,
    unhealthy,
)
from experiments.deployments.images import account_of, read_image
from experiments.deployments.private_daemon import let_bridges_pass, private_daemon
from experiments.deployments.starters import Place, RuncContainer, Starter
from experiments.deployments.topology import (
    Instance,
    await_links,
    hosts_of,
    instances,
    pass_no_firewall,
    wire,
)
from experiments.errors import ComposeError, DeployError, UnhealthyError
from experiments.lab.lab import LAB_PATH
from experiments.lab.launch import launch_command
from experiments.lab.network import NetworkNamespace
from experiments.records.cpu import DAEMON, log_reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from experiments.commands import Ended
    from experiments.deployments import Site
    from experiments.deployments.compose import ComposeProject
    from experiments.deployments.compose_services import Healthcheck, Service
    from experiments.deployments.starters import Started
    from experiments.lab.cgroups import ControlGroup
    from experiments.lab.daemon import DockerDaemon

POLL_S = 0.01

COMPLETE_S = 120.0
"""The time in which a service has to end that others wait for."""


@dataclass
class _Running:
    """
    A started instance; ``reader`` is the process that reads its output, if that is a pipe.
    """

    instance: Instance
    process: Started
    group: ControlGroup | None
    log: Path
    started: float
    reader: subprocess.Popen[bytes] | None = None
    failures: int = 0
    next_check: float = 0.0
    last_check: Ended | None = None
    healthy: bool = False


class ProcessDeployment:
    """
    A deployment in raw namespaces; see ``experiments.deployments.Deployment``.
    """

    def __init__(self, project: ComposeProject, site: Site, levels: Mapping[str, str]) -> None:
        """
        Reads the project; a key that cannot be honoured fails before anything is created.
        """
        self._site = site
        self._levels = levels
        self._services = services(project, cache(partial(read_image, site.image_store)))
        self._networks = networks(project)
        self._instances = instances(self._services, self._networks, site.network_namespace)
        self._running: dict[str, _Running] = {}
        self._completed: set[str] = set()
        self._daemon: DockerDaemon | None = None
        self._stack = ExitStack()
        self._starter = Starter(
            site, levels["confinement"], self._stack, filtered=not project.is_own
        )

    def __enter__(self) -> Self:
        """
        Create the namespaces, then start the services in the order of their dependencies.
        """
        host = self._site.network_namespace
        try:
            if self._levels["beside"] == "dockerd":
                self._daemon = self._stack.enter_context(private_daemon(self._site))
            self._starter.make_shared_group()
            self._starter.make_sandbox(self._services.values())
            self.started_at = time.monotonic()
            bridged = self._levels["network"] != "veth"
            wire(host, self._networks, self._instances, self._stack, bridged=bridged)
            if self._daemon is None:
                pass_no_firewall(host)
            else:
                let_bridges_pass(host, [network.bridge for network in self._networks.values()])
            self._start_all()
            await_links(sorted({host, *(instance.namespace for instance in self._instances)}))
        except BaseException:
            self._tear_down()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Kill the processes, then remove all resources in reverse order.
        """
        self._tear_down()

    def _tear_down(self) -> None:
        with self._stack:
            for running in self._running.values():
                running.process.kill()
                running.process.wait()
                if running.reader is not None:
                    running.reader.kill()
                    running.reader.wait()

    def address(self, service: str, port: int, entry: str) -> str:
        """
        The address of the first instance; raw namespaces publish no ports.
        """
        if entry != "direct":
            msg = (
                f"service {service!r} is in a raw namespace, which publishes no ports; use 'direct'"
            )
            raise DeployError(msg)
        for instance in self._instances:
            if instance.service.name == service:
                own = next(iter(instance.addresses.values()), "127.0.0.1")
                return f"{own}:{port}"
        msg = f"service {service!r} is not deployed"
        raise DeployError(msg)

    def services(self) -> dict[str, Part]:
        """
        Every instance, with its control group if it has one.
        """
        return {
            name: Part(running.process.pid, running.group, self._starter.first_process)
            for name, running in self._running.items()
        }

    def helpers(self) -> dict[str, Part]:
        """
        The readers of pipes, and the idle daemon.
        """
        found = {
            log_reader(name): Part(running.reader.pid, None)
            for name, running in self._running.items()
            if running.reader is not None
        }
        if self._daemon is not None:
            found[DAEMON] = Part(self._daemon.first_process(), self._daemon.group)
        return found

    def ended(self) -> list[EndedProcess]:
        """
        The idle daemon, or the services, by their processes' status within a second.
        """
        return await_ended(self._ended)

    def _ended(self) -> list[EndedProcess]:
        if self._daemon is not None and self._daemon.status() is not None:
            status, words = self._daemon.status(), self._daemon.last_words()
            killed = self._daemon.group.memory_kills() > 0
            return [EndedProcess(DOCKERD, status, words, out_of_memory=killed)]
        return [
            _ended(running)
            for running in self._running.values()
            if running.process.poll() is not None
        ]

    def outputs(self) -> dict[str, Path]:
        """
        The services' log files.
        """
        return {name: running.log for name, running in self._running.items()}

    def logs(self, lines: int) -> dict[str, str]:
        """
        The last lines of the services' log files.
        """
        return {name: _tail(running.log, lines) for name, running in self._running.items()}

    def _start_all(self) -> None:
        waiting = list(self._instances)
        while waiting or not all(running.healthy for running in self._running.values()):
            for instance in list(waiting):
                if self._may_start(instance.service):
                    waiting.remove(instance)
                    self._running[instance.name] = self._start(instance)
            checked = [running for running in self._running.values() if not running.healthy]
            ending = [each for each in self._running.values() if each.instance.service.runs_once]
            if waiting and not [*checked, *ending] and not any(map(self._may_start_of, waiting)):
                names = ", ".join(instance.name for instance in waiting)
                msg = f"these services wait for each other, or for a missing service: {names}"
                raise ComposeError(msg)
            for running in checked:
                self._check(running)
            for running in ending:
                self._await_end(running)
            time.sleep(POLL_S)
        for running in self._running.values():
            _refuse_ended(running, "when the stack was up")

    def _may_start_of(self, instance: Instance) -> bool:
        return self._may_start(instance.service)

    def _may_start(self, service: Service) -> bool:
        for name, condition in service.depends_on.items():
            copies = [item.name for item in self._instances if item.service.name == name]
            started = [self._running[copy] for copy in copies if copy in self._running]
            completed = self._completed.intersection(copies)
            if not copies or len(started) + len(completed) < len(copies):
                return False
            if condition == COMPLETED and len(completed) < len(copies):
                return False
            if condition == "service_healthy" and not all(copy.healthy for copy in started):
                return False
        return True

    def _start(self, instance: Instance) -> _Running:
        service = instance.service
        group = self._starter.group(instance.name, service)
        log = self._site.directory / f"{instance.name}.log"
        reader = None
        with log.open("wb") as file:
            output: int | IO[bytes] = file
            if self._levels["stdio"] == "pipe":
                reader = self._read_into(file)
                output = reader.stdin or file
            place = self._place(instance, group)
            process = self._starter.start(service, place, environment_of(service), output)
            if reader is not None and reader.stdin is not None:
                # The service then has the only writing end, so the reader ends with it.
                reader.stdin.close()
        healthy = service.healthcheck is None or service.runs_once
        return _Running(
            instance, process, group, log, time.monotonic(), reader=reader, healthy=healthy
        )

    def _await_end(self, running: _Running) -> None:
        """
        Set a service aside that has ended as it should; raises an error for another end.
        """
        name, status = running.instance.name, running.process.poll()
        if status == 0:
            self._completed.add(name)
            del self._running[name]
        elif status is not None:
            raise ended_error([_ended(running)], "and others wait for its success")
        elif time.monotonic() - running.started > COMPLETE_S:
            msg = (
                f"service {name}, for whose end others wait, still ran after {COMPLETE_S:g} s; its "
                f"last lines:\n{_tail(running.log)}"
            )
            raise DeployError(msg)

    def _place(self, instance: Instance, group: ControlGroup | None) -> Place:
        namespace = NetworkNamespace(instance.namespace).path
        return Place(instance.name, namespace, group, hosts_of(instance, self._instances))

    def _read_into(self, file: IO[bytes]) -> subprocess.Popen[bytes]:
        """
        A process that copies its input into the file, as Docker's shim does for a container.
        """
        namespace = NetworkNamespace(self._site.network_namespace).path
        return subprocess.Popen(
            launch_command(self._starter.shared_group, namespace, ["cat"]),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        )

    def _check(self, running: _Running) -> None:
        """
        Check the health of an instance, if the next check is due.
        """
        check, name = running.instance.service.healthcheck, running.instance.name
        _refuse_ended(running, "before it was healthy")
        now = time.monotonic()
        if check is None or now < running.next_check:
            return
        if self._passes(check, running):
            running.healthy = True
            return
        age = time.monotonic() - running.started
        starting = age < check.start_period_s
        running.failures += not starting
        pause = check.start_interval_s if starting else min(check.interval_s, check.timeout_s)
        running.next_check = now + pause
        if running.failures >= check.retries:
            raise UnhealthyError(unhealthy(name, running.last_check, _tail(running.log)))

    def _passes(self, check: Healthcheck, running: _Running) -> bool:
        service = running.instance.service
        place = self._place(running.instance, running.group)
        running.last_check = self._starter.check(
            service, place, check.command, environment_of(service), check.timeout_s
        )
        return running.last_check.ok


def environment_of(service: Service) -> dict[str, str]:
    """
    The complete environment of a service: Docker's defaults, then the image's and Compose file's.
    """
    home = account_of(service.image.layers, service.user).home
    return {"PATH": LAB_PATH, "HOME": home, **service.environment}


def _refuse_ended(running: _Running, when: str) -> None:
    if running.process.poll() is not None:
        raise ended_error([_ended(running)], when)


def _ended(running: _Running) -> EndedProcess:
    # The real status of a container's process is known to the process that inherited it only.
    by_runc = isinstance(running.process, RuncContainer)
    status = None if by_runc else running.process.poll()
    killed = running.group is not None and running.group.memory_kills() > 0
    return EndedProcess(running.instance.name, status, _tail(running.log), out_of_memory=killed)


def _tail(path: Path, lines: int = LAST_LINES) -> str:
    return last_lines(tail(path), lines) or NOTHING
