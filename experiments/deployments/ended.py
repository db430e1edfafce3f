"""
Processes of a deployment that ended by themselves, with the evidence, alike in both runtimes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.commands import how_ended
from experiments.deployments.compose_services import COMPLETED
from experiments.errors import OutOfMemoryError, ProcessEndedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.commands import Ended

DOCKERD = "dockerd"

DAEMONS = frozenset({DOCKERD, "containerd", "containerd-shim", "docker-proxy"})
"""The processes of a daemon that live as long as the deployment, by their names in /proc."""

LOADED = "under load"
"""When a process ended that had been up before."""

NOTHING = "(nothing was printed)"

ENDING_S = 1.0
POLL_S = 0.02


@dataclass(frozen=True)
class EndedProcess:
    """
    A service's first process, or dockerd, that ended by itself.

    ``status`` is its exit status, or minus the number of the signal that ended it; None if nobody
    reports it. ``out_of_memory`` says that the kernel counted a kill for memory in its control
    group. ``last_words`` are its last lines, and ``docker_says`` what dockerd reports.
    """

    name: str
    status: int | None
    last_words: str = ""
    out_of_memory: bool = False
    docker_says: str = ""

    def how(self, when: str) -> str:
        """
        Whose process ended, by what, when, and its last words.
        """
        what = self.name if self.name in DAEMONS else f"service {self.name}"
        unknown = "ended (nobody reports its status)"
        ending = unknown if self.status is None else how_ended(self.status)
        if self.out_of_memory:
            ending += " by the kernel for memory (its limit, or all of the machine's)"
        said = f"; Docker reports: {self.docker_says}" if self.docker_says else ""
        by_itself = not self.status and not self.out_of_memory and what != self.name
        if by_itself and when != LOADED:
            said += f"; it has to stay in the foreground, unless others wait for it by {COMPLETED}"
        return f"{what} {ending} {when}{said}; its last lines:\n{self.last_words or NOTHING}"


def unhealthy(service: str, check: Ended | None, last_words: str) -> str:
    """
    That a running service is not healthy, by what its last health check said.
    """
    how = check.failure("its health check") if check else "no health check has ended"
    return (
        f"service {service} did not become healthy: {how}; the service's last lines:\n"
        f"{last_words or NOTHING}"
    )


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
