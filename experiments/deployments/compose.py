"""
The Compose file as data: parsed by Docker Compose itself, then read strictly.

A key that the readers of this module would not honour is an error that names it, so that no
deployment silently differs from what the file says.
"""

from __future__ import annotations

import ipaddress
import json
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.errors import ComposeError
from experiments.lab.image import IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIG_TIMEOUT_S = 30
BRIDGE_NAME_OPTION = "com.docker.network.bridge.name"
BENCHMARK_RANGE = ipaddress.IPv4Network("198.18.0.0/15")
"""The addresses that RFC 2544 reserves for benchmarks; the lab uses no others."""

LONGEST_INTERFACE_NAME = 15
"""IFNAMSIZ of Linux, less the closing NUL."""


@dataclass(frozen=True)
class Healthcheck:
    """
    How a service says that it is healthy; durations in seconds.
    """

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float
    start_interval_s: float


@dataclass(frozen=True)
class Network:
    """
    One bridge: its subnet, the host's own address in it, and the name of its interface.
    """

    name: str
    bridge: str
    subnet: ipaddress.IPv4Network
    gateway: ipaddress.IPv4Address


@dataclass(frozen=True)
class Service:
    """
    One service of the stack.

    ``addresses`` maps the names of its networks to fixed addresses, or to None for any free one;
    ``depends_on`` maps services to ``service_started`` or ``service_healthy``; ``cpus`` and
    ``memory_bytes`` are limits, None for unlimited; ``tmpfs`` maps paths to mount options.
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
    addresses: Mapping[str, ipaddress.IPv4Address | None]
    tmpfs: Mapping[str, str]
    stop_grace_s: float
    stop_signal: signal.Signals


@dataclass(frozen=True)
class ComposeProject:
    """
    A Compose file with its overrides: the files, the chosen services, and what Compose made of it.
    """

    files: tuple[Path, ...]
    chosen: tuple[str, ...]
    config: Mapping[str, Any]


def resolve(files: Sequence[Path], chosen: Sequence[str]) -> ComposeProject:
    """
    Let Docker Compose parse and merge the files, for the chosen services and what they depend on.

    Raises ComposeError, with Compose's own words, for files that it refuses.
    """
    command = [*compose_command(files), "config", "--format", "json", *chosen]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=CONFIG_TIMEOUT_S
        )
        if done.returncode:
            names = ", ".join(file.name for file in files)
            msg = f"Docker Compose refuses {names}: {done.stderr.strip()}"
            raise ComposeError(msg)
        return ComposeProject(tuple(files), tuple(chosen), json.loads(done.stdout))
    except (subprocess.TimeoutExpired, ValueError) as error:
        msg = f"`docker compose config` gave no usable answer: {error}"
        raise ComposeError(msg) from error


def compose_command(files: Sequence[Path]) -> list[str]:
    """
    The command ``docker compose`` for these files.
    """
    arguments = ["docker", "compose"]
    for file in files:
        arguments += ["--file", str(file)]
    return arguments


def networks(project: ComposeProject) -> dict[str, Network]:
    """
    The project's networks, by name.

    Raises ComposeError for one that is not a plain bridge with a subnet inside 198.18.0.0/15.
    """
    found = {}
    for name, table in project.config.get("networks", {}).items():
        reader = _Reader(f"networks.{name}", table or {})
        reader.take("name")
        driver = reader.take("driver")
        if driver not in {None, "bridge"}:
            reader.refuse("driver", driver)
        options = _Reader(f"networks.{name}.driver_opts", reader.take("driver_opts") or {})
        bridge = str(options.take(BRIDGE_NAME_OPTION) or name)
        options.finish()
        if len(bridge) > LONGEST_INTERFACE_NAME:
            msg = f"{options.where}: {bridge!r} is longer than the 15 letters of an interface name"
            raise ComposeError(msg)
        ipam = _Reader(f"networks.{name}.ipam", reader.take("ipam") or {})
        configs = ipam.take("config") or []
        ipam.finish()
        reader.finish()
        if len(configs) != 1:
            msg = f"networks.{name}.ipam.config must hold exactly one subnet, not {len(configs)}"
            raise ComposeError(msg)
        config = _Reader(f"networks.{name}.ipam.config", configs[0])
        found[name] = _network(name, bridge, config)
    return found


def _network(name: str, bridge: str, config: _Reader) -> Network:
    try:
        subnet = ipaddress.IPv4Network(config.take("subnet"))
        gateway = ipaddress.IPv4Address(config.take("gateway") or subnet[1])
    except ValueError as error:
        msg = f"{config.where}: {error}"
        raise ComposeError(msg) from error
    config.finish()
    if not subnet.subnet_of(BENCHMARK_RANGE):
        msg = f"{config.where}: subnet {subnet} is outside of {BENCHMARK_RANGE}, the lab's range"
        raise ComposeError(msg)
    return Network(name, bridge, subnet, gateway)


def services(project: ComposeProject) -> dict[str, Service]:
    """
    The project's services as raw namespaces can run them, by name.

    Raises ComposeError that names the service and the key that cannot be honoured.
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
    reader = _Reader(f"services.{name}", table)
    image = reader.take("image")
    if str(image).removesuffix(":latest") != IMAGE:
        reader.refuse("image", image, f"only {IMAGE}, which is made from the userland, is there")
    # Nothing is pulled whatever the policy says.
    reader.take("pull_policy")
    command = [*(reader.take("entrypoint") or []), *(reader.take("command") or [])]
    if not command:
        msg = f"services.{name} has no command, and the userland's image has none either"
        raise ComposeError(msg)
    _refuse_foreign_volumes(reader)
    replicas, cpus, memory_bytes = _limits(reader)
    service = Service(
        name=name,
        command=tuple(command),
        environment={key: value or "" for key, value in (reader.take("environment") or {}).items()},
        working_dir=str(reader.take("working_dir") or "/"),
        user=str(reader.take("user") or ""),
        depends_on=_dependencies(reader),
        healthcheck=_healthcheck(name, reader.take("healthcheck")),
        addresses=_addresses(reader),
        tmpfs=_tmpfs(reader),
        stop_grace_s=seconds(reader.take("stop_grace_period") or "10s"),
        stop_signal=_stop_signal(reader),
        replicas=replicas,
        cpus=cpus,
        memory_bytes=memory_bytes,
    )
    reader.finish()
    return service


def _refuse_foreign_volumes(reader: _Reader) -> None:
    for volume in reader.take("volumes") or []:
        mount = _Reader(f"{reader.where}.volumes", volume)
        kind, source, target = (mount.take(key) for key in ("type", "source", "target"))
        mount.take("read_only")
        mount.take("bind")
        mount.finish()
        if kind != "bind" or PurePosixPath(source) != PurePosixPath(target):
            reader.refuse(
                "volumes",
                f"{source}:{target}",
                "raw namespaces share one root: bind a path to itself",
            )


def _stop_signal(reader: _Reader) -> signal.Signals:
    """
    A signal as Docker takes it: by name, with or without SIG, or by number.
    """
    value = str(reader.take("stop_signal") or "SIGTERM")
    try:
        if value.isdecimal():
            return signal.Signals(int(value))
        return signal.Signals[f"SIG{value.upper().removeprefix('SIG')}"]
    except (KeyError, ValueError):
        reader.refuse("stop_signal", value, "name one such as SIGTERM or SIGQUIT")


TMPFS_OPTIONS = "noexec,nosuid,nodev,mode=1777"
"""What Docker mounts a tmpfs with when the file says nothing else."""


def _tmpfs(reader: _Reader) -> dict[str, str]:
    found = {}
    for entry in reader.take("tmpfs") or []:
        path, _, options = str(entry).partition(":")
        found[path] = f"{TMPFS_OPTIONS},{options}" if options else TMPFS_OPTIONS
    return found


def _limits(reader: _Reader) -> tuple[int, float | None, int | None]:
    deploy = _Reader(f"{reader.where}.deploy", reader.take("deploy") or {})
    replicas = deploy.take("replicas")
    resources = _Reader(f"{deploy.where}.resources", deploy.take("resources") or {})
    # Placement says where in a swarm, which there is none of; Compose adds it empty.
    if deploy.table.get("placement") == {}:
        deploy.take("placement")
    deploy.finish()
    limits = _Reader(f"{resources.where}.limits", resources.take("limits") or {})
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


def _dependencies(reader: _Reader) -> dict[str, str]:
    found = {}
    for name, table in (reader.take("depends_on") or {}).items():
        dependency = _Reader(f"{reader.where}.depends_on.{name}", table)
        condition = dependency.take("condition")
        dependency.take("required")
        dependency.finish()
        if condition not in {"service_started", "service_healthy"}:
            dependency.refuse("condition", condition)
        found[name] = condition
    return found


def _addresses(reader: _Reader) -> dict[str, ipaddress.IPv4Address | None]:
    found = {}
    for name, table in (reader.take("networks") or {}).items():
        attachment = _Reader(f"{reader.where}.networks.{name}", table or {})
        address = attachment.take("ipv4_address")
        attachment.finish()
        found[name] = ipaddress.IPv4Address(address) if address else None
    if not found:
        msg = f"{reader.where} has no network; a raw namespace needs one to be reached"
        raise ComposeError(msg)
    return found


SHORTEST_INTERVAL_S = 600.0
"""
Health is checked until the first success. A file that wants checks during a trial is refused.
"""


def _healthcheck(name: str, table: Mapping[str, Any] | None) -> Healthcheck | None:
    if not table or table.get("disable") or table.get("test") == ["NONE"]:
        return None
    reader = _Reader(f"services.{name}.healthcheck", table)
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
            "a check in the middle of a trial would be measured; say 10m or more",
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


class _Reader:
    """
    A table whose every key must be taken; what is left over is refused by name.
    """

    def __init__(self, where: str, table: Mapping[str, Any]) -> None:
        self.where = where
        self.table = dict(table)

    def take(self, key: str) -> Any:  # noqa: ANN401 - JSON holds anything
        return self.table.pop(key, None)

    def refuse(self, key: str, value: object, reason: str = "") -> NoReturn:
        msg = f"{self.where}.{key}: raw namespaces cannot honour {value!r}"
        raise ComposeError(f"{msg}; {reason}" if reason else msg)

    def finish(self) -> None:
        for key, value in self.table.items():
            if value not in (None, [], {}, ""):
                msg = (
                    f"{self.where}.{key}: raw namespaces cannot honour this key "
                    f"(its value is {value!r}); remove it, or run the variant in a container"
                )
                raise ComposeError(msg)
