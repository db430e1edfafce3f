"""
The image store of a user's stack, in the cache.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

from experiments.errors import INTERRUPTED_STATUS, HostError
from experiments.lab.cached_build import CachedBuild
from experiments.lab.mounts import Mount, bind
from experiments.paths import STACK_IN_LAB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from experiments.declare.stack import Stack
    from experiments.machines import Archive

STACKS = "stacks"
MARKER = "stack.json"
ARCHIVES_IN_LAB = "/srv/archives"
NEEDED_BYTES = 3 * 10**9
"""Free disk space for images of a few services: their archives, and their files."""


class Enter(Protocol):
    """
    Runs a command in the lab; its exit status.
    """

    def __call__(self, command: Sequence[str], mounts: Sequence[Any] = ()) -> int:
        """
        Run it.
        """


def fill_store(
    cache: Path, stack: Stack, archives: Sequence[Archive], builds: Mapping[str, str], enter: Enter
) -> str:
    """
    Make the store of these archives and builds, unless the cache has it; its digest.

    Raises HostError if Docker refuses an archive or a build.
    """
    digest = digest_of(stack, archives, builds)
    if (cache / STACKS / digest / MARKER).exists():
        return digest
    with CachedBuild(cache, STACKS, digest, NEEDED_BYTES, print) as made:
        store = made.partial / "store"
        store.mkdir()
        paths = [each.place(made.scratch) for each in archives]
        names = [f"{number}-{path.name}" for number, path in enumerate(paths)]
        task = {"archives": names, "builds": builds, "name": stack.name, "files": stack.files}
        mounts = [
            bind(store, "/store", writable=True),
            bind(stack.folder, str(STACK_IN_LAB)),
            *(
                Mount("bind", str(path), f"{ARCHIVES_IN_LAB}/{name}", "ro", is_file=True)
                for name, path in zip(names, paths, strict=True)
            ),
            *hidden([path.resolve() for path in paths], stack.folder, made.scratch / "empty"),
        ]
        command = ["python3", "-m", "experiments.run.stack_images", json.dumps(task)]
        status = enter(command, mounts)
        if status == INTERRUPTED_STATUS:
            raise KeyboardInterrupt
        if status:
            msg = f"the images of stack {stack.name} cannot be made; see above"
            raise HostError(msg)
        images = [name for each in archives for name in each.names]
        made.finish(MARKER, {"archives": images, "builds": dict(builds)})
    return digest


def hidden(archives: Sequence[Path], folder: Path, empty: Path) -> list[Mount]:
    """
    Mounts that make archives in the project's folder empty: no build copies them into its image.
    """
    empty.touch()
    return [
        Mount("bind", str(empty), str(STACK_IN_LAB / path.relative_to(folder)), "ro", is_file=True)
        for path in archives
        if path.is_relative_to(folder)
    ]


def digest_of(stack: Stack, archives: Sequence[Archive], builds: Mapping[str, str]) -> str:
    """
    The digest of what a store is made of, as 16 hex digits; with a build, of the whole project.
    """
    configuration = stack.configuration_sha256 if builds else ""
    named = [configuration, dict(builds), [each.identity() for each in archives]]
    digest = hashlib.sha256(json.dumps(named).encode())
    for path in sorted(stack.folder.rglob("*")) if builds else []:
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(stack.folder)} {content}\n".encode())
    return digest.hexdigest()[:16]
