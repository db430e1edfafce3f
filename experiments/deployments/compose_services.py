"""
The services of a Compose file as raw namespaces can run them; unsupported keys are errors.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from experiments.deployments.compose import TableReader
from experiments.errors import ComposeError
from experiments.lab.image import IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.deployments.compose import ComposeProject


@dataclass(frozen=True)
class Healthcheck:
    """
    The health check of a service; durations in seconds.
    """

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float
    start_interval_s: float


@dataclass(frozen=True)
class Service:
    """
    One service of the stack.

    With ``host_network`` it uses the host's network namespace and has no addresses. ``addresses``
    maps its networks to a fixed address, or to None for any free one; ``depends_on`` maps services
    to ``service_started`` or ``service_healthy``. ``cpus``, ``memory_bytes`` and ``processes``
    are limits or None. ``tmpfs`` maps paths to mount options; ``volumes`` maps paths, which are
    mounted at the same path, to whether they are read-only.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: str
    user: str
    depends_on: Mapping[str, str]
    healthcheck: Healthcheck | None
    replicas: int
    cpus: float | None
    memory_bytes: int | None
    processes: int | None
    host_network: bool
    addresses: Mapping[str, ipaddress.IPv4Address | None]
    tmpfs: Mapping[str, str]
    volumes: Mapping[str, bool]


def services(project: ComposeProject) -> dict[str, Service]:
    """
    The project's services by name.

    Raises ComposeError with the service and the key that raw namespaces cannot honour.
    """
    for key, value in project.config.items():
        known = key in {"name", "services", "networks"} or key.startswith("x-")
        if value and not known:
            msg = f"{key}: raw namespaces cannot honour this key; remove it, or use a container"
            raise ComposeError(msg)
    found = TableReader("the project", project.config).tables("services")
    return {name: _service(name, table) for name, table in found}


def _service(name: str, table: object) -> Service:
    reader = TableReader(f"services.{name}", table)
    image = reader.take("image")
    if str(image).removesuffix(":latest") != IMAGE:
        reader.refuse("image", image, f"the only image is {IMAGE}, which is made from the userland")
    # Nothing is ever pulled.
    reader.take("pull_policy")
    command = [*reader.texts("entrypoint"), *reader.texts("command")]
    if not command:
        msg = f"services.{name} has no command, and the userland's image has no default command"
        raise ComposeError(msg)
    volumes = _volumes(reader)
    replicas, cpus, memory_bytes, processes = _limits(reader)
    host_network = _host_network(reader)
    # Both runtimes kill the services, so no stop is requested; one that ends is not started again.
    for key in ("stop_grace_period", "stop_signal", "restart"):
        reader.take(key)
    service = Service(
        name=name,
        command=tuple(command),
        environment=_environment(reader),
        working_dir=reader.text("working_dir") or "/",
        user=reader.text("user"),
        depends_on=_dependencies(reader),
        healthcheck=_healthcheck(reader.inner("healthcheck")),
        host_network=host_network,
        addresses={} if host_network else _addresses(reader),
        tmpfs=_tmpfs(reader),
        volumes=volumes,
        replicas=replicas,
        cpus=cpus,
        memory_bytes=memory_bytes,
        processes=processes,
    )
    reader.finish()
    return service


def _environment(reader: TableReader) -> dict[str, str]:
    pairs = dict(reader.tables("environment"))
    table = TableReader(f"{reader.where}.environment", pairs)
    return {name: table.text(name) for name in pairs}


def _volumes(reader: TableReader) -> dict[str, bool]:
    found = {}
    for volume in reader.take("volumes", list) or []:
        mount = TableReader(f"{reader.where}.volumes", volume)
        kind, source, target = (mount.text(key) for key in ("type", "source", "target"))
        read_only = bool(mount.take("read_only"))
        mount.take("bind")
        mount.finish()
        if kind != "bind" or PurePosixPath(source) != PurePosixPath(target):
            reader.refuse(
                "volumes",
                f"{source}:{target}",
                "raw namespaces share one root, so mount a path at the same path",
            )
        found[source] = read_only
    return found


TMPFS_OPTIONS = "noexec,nosuid,nodev,mode=1777"
"""Docker's default options for a tmpfs."""


def _tmpfs(reader: TableReader) -> dict[str, str]:
    found = {}
    for entry in reader.texts("tmpfs"):
        path, _, options = entry.partition(":")
        found[path] = f"{TMPFS_OPTIONS},{options}" if options else TMPFS_OPTIONS
    return found


MOST_REPLICAS = 1000
"""Of one service; more than any stack has, and each is a process with a namespace of its own."""

MOST_BYTES = 2**63
MOST_CPUS = 1e6
MOST_PROCESSES = 2**22


def _limits(reader: TableReader) -> tuple[int, float | None, int | None, int | None]:
    deploy = reader.inner("deploy")
    replicas = deploy.number("replicas", MOST_REPLICAS)
    deploy.take("restart_policy")
    resources = deploy.inner("resources")
    # Placement concerns a swarm; Compose adds it empty.
    if deploy.table.get("placement") == {}:
        deploy.take("placement")
    deploy.finish()
    limits = resources.inner("limits")
    resources.finish()
    cpus = limits.number("cpus", MOST_CPUS) or reader.number("cpus", MOST_CPUS)
    memory = limits.number("memory", MOST_BYTES) or reader.number("mem_limit", MOST_BYTES)
    # Compose has it at both places, and 0 and -1 stand for none.
    if reader.table.get("pids_limit") == -1:
        reader.take("pids_limit")
    processes = [
        limits.number("pids", MOST_PROCESSES),
        reader.number("pids_limit", MOST_PROCESSES),
    ]
    limits.finish()
    scale = reader.number("scale", MOST_REPLICAS)
    return (
        int(replicas if replicas is not None else scale if scale is not None else 1),
        cpus or None,
        int(memory) if memory else None,
        next((int(each) for each in processes if each), None),
    )


def _dependencies(reader: TableReader) -> dict[str, str]:
    found = {}
    for name, table in reader.tables("depends_on"):
        dependency = TableReader(f"{reader.where}.depends_on.{name}", table)
        condition = dependency.take("condition")
        dependency.take("required")
        dependency.finish()
        if condition not in ("service_started", "service_healthy"):
            dependency.refuse("condition", condition)
        found[name] = condition
    return found


def _host_network(reader: TableReader) -> bool:
    mode = reader.take("network_mode")
    if mode not in (None, "host"):
        reader.refuse("network_mode", mode, "only host")
    return bool(mode)


def _addresses(reader: TableReader) -> dict[str, ipaddress.IPv4Address | None]:
    found = {}
    for name, table in reader.tables("networks"):
        attachment = TableReader(f"{reader.where}.networks.{name}", table)
        address = attachment.text("ipv4_address")
        attachment.finish()
        try:
            found[name] = ipaddress.IPv4Address(address) if address else None
        except ValueError as error:
            msg = f"{attachment.where}.ipv4_address: {error}"
            raise ComposeError(msg) from error
    if not found:
        msg = f"{reader.where} has no network, so nothing could reach its namespace; give it one"
        raise ComposeError(msg)
    return found


SHORTEST_INTERVAL_S = 600.0
"""
Health is checked until the first success. A Compose file with checks during a trial is refused.
"""


MOST_RETRIES = 1e6


def _healthcheck(reader: TableReader) -> Healthcheck | None:
    table = dict(reader.table)
    if not table or table.get("disable") or table.get("test") == ["NONE"]:
        return None
    kind, *test = reader.texts("test") or [""]
    if kind == "CMD-SHELL":
        test = ["/bin/sh", "-c", *test]
    elif kind != "CMD":
        reader.refuse("test", kind)
    interval_s = seconds(reader.text("interval") or "30s")
    if interval_s < SHORTEST_INTERVAL_S:
        reader.refuse(
            "interval",
            table.get("interval", "30s"),
            "a health check during a trial would be measured too; use 10m or more",
        )
    check = Healthcheck(
        command=tuple(test),
        interval_s=interval_s,
        timeout_s=seconds(reader.text("timeout") or "30s"),
        retries=int(reader.number("retries", MOST_RETRIES) or 3),
        start_period_s=seconds(reader.text("start_period") or "0s"),
        start_interval_s=seconds(reader.text("start_interval") or "5s"),
    )
    reader.finish()
    return check


def seconds(duration: str) -> float:
    """
    A duration as Compose prints it, such as ``1h0m0s`` or ``100ms``, in seconds.

    Raises ComposeError for anything else.
    """
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
    parts = re.findall(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(h|ms|m|us|µs|ns|s)", duration)
    if not parts or "".join(map("".join, parts)) != duration:
        msg = f"{duration!r} is not a duration such as 1m30s or 100ms"
        raise ComposeError(msg)
    return sum(float(number) * units[unit] for number, unit in parts)
