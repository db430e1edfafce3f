"""
Outputs that end no command: a closed terminal, and an encoding that lacks a character.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

from experiments.errors import INTERRUPTED_STATUS

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable, Sequence

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

    A character that the output's encoding lacks is written as a question mark.
    """
    sys.stdout, sys.stderr = map(_patient, (sys.stdout, sys.stderr))


def _patient(stream: TextIO | None) -> TextIO:
    # Python has no stream for a descriptor that was closed before the start.
    file = os.devnull if stream is None else stream.fileno()
    return io.TextIOWrapper(
        io.BufferedWriter(_Patient(file, "wb", closefd=stream is None)),
        encoding="utf-8" if stream is None else stream.encoding,
        errors="replace",
        line_buffering=True,
    )


def say_in_handler(text: str) -> None:
    """
    Print a line from a handler of signals, which may have interrupted another print.

    Python's streams cannot be written to by two at a time, not even by one thread.
    """
    with contextlib.suppress(OSError):
        os.write(1, f"{text}\n".encode())


def run_command_line(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """
    Run ``main`` with the words of the command line, and end with its status.

    Its output may be lost. Ctrl-C is an exception again, so that files that are half written are
    removed; but it stays ignored where the caller had it ignored.
    """
    outlive_readers()
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED_STATUS
    sys.exit(status)
