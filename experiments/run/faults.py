"""
Reporting a failed trial: its error in words, and its logs.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from docker.errors import DockerException
from pyroute2.netlink.exceptions import NetlinkError

from experiments.errors import BridgetollError

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.deployments import Deployment

LOG_LINES = 40
KEPT_LOG_BYTES = 2**16

TRIAL_ERRORS = (BridgetollError, OSError, subprocess.SubprocessError, DockerException, NetlinkError)
"""Errors that can happen in a trial without a fault of the project."""


def describe(error: BaseException) -> str:
    """
    The error in words, the first cause first, so that a failed teardown does not hide it.
    """
    chain = [error]
    while (before := chain[-1].__context__) is not None:
        chain.append(before)
    told = [str(each) for each in reversed(chain) if isinstance(each, BridgetollError)]
    return "; and then: ".join(dict.fromkeys(told)) or repr(error)


def keep_tails(directory: Path, raw: Path) -> None:
    """
    Copy the ends of a failed deployment's logs, including the daemon's, to the raw results.
    """
    for log in sorted(directory.glob("*.log")):
        (raw / log.name).write_bytes(log.read_bytes()[-KEPT_LOG_BYTES:])


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
