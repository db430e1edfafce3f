"""
Processes of a deployment that ended by themselves, with the evidence, alike in both runtimes.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.commands import signal_name
from experiments.errors import OutOfMemoryError, ProcessEndedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DOCKERD = "dockerd"

ENDING_S = 1.0
POLL_S = 0.02

BY_SIGNAL = 128
"""A shell, tini and Docker report the end by a signal as this number plus the signal's."""


@dataclass(frozen=True)
class EndedProcess:
    """
    A service's first process, or dockerd, that ended by itself.

    ``status`` is its exit status, or minus the number of the signal that ended it; None if nobody
    reports it. ``out_of_memory`` says that the kernel counted a kill at the memory limit of its
    control group. ``last_words`` are its last lines, and ``docker_says`` what dockerd reports.
    """

    name: str
    status: int | None
    last_words: str = ""
    out_of_memory: bool = False
    docker_says: str = ""

    @property
    def by_signal(self) -> int:
        """
        The number of the signal that ended it; 0 if none did, or nobody reports it.
        """
        status = self.status or 0
        if status < 0:
            return -status
        return status - BY_SIGNAL if BY_SIGNAL < status < BY_SIGNAL + signal.NSIG else 0

    def how(self, when: str) -> str:
        """
        Whose process ended, by what, when, and its last words.
        """
        what = self.name if self.name == DOCKERD else f"service {self.name}"
        if self.status is None:
            ending = "ended (runc reports no status)"
        elif self.by_signal:
            ending = f"was ended by signal {signal_name(self.by_signal)}"
        else:
            ending = f"ended with status {self.status}"
        if self.out_of_memory:
            ending += " at its memory limit"
        said = f"; Docker reports: {self.docker_says}" if self.docker_says else ""
        words = self.last_words or "(nothing was printed)"
        return f"{what} {ending} {when}{said}; its last lines:\n{words}"


def await_ended(look: Callable[[], list[EndedProcess]]) -> list[EndedProcess]:
    """
    What ``look`` finds, for at most a second: a process that is ending has no status yet.
    """
    deadline = time.monotonic() + ENDING_S
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return found


def ended_error(ended: Sequence[EndedProcess], when: str) -> ProcessEndedError:
    """
    The error of a deployment in which these processes ended, the kernel's kills first.
    """
    killed = any(each.out_of_memory for each in ended)
    ordered = sorted(ended, key=lambda each: not each.out_of_memory)
    words = "\n".join(each.how(when) for each in ordered)
    return OutOfMemoryError(words) if killed else ProcessEndedError(words)
