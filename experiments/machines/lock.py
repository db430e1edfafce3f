"""
The run lock: one run at a time, because two would disturb each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from experiments.errors import HostError, LockedError
from experiments.processes import Process
from experiments.records.folder import unwritable

if TYPE_CHECKING:
    from types import TracebackType

RUN_LOCK = Path("/run/lock/bridgetoll.lock")

MOST_CHARACTERS = 4096
"""Of a holder's note that are read; it is as long as a command line."""


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
        self._file = os.fdopen(opened(self._path), "r+", encoding="utf-8", errors="replace")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = refusal(self._file.read(MOST_CHARACTERS))
            self._file.close()
            raise LockedError(msg) from error
        command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        try:
            os.ftruncate(self._file.fileno(), 0)
            self._file.write(f"{Process.of(os.getpid())} {command}\n")
            self._file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.close()
            raise HostError(unwritable(error, self._path)) from error
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


def opened(path: Path) -> int:
    """
    A lock file, open for every user: whoever comes first makes it, and others take the lock later.

    Its folder belongs to all users, so what is there may be anything: no link is followed and
    nothing is waited for. Raises HostError for what is no lock file, with whose it is.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Without O_CREAT, which the kernel refuses in a folder of all users, root too, for a
            # file of another user (fs.protected_regular).
            handle = os.open(path, flags)
        except FileNotFoundError:
            handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            # Whatever the umask of its maker.
            os.fchmod(handle, 0o666)
        found = os.fstat(handle)
    except OSError as error:
        msg = f"cannot open the lock {path}: {error.strerror}{_whose(path)}"
        raise HostError(msg) from error
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        msg = f"{path} is no lock file{_whose(path)}"
        raise HostError(msg)
    return handle


def _whose(path: Path) -> str:
    try:
        owner = path.lstat().st_uid
    except OSError:
        return ""
    return f"; it belongs to user {owner}; remove it when no run is in progress"


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
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
