"""
Builds that are killed: each begins anew, from downloaded wheels, and only a whole one is found.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from experiments.lab import userland
from experiments.lab.cached_build import PARTIAL
from experiments.machines import box

if TYPE_CHECKING:
    from pathlib import Path

STALE = "left-by-a-kill"
"""A file that marks what a killed build left, so that it can be told from the next one."""


class Builds:
    """
    Caches in which builds are killed: in the box's, the userland is there already.
    """

    def __init__(self, cache: Path, scratch: Path) -> None:
        """
        ``cache`` has whole builds, and the wheels.
        """
        self._caches = {kind: scratch / kind for kind in ("userland", "box")}
        for directory in self._caches.values():
            directory.mkdir()
            (directory / "wheels").symlink_to(cache / "wheels")
        whole = userland.find(cache)
        boxed = box.find(cache)
        self._contents = {
            "userland": whole.content_sha256 if whole else "",
            "box": boxed.sha256 if boxed else "",
        }
        if whole is not None:
            (self._caches["box"] / "userland").mkdir()
            (self._caches["box"] / "userland" / whole.digest).symlink_to(whole.directory)

    def begin(self, kind: str) -> Path:
        """
        The cache for a build that has everything to do; what a kill left in it is marked.
        """
        for each in (self._caches[kind] / kind).glob("*"):
            if each.name.endswith(PARTIAL):
                (each / STALE).touch()
            else:
                shutil.rmtree(each)
        return self._caches[kind]

    def stale(self) -> list[str]:
        """
        What a killed build left, and the next one has not removed.
        """
        found = (each for cache in self._caches.values() for each in cache.glob(f"*/*/{STALE}"))
        return [f"not removed by the next build: {each.parent}" for each in found]

    def faults(self, kind: str, status: int | None, *, unfinished: bool) -> list[str]:
        """
        What is wrong after the end of a build; only ``unfinished`` ones may leave parts.
        """
        cache = self._caches[kind]
        parts = [] if unfinished else list(cache.glob(f"{kind}/*{PARTIAL}"))
        faults = [f"left: {each}" for each in parts]
        content = self._content(kind, cache)
        if status == 0 and content is None:
            faults.append(f"the {kind} is not there, although its build ended well")
        if content is not None and self._contents[kind] not in {"", content}:
            faults.append(f"the {kind} is another one: {content}")
        return faults

    def _content(self, kind: str, cache: Path) -> str | None:
        if kind == "box":
            boxed = box.find(cache)
            return None if boxed is None else box.sha256_of(boxed.file)
        whole = userland.find(cache)
        return None if whole is None else whole.content_sha256
