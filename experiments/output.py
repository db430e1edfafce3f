"""
An output that nobody reads any more, such as a closed terminal, ends no run.
"""

from __future__ import annotations

import errno
import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Buffer

LOST = {errno.EPIPE, errno.EIO}
"""The errors of a pipe without a reader and of a terminal that was closed."""


class _Patient(io.FileIO):
    """
    A file descriptor that drops what it cannot deliver to anybody.
    """

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in LOST:
                raise
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """
    Let this process go on when the reader of its standard output or error ends.
    """
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(
            io.BufferedWriter(_Patient(stream.fileno(), "wb", closefd=False)),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=True,
        )
        for stream in (sys.stdout, sys.stderr)
    )
