"""
Building into a cache, so that an incomplete build is never used.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_origin, get_type_hints

from experiments.errors import HostError
from experiments.lab.bootstrap import EPOCH_S
from experiments.processes import stops_handled_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

Result = TypeVar("Result")
Build = TypeVar("Build")

PARTIAL = ".partial"
"""The suffix of an incomplete build, in each of the cache's folders."""

REMOVE_TIMEOUT_S = 20.0

NOT_FOR_APT = ':"'
"""What no path may hold in which apt builds a tree: it would find no key, and not say why."""


class CachedBuild:
    """
    One build, as a context; it is renamed to its final place when it is complete.

    ``kind`` names the folder of the cache and the messages; ``directory`` is the final place, and
    ``partial`` is where to build, with a ``scratch`` folder for what its tools would leave in /tmp
    when they are killed. The caller holds the run lock.
    """

    def __init__(
        self, cache: Path, kind: str, digest: str, needed_bytes: int, say: Callable[[str], None]
    ) -> None:
        """
        Nothing is made yet.
        """
        self.directory = cache / kind / digest
        self.partial = cache / kind / f"{digest}{PARTIAL}"
        self.scratch = self.partial / "scratch"
        self._needed_bytes = needed_bytes
        self._kind = kind
        self._say = say
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        """
        Remove incomplete builds, and begin another one.

        Raises HostError for a path in which nothing can be built, and for too little disk space.
        """
        home = self.directory.parent
        if wrong := next((each for each in NOT_FOR_APT if each in str(home)), ""):
            msg = (
                f"apt cannot build in {home.parent}, because of the {wrong!r} in this path; set "
                "BRIDGETOLL_CACHE to a folder without"
            )
            raise HostError(msg)
        home.mkdir(parents=True, exist_ok=True)
        # First, because they may be what fills the disk.
        remove_leftovers(home.parent)
        check_disk(home, self._needed_bytes, f"building the {self._kind}")
        # A build has the same modes whoever makes it.
        self._umask = os.umask(0o022)
        self.scratch.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Remove what was made, unless it is complete.

        Raises HostError for a file that could not be written, and if the disk is full.
        """
        os.umask(self._umask)
        if error is None:
            return
        free = shutil.disk_usage(self.partial).free
        # The command ends anyway, and a stop that comes now must not leave half of the build.
        with stops_handled_by(lambda _number, _frame: None):
            remove(self.partial)
        if isinstance(error, OSError):
            said = f"the {self._kind} cannot be built: {error}"
        elif isinstance(error, HostError) and free < self._needed_bytes / 100:
            said = str(error)
        else:
            return
        msg = (
            f"{said}\n{self.directory.parent} had {free / 1e6:.0f} MB free then; free some, or set "
            "BRIDGETOLL_CACHE to another disk"
        )
        raise HostError(msg) from error

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
        shutil.rmtree(self.scratch)
        path = self.partial / marker
        with path.open("w") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        # They are inputs of other builds, so their times are fixed too.
        for each in (path, self.partial):
            os.utime(each, (EPOCH_S, EPOCH_S))
        # What is there has no marker, or a damaged one.
        remove(self.directory)
        # All of it is on the disk before it has its name, also if the machine stops now.
        os.sync()
        self.partial.rename(self.directory)
        self._say(f"{self._kind}: built in {time.monotonic() - self._began:.0f} s")


def remove_leftovers(cache: Path) -> None:
    """
    Remove what interrupted builds left in the cache; the caller holds the run lock.
    """
    for leftover in cache.glob(f"*/*{PARTIAL}"):
        remove(leftover)


def remove(directory: Path) -> None:
    """
    Remove a directory, if it is there, even if a process of a build is only just being killed.

    Raises HostError if that takes longer than 20 seconds.
    """
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while True:
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:
            if not directory.exists():
                return
        except OSError as error:
            if time.monotonic() > deadline:
                msg = (
                    f"cannot remove {directory}, which an interrupted build left: "
                    f"{error.strerror}; remove it, and try again"
                )
                raise HostError(msg) from error
            time.sleep(0.1)


def read_marker(kind: Callable[..., Build], directory: Path, marker: str) -> Build | None:
    """
    A complete build, of a dataclass, from its description; None without one or if it is damaged.
    """
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name != "directory"}
    try:
        content = json.loads((directory / marker).read_text())
        typed = all(isinstance(content[name], get_origin(it) or it) for name, it in hints.items())
        return kind(**content, directory=directory) if typed else None
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


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
