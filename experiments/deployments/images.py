"""
What an image says of its container: program, environment, user, volumes, health check.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.errors import ComposeError
from experiments.lab.docker_layout import stored_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MOST_BYTES = 2**20
"""Of a file of accounts; a longer one is cut."""

ROOT_USER = "root"


@dataclass(frozen=True)
class Image:
    """
    The defaults of a container, and the ``layers`` of its root, the uppermost first.

    ``healthcheck`` is a table as in a Compose file; empty without one.
    """

    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None
    user: str = ""
    working_dir: str = ""
    volumes: tuple[str, ...] = ()
    healthcheck: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Account:
    """
    A user of an image, by numbers.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def read_image(store: Path, name: str) -> Image:
    """
    The image of this name in a store.

    Raises HostError if the store does not have it.
    """
    stored = stored_image(store, name)
    found = stored.configuration.get("config") or {}
    pairs = (each.partition("=") for each in found.get("Env") or [])
    check = found.get("Healthcheck") or {}
    table = {
        "test": check.get("Test"),
        "retries": check.get("Retries"),
        **{
            key: f"{check[name]}ns"
            for key, name in {
                "interval": "Interval",
                "timeout": "Timeout",
                "start_period": "StartPeriod",
                "start_interval": "StartInterval",
            }.items()
            if check.get(name)
        },
    }
    return Image(
        layers=stored.layers,
        entrypoint=tuple(found.get("Entrypoint") or ()),
        command=tuple(found.get("Cmd") or ()),
        environment={name: value for name, _, value in pairs},
        user=found.get("User") or "",
        working_dir=found.get("WorkingDir") or "",
        volumes=tuple(found.get("Volumes") or ()),
        healthcheck=table if check.get("Test") else None,
    )


def account_of(layers: tuple[Path, ...], user: str) -> Account:
    """
    The account for ``user`` of a Compose file or an image: ``name``, ``number``, with ``:group``.

    Raises ComposeError if the image has no such user or group.
    """
    name, _, group = user.partition(":")
    name = name or ROOT_USER
    users = [line for line in _lines(layers, "etc/passwd") if len(line) >= 6]
    groups = [line for line in _lines(layers, "etc/group") if len(line) >= 3]
    uid, gid, home = 0, 0, "/"
    entry = next((line for line in users if name in {line[0], line[2]}), None)
    if entry is not None:
        name, uid, gid, home = entry[0], _number(entry[2]), _number(entry[3]), entry[5] or "/"
    elif name.isdigit():
        uid = int(name)
    elif name == ROOT_USER:
        home = "/root"
    else:
        msg = f"the image has no user {name!r}; name another one under user, or use its number"
        raise ComposeError(msg)
    if not group:
        extra = (_number(line[2]) for line in groups if name in line[-1].split(","))
        return Account(uid, gid, tuple(sorted({*extra} - {gid})), home)
    known = next((line for line in groups if group in {line[0], line[2]}), None)
    if known is None and not group.isdigit():
        msg = f"the image has no group {group!r}; name another one under user, or use its number"
        raise ComposeError(msg)
    return Account(uid, int(group) if known is None else _number(known[2]), (), home)


def group_of(layers: tuple[Path, ...], name: str) -> int:
    """
    The number of a group of an image, by its name or number.

    Raises ComposeError if the image has no such group.
    """
    return account_of(layers, f":{name}").gid


def _number(text: str) -> int:
    if not text.isdigit():
        msg = f"the image's accounts have {text!r} where a number should be"
        raise ComposeError(msg)
    return int(text)


def _lines(layers: tuple[Path, ...], name: str) -> list[list[str]]:
    """
    The lines of a file of accounts, cut at colons, from the uppermost layer that has the file.
    """
    folder, _, file_name = name.partition("/")
    plain = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    for layer in layers:
        # An image may hold a link into the lab, or a pipe on which opening waits.
        try:
            outer = os.open(layer / folder, plain | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            handle = os.open(file_name, plain, dir_fd=outer)
        except FileNotFoundError:
            continue
        except OSError:
            return []
        finally:
            os.close(outer)
        with open(handle, "rb") as file:  # noqa: PTH123 - a handle, not a path
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return []
            text = file.read(MOST_BYTES).decode(errors="replace")
        return [line.split(":") for line in text.splitlines() if not line.startswith("#")]
    return []
