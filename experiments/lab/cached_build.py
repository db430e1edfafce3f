"""
Building something large into a cache, so that a half-built one is never taken for a whole one.
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
    One build: beside its final place, said and timed step by step, renamed there when whole.

    ``kind`` names the folder of the cache and what is said; ``directory`` is the final place and
    ``partial`` where to build. The caller holds the run lock.
    """

    def __init__(
        self, cache: Path, kind: str, digest: str, needed_bytes: int, say: Callable[[str], None]
    ) -> None:
        """
        Clears away what earlier builds left half done.

        Raises HostError when there is too little room.
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
        Say what is done next, and do it.
        """
        self._say(f"{self._kind}: {text}")
        return action()

    def finish(self, marker: str, content: dict[str, Any]) -> None:
        """
        Write the marker that says what it is, and put the whole into its place.
        """
        path = self.partial / marker
        with path.open("w") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        # Part of what is built from this, so dated as everything else in it.
        for each in (path, self.partial):
            os.utime(each, (EPOCH_S, EPOCH_S))
        self.partial.rename(self.directory)
        self._say(f"{self._kind}: built in {time.monotonic() - self._began:.0f} s")


def read_marker(directory: Path, marker: str) -> dict[str, Any] | None:
    """
    What a finished build says of itself; None when there is none.
    """
    try:
        found: dict[str, Any] = json.loads((directory / marker).read_text())
    except FileNotFoundError:
        return None
    return found


def check_disk(directory: Path, needed_bytes: int, purpose: str) -> None:
    """
    Raises HostError when there is too little room for a build; ``purpose`` says for which.
    """
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        msg = (
            f"{directory} has {free / 1e9:.1f} GB free and {purpose} needs "
            f"{needed_bytes / 1e9:.0f} GB; free some, or set BRIDGETOLL_CACHE to another disk"
        )
        raise HostError(msg)
