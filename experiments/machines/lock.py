"""
One run at a time: two would measure each other.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from experiments.errors import HostError, LockedError

if TYPE_CHECKING:
    from types import TracebackType

RUN_LOCK = Path("/run/lock/bridgetoll.lock")


class RunLock:
    """
    A lock on the whole machine, as a context; the kernel frees it when its holder dies.
    """

    def __init__(self, path: Path = RUN_LOCK) -> None:
        """
        Nothing is locked before the context is entered.
        """
        self._path = path

    def __enter__(self) -> Self:
        """
        Take the lock.

        Raises LockedError that names the process that holds it.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            msg = f"the lock {self._path} cannot be opened: {error.strerror}"
            raise HostError(msg) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "(it has not said which yet)"
            self._file.close()
            msg = (
                f"another run holds this machine: process {holder}. Two runs at once would measure "
                "each other; wait for it, or end it with Ctrl-C"
            )
            raise LockedError(msg) from error
        self._file.truncate(0)
        command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        self._file.write(f"{os.getpid()} ({command})\n")
        self._file.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Free the lock.
        """
        self._file.truncate(0)
        self._file.close()
