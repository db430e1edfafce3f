"""
Reporting a failed trial: its error in words, and its logs.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from docker.errors import DockerException
from pyroute2.netlink.exceptions import NetlinkError

from experiments.commands import tail
from experiments.errors import FULL, BridgetollError, Failure
from experiments.paths import RUN_IN_LAB

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.deployments import Deployment

LOG_LINES = 40

TRIAL_ERRORS = (BridgetollError, OSError, subprocess.SubprocessError, DockerException, NetlinkError)
"""Errors that can happen in a trial without a fault of the project."""


NEXT = {
    Failure.ENDED: "mend what ended it, or leave the variant out; what is left of its logs: {raw}",
    Failure.DEPLOY: "see what is left of its logs in {raw}",
    Failure.MEMORY: "raise the variant's memory limit, or lower what the service needs",
    Failure.SPACE: "let the service print and write less; see its last lines in {raw}",
    Failure.LOAD: "see what the load generator printed, in {raw}",
    Failure.UNHEALTHY: "run its health check by hand, or allow it more time in the Compose file",
    Failure.ANSWER: "see what the services logged, in {raw}",
    Failure.SILENT: "see what the services logged, in {raw}",
    Failure.SLOW: "load it with fewer requests at once (--concurrency), or see its logs in {raw}",
}
"""The next step of the user by the kind of failure, where the message itself does not have it."""


def describe(error: BaseException) -> str:
    """
    The kind of failure, and the errors in words, the first cause first.

    So a failed teardown does not hide why the trial failed.
    """
    words = "; and then: ".join(dict.fromkeys(map(str, _causes(error)))) or of_system(error)
    # The lab's name of the run's folder says nothing to the user.
    return f"{failure_of(error)}: {words.replace(f'{RUN_IN_LAB}/', '')}"


def failure_of(error: BaseException) -> Failure:
    """
    The kind of failure, which is that of the first cause.
    """
    causes = _causes(error)
    return causes[0].failure if causes else Failure.MACHINE


def _causes(error: BaseException) -> list[BridgetollError]:
    chain = [error]
    while (before := chain[-1].__context__) is not None:
        chain.append(before)
    return [each for each in reversed(chain) if isinstance(each, BridgetollError)]


def of_system(error: BaseException) -> str:
    """
    An error that is not the project's own, in the system's words if it has any.
    """
    if isinstance(error, DockerException):
        return f"the lab's dockerd: {error}"
    if not isinstance(error, OSError) or not error.strerror:
        return repr(error)
    step = "; free some space" if error.errno in FULL else ""
    return (f"{error.filename}: " if error.filename else "") + f"{error.strerror}{step}"


def keep_tails(directory: Path, raw: Path) -> None:
    """
    Copy the ends of a failed deployment's logs, including the daemon's, to the raw results.
    """
    for log in sorted(directory.glob("*.log")):
        (raw / log.name).write_bytes(tail(log))


def keep_logs(deployment: Deployment, raw: Path) -> None:
    """
    Store the last log lines of every service with the raw results.
    """
    try:
        parts = [f"== {name}\n{text}\n" for name, text in deployment.logs(LOG_LINES).items()]
    except TRIAL_ERRORS as error:
        # A deployment that cannot give its logs has another fault already.
        parts = [f"no logs: {error!r}"]
    (raw / "services.log").write_text("\n".join(parts))
