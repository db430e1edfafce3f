"""
The services of a Compose file as raw namespaces can run them; unsupported keys are errors.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

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
    to ``service_started`` or ``service_healthy``. ``cpus`` and ``memory_bytes`` are limits or None.
    ``tmpfs`` maps paths to mount options; ``volumes`` maps paths, which are mounted at the same
    path, to whether they are read-only.
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
    return {
        name: _service(name, table) for name, table in project.config.get("services", {}).items()
    }


def _service(name: str, table: Mapping[str, Any]) -> Service:
    reader = TableReader(f"services.{name}", table)
    image = reader.take("image")
    if str(image).removesuffix(":latest") != IMAGE:
        reader.refuse("image", image, f"the only image is {IMAGE}, which is made from the userland")
    # Nothing is ever pulled.
    reader.take("pull_policy")
    command = [*(reader.take("entrypoint") or []), *(reader.take("command") or [])]
    if not command:
        msg = f"services.{name} has no command, and the userland's image has no default command"
        raise ComposeError(msg)
    volumes = _volumes(reader)
    replicas, cpus, memory_bytes = _limits(reader)
    host_network = _host_network(reader)
    # Both runtimes kill the services, so no stop is requested.
    for key in ("stop_grace_period", "stop_signal"):
        reader.take(key)
    service = Service(
        name=name,
        command=tuple(command),
        environment={key: value or "" for key, value in (reader.take("environment") or {}).items()},
        working_dir=str(reader.take("working_dir") or "/"),
        user=str(reader.take("user") or ""),
        depends_on=_dependencies(reader),
        healthcheck=_healthcheck(name, reader.take("healthcheck")),
        host_network=host_network,
        addresses={} if host_network else _addresses(reader),
        tmpfs=_tmpfs(reader),
        volumes=volumes,
        replicas=replicas,
        cpus=cpus,
        memory_bytes=memory_bytes,
    )
    reader.finish()
    return service


def _volumes(reader: TableReader) -> dict[str, bool]:
    found = {}
    for volume in reader.take("volumes") or []:
        mount = TableReader(f"{reader.where}.volumes", volume)
        kind, source, target = (mount.take(key) for key in ("type", "source", "target"))
        read_only = bool(mount.take("read_only"))
        mount.take("bind")
        mount.finish()
        if kind != "bind" or PurePosixPath(source) != PurePosixPath(target):
            reader.refuse(
                "volumes",
                f"{source}:{target}",
                "raw namespaces share one root, so mount a path at the same path",
            )
        found[str(source)] = read_only
    return found


TMPFS_OPTIONS = "noexec,nosuid,nodev,mode=1777"
"""Docker's default options for a tmpfs."""


def _tmpfs(reader: TableReader) -> dict[str, str]:
    found = {}
    for entry in reader.take("tmpfs") or []:
        path, _, options = str(entry).partition(":")
        found[path] = f"{TMPFS_OPTIONS},{options}" if options else TMPFS_OPTIONS
    return found


def _limits(reader: TableReader) -> tuple[int, float | None, int | None]:
    deploy = TableReader(f"{reader.where}.deploy", reader.take("deploy") or {})
    replicas = deploy.take("replicas")
    resources = TableReader(f"{deploy.where}.resources", deploy.take("resources") or {})
    # Placement concerns a swarm; Compose adds it empty.
    if deploy.table.get("placement") == {}:
        deploy.take("placement")
    deploy.finish()
    limits = TableReader(f"{resources.where}.limits", resources.take("limits") or {})
    resources.finish()
    cpus = limits.take("cpus") or reader.take("cpus")
    memory = limits.take("memory") or reader.take("mem_limit")
    limits.finish()
    scale = reader.take("scale")
    return (
        int(replicas if replicas is not None else scale if scale is not None else 1),
        float(cpus) if cpus else None,
        int(memory) if memory else None,
    )


def _dependencies(reader: TableReader) -> dict[str, str]:
    found = {}
    for name, table in (reader.take("depends_on") or {}).items():
        dependency = TableReader(f"{reader.where}.depends_on.{name}", table)
        condition = dependency.take("condition")
        dependency.take("required")
        dependency.finish()
        if condition not in {"service_started", "service_healthy"}:
            dependency.refuse("condition", condition)
        found[name] = condition
    return found


def _host_network(reader: TableReader) -> bool:
    mode = reader.take("network_mode")
    if mode not in {None, "host"}:
        reader.refuse("network_mode", mode, "only host")
    return bool(mode)


def _addresses(reader: TableReader) -> dict[str, ipaddress.IPv4Address | None]:
    found = {}
    for name, table in (reader.take("networks") or {}).items():
        attachment = TableReader(f"{reader.where}.networks.{name}", table or {})
        address = attachment.take("ipv4_address")
        attachment.finish()
        found[name] = ipaddress.IPv4Address(address) if address else None
    if not found:
        msg = f"{reader.where} has no network, so nothing could reach its namespace; give it one"
        raise ComposeError(msg)
    return found


SHORTEST_INTERVAL_S = 600.0
"""
Health is checked until the first success. A Compose file with checks during a trial is refused.
"""


def _healthcheck(name: str, table: Mapping[str, Any] | None) -> Healthcheck | None:
    if not table or table.get("disable") or table.get("test") == ["NONE"]:
        return None
    reader = TableReader(f"services.{name}.healthcheck", table)
    kind, *test = reader.take("test") or [None]
    if kind == "CMD-SHELL":
        test = ["/bin/sh", "-c", *test]
    elif kind != "CMD":
        reader.refuse("test", kind)
    interval_s = seconds(reader.take("interval") or "30s")
    if interval_s < SHORTEST_INTERVAL_S:
        reader.refuse(
            "interval",
            table.get("interval", "30s"),
            "a health check during a trial would be measured too; use 10m or more",
        )
    check = Healthcheck(
        command=tuple(test),
        interval_s=interval_s,
        timeout_s=seconds(reader.take("timeout") or "30s"),
        retries=int(reader.take("retries") or 3),
        start_period_s=seconds(reader.take("start_period") or "0s"),
        start_interval_s=seconds(reader.take("start_interval") or "5s"),
    )
    reader.finish()
    return check


def seconds(duration: str) -> float:
    """
    A duration as Compose prints it, such as ``1h0m0s`` or ``100ms``, in seconds.

    Raises ComposeError for anything else.
    """
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
    parts = re.findall(r"([0-9.]+)(h|ms|m|us|µs|ns|s)", duration)
    if not parts or "".join(map("".join, parts)) != duration:
        msg = f"{duration!r} is not a duration such as 1m30s or 100ms"
        raise ComposeError(msg)
    return sum(float(number) * units[unit] for number, unit in parts)
