"""
The run lock: one run at a time, because two would disturb each other.
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
    A lock on the machine, as a context; the kernel releases it when its holder dies.
    """

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
            holder = self._file.read().strip() or "(not known yet)"
            self._file.close()
            msg = (
                f"another run holds this machine: process {holder}. Two concurrent runs would "
                "disturb each other; wait until it ends, or stop it with Ctrl-C"
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
        Release the lock.
        """
        self._file.truncate(0)
        self._file.close()
