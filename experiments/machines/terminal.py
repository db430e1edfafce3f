"""
A terminal of the lab's own: nothing in the lab has a file of the caller's terminal.

Whoever has one and CAP_SYS_ADMIN can type into it, as if the caller had.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import threading
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = {"stdout": 1, "stderr": 2}

REST_S = 5.0
"""The time for the last output, after the lab has ended."""


@contextmanager
def own_terminal() -> Iterator[dict[str, int]]:
    """
    What the lab gets as ``stdout`` and ``stderr``: another terminal in place of the caller's.

    What is written there is copied to the caller's, whose size it always has. A stream that is no
    terminal is inherited.
    """
    terminals = {name: file for name, file in STREAMS.items() if os.isatty(file)}
    if not terminals:
        yield {}
        return
    shown = next(iter(terminals.values()))
    ours, theirs = os.openpty()
    # The caller's terminal does all that one does with an output.
    tty.setraw(theirs)

    def resize(*_: object) -> None:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetwinsize(theirs, termios.tcgetwinsize(shown))

    resize()
    before = signal.signal(signal.SIGWINCH, resize)
    copying = threading.Thread(target=_copy, args=[ours, shown], daemon=True)
    copying.start()
    try:
        yield dict.fromkeys(terminals, theirs)
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(theirs)
        copying.join(REST_S)
        if not copying.is_alive():
            os.close(ours)


def _copy(source: int, target: int) -> None:
    """
    Copy until the last writer has ended, which is an error of the terminal.
    """
    with contextlib.suppress(OSError):
        while data := os.read(source, 2**16):
            # A terminal that was closed must not stop the writers.
            with contextlib.suppress(OSError):
                while data:
                    data = data[os.write(target, data) :]
