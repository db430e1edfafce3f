"""
The Compose file as data: parsed by Docker Compose, then read strictly. Its networks.

An unsupported key is an error, so that no deployment silently differs from its Compose file.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.commands import run_command
from experiments.errors import ComposeError
from experiments.paths import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

CONFIG_TIMEOUT_S = 30
BRIDGE_NAME_OPTION = "com.docker.network.bridge.name"
BENCHMARK_RANGE = ipaddress.IPv4Network("198.18.0.0/15")
"""The addresses that RFC 2544 reserves for benchmarks; the lab uses only these."""

LONGEST_INTERFACE_NAME = 15
"""IFNAMSIZ of Linux without the closing NUL."""

UNSET = re.compile(r'The \\?"(\w+)\\?" variable is not set')
"""Compose's warning about a variable without a value or a default."""

KINDS: dict[type, str] = {dict: "table", list: "list", str: "text"}


@dataclass(frozen=True)
class Network:
    """
    One bridge: its subnet, the host's address in it, and the name of its interface.

    One that is ``internal`` leads nowhere else.
    """

    name: str
    bridge: str
    subnet: ipaddress.IPv4Network
    gateway: ipaddress.IPv4Address
    internal: bool = False


@dataclass(frozen=True)
class ComposeProject:
    """
    A Compose project: its files, the chosen services, and the configuration that Compose resolved.

    ``variables`` are the values of ``${…}`` in the files, and ``unset`` names those that have none.
    """

    files: tuple[Path, ...]
    chosen: tuple[str, ...]
    config: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """
        Whether it is made of the checkout's files alone, which are trusted as the runner is.
        """
        return all(file.resolve().is_relative_to(SERVICES) for file in self.files)


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
    ended = run_command(
        command, limit_s=CONFIG_TIMEOUT_S, environment={**os.environ, **(variables or {})}
    )
    if not ended.ok:
        raise ComposeError(ended.failure(f"`docker compose config` for {names}"))
    warnings = ended.errors.decode(errors="replace")
    return ComposeProject(
        files=tuple(files),
        chosen=tuple(chosen),
        config=config_of(ended.text, names),
        variables=variables or {},
        unset=tuple(dict.fromkeys(UNSET.findall(warnings))),
    )


def config_of(text: str, names: str) -> dict[str, Any]:
    """
    What Docker Compose printed for the files of these names; raises ComposeError if it is no table.
    """
    try:
        # Compose escapes what it prints as if it were to read it again.
        config = json.loads(text.replace("$$", "$"))
        # Half of a surrogate pair is valid JSON, and no text.
        json.dumps(config, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        msg = f"`docker compose config` for {names} printed no JSON: {error}"
        raise ComposeError(msg) from error
    if not isinstance(config, dict):
        msg = f"`docker compose config` for {names} printed no table"
        raise ComposeError(msg)
    return config


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
    found: dict[str, Network] = {}
    wrong = []
    for name, table in TableReader("the project", project.config).tables("networks"):
        try:
            found[name] = _network(name, len(found), TableReader(f"networks.{name}", table))
        except ComposeError as error:
            wrong.append(str(error))
    if wrong:
        raise ComposeError("\n".join(wrong))
    return found


def _network(name: str, number: int, reader: TableReader) -> Network:
    for key in ("name", "labels", "attachable"):
        reader.take(key)
    if reader.take("external"):
        reader.refuse("external", value=True, reason="the lab has no other project's; remove it")
    internal = bool(reader.take("internal"))
    driver = reader.take("driver")
    if driver not in (None, "bridge"):
        reader.refuse("driver", driver, "only bridge")
    options = reader.inner("driver_opts")
    # "default" is the name of many networks, and the kernel lets no interface have it.
    bridge = options.text(BRIDGE_NAME_OPTION) or f"br{number}-{name}"[:LONGEST_INTERFACE_NAME]
    options.finish()
    if len(bridge) > LONGEST_INTERFACE_NAME:
        msg = f"{options.where}: {bridge!r} is longer than the 15 characters of an interface name"
        raise ComposeError(msg)
    ipam = reader.inner("ipam")
    configs = ipam.take("config", list) or []
    ipam.finish()
    reader.finish()
    if len(configs) != 1:
        msg = f"networks.{name}.ipam.config must have exactly one subnet, not {len(configs)}"
        raise ComposeError(msg)
    config = TableReader(f"networks.{name}.ipam.config", configs[0])
    return replace(_addressed(name, bridge, config), internal=internal)


def _addressed(name: str, bridge: str, config: TableReader) -> Network:
    try:
        subnet = ipaddress.IPv4Network(config.text("subnet"))
        gateway = ipaddress.IPv4Address(config.text("gateway") or subnet.network_address + 1)
    except ValueError as error:
        msg = f"{config.where}: {error}"
        raise ComposeError(msg) from error
    config.finish()
    if not subnet.subnet_of(BENCHMARK_RANGE):
        msg = (
            f"{config.where}: subnet {subnet} is outside {BENCHMARK_RANGE}, the range of the lab; "
            "remove the subnet, or choose one there"
        )
        raise ComposeError(msg)
    return Network(name, bridge, subnet, gateway)


class TableReader:
    """
    A table whose keys must all be taken; a key that is left over is an error.
    """

    def __init__(self, where: str, table: Any) -> None:  # noqa: ANN401 - JSON holds anything
        """
        ``where`` names the table in errors; None is an empty one.

        Raises ComposeError for anything else than a table.
        """
        self.where = where
        self.table: dict[str, Any] = dict(self._checked(where, table, dict) or {})

    def take(self, key: str, kind: type = object) -> Any:  # noqa: ANN401 - JSON holds anything
        """
        Take a key; its value, or None if it is missing.

        Raises ComposeError for a value of another type.
        """
        return self._checked(f"{self.where}.{key}", self.table.pop(key, None), kind)

    def inner(self, key: str) -> TableReader:
        """
        Take a table; empty if it is missing.
        """
        return TableReader(f"{self.where}.{key}", self.take(key))

    def tables(self, key: str) -> Iterable[tuple[str, Any]]:
        """
        Take a table; its entries.
        """
        table = self.inner(key).table
        return [(self._text(key, name), value) for name, value in table.items()]

    def text(self, key: str) -> str:
        """
        Take a text, or a number as text; empty if it is missing.
        """
        value = self.take(key)
        return str(value) if type(value) in {int, float} else self._text(key, value)

    def texts(self, key: str) -> list[str]:
        """
        Take a list of texts; empty if it is missing.
        """
        return self.checked_texts(key, self.take(key, list) or [])

    def checked_texts(self, key: str, values: Iterable[object]) -> list[str]:
        """
        Values of a key that must be texts.
        """
        return [self._text(key, each) for each in values]

    def number(self, key: str, most: float) -> float | None:
        """
        Take a number, or a text that is one, from zero to ``most``; None if it is missing.
        """
        text = self.text(key)
        if not text:
            return None
        if not re.fullmatch(r"\d{1,20}(\.\d{1,20})?", text, re.ASCII) or float(text) > most:
            msg = f"{self.where}.{key} is {text!r}; it must be a number from 0 to {most:g}"
            raise ComposeError(msg)
        return float(text)

    def _text(self, key: str, value: object) -> str:
        text: str = self._checked(f"{self.where}.{key}", "" if value is None else value, str)
        if "\0" in text:
            msg = f"{self.where}.{key} is {text!r}, which no command line or path can hold"
            raise ComposeError(msg)
        return text

    @staticmethod
    def _checked(where: str, value: Any, kind: type) -> Any:  # noqa: ANN401 - of that type
        if value is not None and not isinstance(value, kind):
            msg = f"{where} is {value!r}; it must be a {KINDS[kind]}"
            raise ComposeError(msg)
        return value

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
