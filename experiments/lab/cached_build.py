"""
Building into a cache, so that an incomplete build is never used.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, TypeVar

from experiments.errors import HostError
from experiments.lab.bootstrap import EPOCH_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")


class CachedBuild:
    """
    One build, which is renamed to its final place when it is complete.

    ``kind`` names the folder of the cache and the messages; ``directory`` is the final place, and
    ``partial`` is where to build. The caller holds the run lock.
    """

    def __init__(
        self, cache: Path, kind: str, digest: str, needed_bytes: int, say: Callable[[str], None]
    ) -> None:
        """
        Removes incomplete builds.

        Raises HostError if there is too little disk space.
        """
        home = cache / kind
        home.mkdir(parents=True, exist_ok=True)
        check_disk(home, needed_bytes, f"building the {kind}")
        for leftover in home.glob("*.partial"):
            shutil.rmtree(leftover)
        self.directory = home / digest
        self.partial = home / f"{digest}.partial"
        self.partial.mkdir()
        self._kind = kind
        self._say = say
        self._began = time.monotonic()

    def step(self, text: str, action: Callable[[], Result]) -> Result:
        """
        Announce a step and run it.
        """
        self._say(f"{self._kind}: {text}")
        return action()

    def finish(self, marker: str, content: dict[str, Any]) -> None:
        """
        Write the marker with the build's description, and move the build to its final place.
        """
        path = self.partial / marker
        with path.open("w") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        # They are inputs of other builds, so their times are fixed too.
        for each in (path, self.partial):
            os.utime(each, (EPOCH_S, EPOCH_S))
        self.partial.rename(self.directory)
        self._say(f"{self._kind}: built in {time.monotonic() - self._began:.0f} s")


def read_marker(directory: Path, marker: str) -> dict[str, Any] | None:
    """
    The description of a complete build; None if there is none.
    """
    try:
        found: dict[str, Any] = json.loads((directory / marker).read_text())
    except FileNotFoundError:
        return None
    return found


def check_disk(directory: Path, needed_bytes: int, purpose: str) -> None:
    """
    Raise HostError if there is too little disk space for ``purpose``.
    """
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        msg = (
            f"{directory} has {free / 1e9:.1f} GB free and {purpose} needs "
            f"{needed_bytes / 1e9:.0f} GB; free some, or set BRIDGETOLL_CACHE to another disk"
        )
        raise HostError(msg)
