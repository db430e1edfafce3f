"""
What is told and kept of a trial that went wrong.
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
"""What may go wrong in a trial without being a fault of the project."""


def describe(error: BaseException) -> str:
    """
    What went wrong, first things first: a teardown that fails too does not hide the reason for it.
    """
    chain = [error]
    while (before := chain[-1].__context__) is not None:
        chain.append(before)
    told = [str(each) for each in reversed(chain) if isinstance(each, BridgetollError)]
    return "; and then: ".join(dict.fromkeys(told)) or repr(error)


def keep_tails(directory: Path, raw: Path) -> None:
    """
    Copy the ends of a failed deployment's logs, the daemon's among them, to where they last.
    """
    for log in sorted(directory.glob("*.log")):
        (raw / log.name).write_bytes(log.read_bytes()[-KEPT_LOG_BYTES:])


def keep_logs(deployment: Deployment, raw: Path) -> None:
    """
    Keep the last lines of every service.
    """
    try:
        parts = [f"== {name}\n{text}\n" for name, text in deployment.logs(LOG_LINES).items()]
    except TRIAL_ERRORS as error:
        # A deployment that is broken enough not to have logs has failed otherwise already.
        parts = [f"no logs: {error!r}"]
    (raw / "services.log").write_text("\n".join(parts))
