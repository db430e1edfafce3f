"""
Opening a path as a process with another root would, without entering it.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OPENAT2 = 437
"""The number of the system call, on all architectures (Linux 5.6 and later)."""

RESOLVE_IN_ROOT = 0x10
"""Links, also absolute ones and ``..``, stay below the folder; see openat2(2)."""


def open_in(root: Path, path: str) -> int:
    """
    A file descriptor of a folder at a path as seen with this root.

    Raises FileNotFoundError if there is no such folder.
    """
    how = struct.pack("QQQ", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT)
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle: int = libc.syscall(OPENAT2, folder, os.fsencode(path), how, len(how))
    finally:
        os.close(folder)
    if handle < 0:
        raise FileNotFoundError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    return handle
