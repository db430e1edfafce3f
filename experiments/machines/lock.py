"""
The run lock: one run at a time, because two would disturb each other.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from experiments.errors import HostError, LockedError
from experiments.processes import Process

if TYPE_CHECKING:
    from types import TracebackType

RUN_LOCK = Path("/run/lock/bridgetoll.lock")


class RunLock:
    """
    A lock on the machine, as a context; the kernel releases it when its holder dies.

    The keeper of a lab inherits the open file, so that the lock outlives a holder whose lab is
    still being taken down.
    """

    held: ClassVar[list[int]] = []
    """File descriptors of the locks that this process holds."""

    def __init__(self, path: Path = RUN_LOCK) -> None:
        """
        Entering the context takes the lock.
        """
        self._path = path

    def __enter__(self) -> Self:
        """
        Take the lock.

        Raises LockedError with the process that holds it.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            msg = f"cannot open the lock {self._path}: {error.strerror}"
            raise HostError(msg) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            msg = refusal(self._file.read())
            self._file.close()
            raise LockedError(msg) from error
        self._file.truncate(0)
        command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        self._file.write(f"{Process.of(os.getpid())} {command}\n")
        self._file.flush()
        self.held.append(self._file.fileno())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Release the lock.
        """
        self.held.remove(self._file.fileno())
        self._file.truncate(0)
        self._file.close()


def refusal(note: str) -> str:
    """
    Why the lock is not free, from its holder's note.
    """
    identity, _, command = note.strip().partition(" ")
    try:
        holder = Process.parse(identity)
    except ValueError:
        return "another run holds this machine, and has only just begun; wait until it ends"
    if not holder.is_alive():
        return (
            f"a run whose process {holder.pid} was killed ({command}) is still being taken down; "
            "try again in a minute"
        )
    return (
        f"another run holds this machine: process {holder.pid} ({command}). Two concurrent runs "
        "would disturb each other; wait until it ends, or stop it with Ctrl-C or "
        f"`kill {holder.pid}`"
    )


def is_free(path: Path = RUN_LOCK) -> bool:
    """
    Whether nobody holds the lock; for this, no root is needed.
    """
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
