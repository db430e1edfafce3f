"""
Stopping a run on request: Ctrl-C, a closed terminal, or a signal.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

FORK_HOOKS = frozenset({"_afterFork", "_after_fork"})
"""Functions of the standard library (logging, threading) that run around every fork."""


class StopRequest:
    """
    Whether the user has asked the run to stop; ``asked`` is set by the first signal.

    The first signal also raises KeyboardInterrupt, which ends any wait. Python discards exceptions
    in its hooks around fork; there the request is only remembered and checked before the next
    phase.
    """

    def __init__(self) -> None:
        """
        Handles the signals that ask a program to stop.
        """
        self._owner = os.getpid()
        self.asked = False
        self._held = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # pyroute2 forks a child for a moment and ends it by signal; such a child inherits this
        # handler, and must not go on as a second runner.
        if os.getpid() != self._owner:
            os._exit(128 + number)
        if self.asked:
            return
        self.asked = True
        in_hook = frame is not None and frame.f_code.co_name in FORK_HOOKS
        if not (self._held or in_hook):
            raise KeyboardInterrupt

    def check(self) -> None:
        """
        Raise KeyboardInterrupt if the user has asked to stop.
        """
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def before_errors(self) -> Iterator[None]:
        """
        Raise KeyboardInterrupt in place of an error that follows the user's request to stop.

        What a signal interrupts may fail on its way out and so hide the interrupt, as the event
        loop of pyroute2 does.
        """
        try:
            yield
        except Exception as error:
            if self.asked:
                raise KeyboardInterrupt from error
            raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """
        Only remember signals meanwhile, so that the current work is completed.
        """
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before
