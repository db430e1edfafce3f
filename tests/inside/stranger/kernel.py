"""
The kernel as a stranger sees it: system calls by name, and what their errors tell.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NUMBERS = {
    "x86_64": {
        "bpf": 321, "finit_module": 313, "kexec_load": 246, "keyctl": 250, "fanotify_init": 300,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "perf_event_open": 298, "reboot": 169,
        "ioperm": 173, "iopl": 172, "shmget": 29, "pidfd_open": 434, "pidfd_getfd": 438,
        "add_key": 248, "request_key": 249, "userfaultfd": 323, "io_uring_setup": 425,
        "quotactl": 179, "quotactl_fd": 443, "ustat": 136, "clone": 56, "clone3": 435,
        "socket": 41, "x32_socket": 0x40000000 + 41,
    },
    "aarch64": {
        "bpf": 280, "finit_module": 273, "kexec_load": 104, "keyctl": 219, "fanotify_init": 262,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "perf_event_open": 241, "reboot": 142,
        "shmget": 194, "pidfd_open": 434, "pidfd_getfd": 438, "add_key": 217, "request_key": 218,
        "userfaultfd": 282, "io_uring_setup": 425, "quotactl": 60, "quotactl_fd": 443,
        "clone": 220, "clone3": 435, "socket": 198,
    },
}[platform.machine()]  # fmt: skip
"""Numbers of system calls, from the kernel's tables."""

NEW_NS, NEW_CGROUP, NEW_USER, NEW_PID = 0x20000, 0x2000000, 0x10000000, 0x20000000
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096

libc = ctypes.CDLL(None, use_errno=True)
probes: dict[str, Callable[[], str | None]] = {}


def probe(function: Callable[[], str | None]) -> Callable[[], str | None]:
    """
    Add a probe.
    """
    probes[function.__name__] = function
    return function


def check(result: int) -> int:
    """
    The result of a C function; raises OSError if it failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(name: str, *arguments: object) -> int:
    """
    Make a system call by its name; raises OSError.
    """
    if name not in NUMBERS:
        raise OSError(errno.ENOSYS, name)
    return check(libc.syscall(NUMBERS[name], *arguments))


def allowed(name: str, action: Callable[[], object]) -> str:
    """
    What it means if a call with arguments that cannot work is refused for these, not for rights.
    """
    try:
        action()
    except OSError as error:
        if error.errno in {errno.EPERM, errno.EACCES, errno.ENOSYS}:
            raise
        return f"{name} fails with {errno.errorcode[error.errno or 0]} only"
    return name


def opened(paths: Iterable[str | Path], flags: int = os.O_RDONLY) -> str:
    """
    The first of these paths that can be opened; raises OSError if none can.
    """
    last = OSError(errno.ENOENT, "nothing to open")
    for path in paths:
        try:
            os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
        except OSError as error:
            last = error
        else:
            return f"{path} can be opened"
    raise last


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """
    Mount something; raises OSError.
    """
    arguments = (each.encode() for each in (source, target, kind))
    check(libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None))


def unshare(flags: int) -> None:
    """
    Leave namespaces for new ones; raises OSError.
    """
    check(libc.unshare(flags))


def folder(name: str) -> str:
    """
    A new directory.
    """
    path = f"/tmp/{name}-{os.getpid()}"  # noqa: S108 - its own
    Path(path).mkdir()
    return path


def files_below(top: str, most: int = 5000) -> Iterator[Path]:
    """
    Files below a directory, without following links.
    """
    count = 0
    for directory, _, names in os.walk(top):
        for name in names:
            count += 1
            if count > most:
                return
            yield Path(directory) / name
