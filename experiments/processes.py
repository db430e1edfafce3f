"""
Processes that depend on each other: their identity, whose end ends them, which signals they hear.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], None]

PROC = Path("/proc")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a program to stop: Ctrl-C, ``kill``, a closed terminal."""


@dataclass(frozen=True)
class Process:
    """
    A process; the kernel reuses process ids, but not together with the time of the start.

    ``started`` is in clock ticks since the start of the machine, as in field 22 of its ``stat``.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int, proc: Path = PROC) -> Self:
        """
        The process that has this id now; raises ProcessLookupError if there is none.
        """
        _, started = _state(pid, proc)
        return cls(pid, started)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read what ``str`` wrote; raises ValueError for any other text.
        """
        pid, started = text.split(":")
        return cls(int(pid), int(started))

    def __str__(self) -> str:
        """
        ``PID:START``, for notes and command lines.
        """
        return f"{self.pid}:{self.started}"

    def is_alive(self, proc: Path = PROC) -> bool:
        """
        Whether it still runs; a zombie does not, and neither does a successor with its id.
        """
        try:
            state, started = _state(self.pid, proc)
        except ProcessLookupError:
            return False
        return started == self.started and state not in {"Z", "X"}

    def handle(self) -> int | None:
        """
        A file descriptor that becomes readable at its end; None if it has ended.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # After the handle is open, because the id may have been reused before.
        if self.is_alive():
            return handle
        os.close(handle)
        return None


def _state(pid: int, proc: Path) -> tuple[str, int]:
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(pid) from error
    # The name, in parentheses, may contain anything.
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def first_child(pid: int) -> int:
    """
    The first child of a process with one thread; raises ProcessLookupError if it has none.
    """
    try:
        return int((PROC / f"{pid}/task/{pid}/children").read_text().split()[0])
    except (OSError, IndexError) as error:
        raise ProcessLookupError(pid) from error


def reset_signals() -> None:
    """
    Hear all signals that a parent may have ignored or blocked, for instance ``nohup`` or cron.
    """
    numbers = (*STOP_SIGNALS, signal.SIGQUIT)
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def hear_stops() -> None:
    """
    Let the first stop signal raise KeyboardInterrupt; SIGHUP stays ignored under ``nohup``.
    """
    hang_up = signal.getsignal(signal.SIGHUP)
    reset_signals()
    if hang_up == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handle_stops(interrupt)


def handle_stops(handler: Handler) -> None:
    """
    Let ``handler`` handle the stop signals; SIGHUP stays ignored under ``nohup``.
    """
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def stops_handled_by(handler: Handler) -> Iterator[None]:
    """
    Let ``handler`` handle the stop signals for a time; after an interruption they stay ignored.
    """
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    handle_stops(handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, earlier)


def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """
    Raise KeyboardInterrupt, once: a second one would interrupt the clean-up.
    """
    ignore_stops()
    raise KeyboardInterrupt


def ignore_stops() -> None:
    """
    Ignore all further stop signals: what is left to do is short.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def stop_without(owner: Process) -> None:
    """
    Send SIGTERM to this process when its owner has ended.
    """
    threading.Thread(target=_stop_after, args=[owner], daemon=True).start()


def _stop_after(owner: Process) -> None:
    handle = owner.handle()
    if handle is not None:
        select.select([handle], [], [])
    ask_to_stop()


def ask_to_stop() -> None:
    """
    Send SIGTERM to the main thread, from any thread; this ends its waits.
    """
    main = threading.main_thread().ident
    if main is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pthread_kill(main, signal.SIGTERM)
