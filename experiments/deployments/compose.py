"""
The Compose file as data: parsed by Docker Compose, then read strictly. Its networks.

An unsupported key is an error, so that no deployment silently differs from its Compose file.
"""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.commands import output_of
from experiments.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONFIG_TIMEOUT_S = 30
BRIDGE_NAME_OPTION = "com.docker.network.bridge.name"
BENCHMARK_RANGE = ipaddress.IPv4Network("198.18.0.0/15")
"""The addresses that RFC 2544 reserves for benchmarks; the lab uses only these."""

LONGEST_INTERFACE_NAME = 15
"""IFNAMSIZ of Linux without the closing NUL."""


@dataclass(frozen=True)
class Network:
    """
    One bridge: its subnet, the host's address in it, and the name of its interface.
    """

    name: str
    bridge: str
    subnet: ipaddress.IPv4Network
    gateway: ipaddress.IPv4Address


@dataclass(frozen=True)
class ComposeProject:
    """
    A Compose project: its files, the chosen services, and the configuration that Compose resolved.

    ``variables`` are the values of ``${…}`` in the files.
    """

    files: tuple[Path, ...]
    chosen: tuple[str, ...]
    config: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)


def resolve(
    files: Sequence[Path], chosen: Sequence[str], variables: Mapping[str, str] | None = None
) -> ComposeProject:
    """
    Let Docker Compose merge the files, for the chosen services and their dependencies.

    ``variables`` are the values of ``${…}`` in the files. Raises ComposeError, with the message of
    Compose, for files that it refuses.
    """
    command = [*compose_command(files), "config", "--format", "json", *chosen]
    names = ", ".join(file.name for file in files)
    text = output_of(
        command,
        limit_s=CONFIG_TIMEOUT_S,
        error=ComposeError,
        name=f"`docker compose config` for {names}",
        environment={**os.environ, **(variables or {})},
    )
    try:
        config = json.loads(text)
    except ValueError as error:
        msg = f"`docker compose config` for {names} printed no JSON: {error}"
        raise ComposeError(msg) from error
    return ComposeProject(tuple(files), tuple(chosen), config, variables or {})


def compose_command(files: Sequence[Path]) -> list[str]:
    """
    The command line ``docker compose`` with these files.
    """
    arguments = ["docker", "compose"]
    for file in files:
        arguments += ["--file", str(file)]
    return arguments


def networks(project: ComposeProject) -> dict[str, Network]:
    """
    The project's networks by name.

    Raises ComposeError if one is not a plain bridge with a subnet in 198.18.0.0/15.
    """
    found = {}
    for name, table in project.config.get("networks", {}).items():
        reader = TableReader(f"networks.{name}", table or {})
        reader.take("name")
        driver = reader.take("driver")
        if driver not in {None, "bridge"}:
            reader.refuse("driver", driver)
        options = TableReader(f"networks.{name}.driver_opts", reader.take("driver_opts") or {})
        bridge = str(options.take(BRIDGE_NAME_OPTION) or name)
        options.finish()
        if len(bridge) > LONGEST_INTERFACE_NAME:
            msg = (
                f"{options.where}: {bridge!r} is longer than the 15 characters of an interface name"
            )
            raise ComposeError(msg)
        ipam = TableReader(f"networks.{name}.ipam", reader.take("ipam") or {})
        configs = ipam.take("config") or []
        ipam.finish()
        reader.finish()
        if len(configs) != 1:
            msg = f"networks.{name}.ipam.config must have exactly one subnet, not {len(configs)}"
            raise ComposeError(msg)
        config = TableReader(f"networks.{name}.ipam.config", configs[0])
        found[name] = _network(name, bridge, config)
    return found


def _network(name: str, bridge: str, config: TableReader) -> Network:
    try:
        subnet = ipaddress.IPv4Network(config.take("subnet"))
        gateway = ipaddress.IPv4Address(config.take("gateway") or subnet[1])
    except ValueError as error:
        msg = f"{config.where}: {error}"
        raise ComposeError(msg) from error
    config.finish()
    if not subnet.subnet_of(BENCHMARK_RANGE):
        msg = f"{config.where}: subnet {subnet} is outside {BENCHMARK_RANGE}, the range of the lab"
        raise ComposeError(msg)
    return Network(name, bridge, subnet, gateway)


class TableReader:
    """
    A table whose keys must all be taken; a key that is left over is an error.
    """

    def __init__(self, where: str, table: Mapping[str, Any]) -> None:
        """
        ``where`` names the table in errors.
        """
        self.where = where
        self.table = dict(table)

    def take(self, key: str) -> Any:  # noqa: ANN401 - JSON holds anything
        """
        Take a key; its value, or None if it is missing.
        """
        return self.table.pop(key, None)

    def refuse(self, key: str, value: object, reason: str = "") -> NoReturn:
        """
        Raise ComposeError for a value that raw namespaces cannot honour.
        """
        msg = f"{self.where}.{key}: raw namespaces cannot honour {value!r}"
        raise ComposeError(f"{msg}; {reason}" if reason else msg)

    def finish(self) -> None:
        """
        Raise ComposeError if a key is left over.
        """
        for key, value in self.table.items():
            if value not in (None, [], {}, ""):
                msg = (
                    f"{self.where}.{key}: raw namespaces cannot honour this key "
                    f"(its value is {value!r}); remove it, or run the variant in a container"
                )
                raise ComposeError(msg)
