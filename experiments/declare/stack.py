"""
A user's Compose project as the stack of a run: its files, its images, and the generated overrides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from experiments.declare.workloads import Workload
from experiments.errors import UsageError

if TYPE_CHECKING:
    from experiments.declare.variants import Variant

STACK_VARIANTS_FILE = Path(__file__).with_name("stack-variants.toml")

OVERRIDES_FOLDER = "stack"
"""The folder of a run with the generated override files."""

ALWAYS = "measured.yaml"
"""The override file of every variant."""

OVERRIDES: dict[str, dict[str, str]] = {
    "discovery": {"addresses": "addresses.yaml"},
    "network": {"host": "host-network.yaml"},
    "stdio": {"docker-none": "log-none.yaml", "docker-local": "log-local.yaml"},
    "limits": {"none": "no-limits.yaml"},
}
"""The generated override file of a factor's level; other levels are as the user's files have it."""

DEFAULT_PORT = 80

FOLDER, HOST = "folder", "host"
IMAGES_FROM = (FOLDER, HOST)
"""Where images come from: the folder images/ only, or then also the host's own Docker."""


@dataclass(frozen=True)
class StackImage:
    """
    An image of a stack: the ``services`` that use it, and its digest.

    ``source`` says where it came from, in words.
    """

    name: str
    services: tuple[str, ...]
    source: str
    digest: str = ""


@dataclass(frozen=True)
class KeyUse:
    """
    A key of the Compose project, with the services that have it, and what honours it.
    """

    key: str
    services: tuple[str, ...]
    arms: str
    about: str


@dataclass(frozen=True)
class Stack:
    """
    A Compose project that is not this project's own.

    ``folder`` is on the user's machine, and ``files`` are the Compose files below it.
    ``images_from`` says where images are looked for. ``store`` is the digest of its image store in
    the cache; empty if the userland's has all images.
    ``configuration_sha256`` is the digest of what Compose makes of the files, values of environment
    variables included; the values themselves are nowhere in a run.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    images: tuple[StackImage, ...] = ()
    keys: tuple[KeyUse, ...] = ()
    images_from: str = FOLDER
    store: str = ""
    configuration_sha256: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def variables(self) -> dict[str, str]:
        """
        Compose's own variables: a project is named as on the user's machine.
        """
        return {"COMPOSE_PROJECT_NAME": self.name}

    def compose_files(self, variant: Variant, folder: Path, run: Path) -> list[Path]:
        """
        The Compose files of a variant, for a stack that is seen at ``folder``.
        """
        names = [
            OVERRIDES[factor][level]
            for factor, level in variant.levels.items()
            if level in OVERRIDES.get(factor, {})
        ]
        generated = [run / OVERRIDES_FOLDER / name for name in (ALWAYS, *names)]
        return [*(folder / name for name in self.files), *generated, *variant.overlays]


def same_stack(stack: Stack | None) -> object:
    """
    What is equal for runs of the same stack: its configuration and its images.
    """
    if stack is None:
        return "this project's own"
    images = {each.name: each.digest for each in stack.images}
    return {"configuration": stack.configuration_sha256, "images": images}


def stack_of(compose_file: Path) -> Stack:
    """
    The stack of a Compose file; nothing but its place is known yet.

    Raises UsageError if there is no such file.
    """
    if compose_file.is_dir():
        known = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
        there = [name for name in known if (compose_file / name).is_file()]
        if not there:
            msg = f"--stack {compose_file}: the folder has none of {', '.join(known)}"
            raise UsageError(msg)
        compose_file = compose_file / there[0]
    if not compose_file.is_file():
        msg = f"--stack {compose_file}: there is no such file; name your compose.yaml"
        raise UsageError(msg)
    place = compose_file.resolve()
    return Stack(name=project_name(place.parent.name), folder=place.parent, files=(place.name,))


def project_name(folder: str) -> str:
    """
    The name that Compose gives to a project in a folder of this name.
    """
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-") or "stack"


def workload_of(url: str) -> Workload:
    """
    The workload of a URL: ``http://SERVICE[:PORT]/path``.

    Raises UsageError for anything else.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError as error:
        msg = f"--url {url!r}: {error}"
        raise UsageError(msg) from error
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme != "http" or not parts.hostname or not plain:
        msg = f"--url {url!r}: it must be like http://SERVICE:PORT/path; the load has no TLS"
        raise UsageError(msg)
    name = re.sub(r"[^a-z0-9]+", "-", f"{parts.hostname}{path}".lower()).strip("-") or "root"
    return Workload(
        name=name,
        about=f"GET {path} of service {parts.hostname}",
        services=(),
        path=path,
        expect_status=200,
        expect_json=None,
        entry_service=parts.hostname,
        entry_port=port,
        url=url,
    )
