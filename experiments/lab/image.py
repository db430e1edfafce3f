"""
Makes the Docker image from the userland: runs in the lab once per userland and pulls nothing.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from experiments.commands import run_command
from experiments.errors import BridgetollError, HostError
from experiments.lab.cgroups import ControlGroup, hierarchies
from experiments.lab.daemon import DockerDaemon
from experiments.lab.network import NetworkNamespace

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "bridgetoll/userland"
SOURCE = "/userland"
STORE = "/store"
IMPORT_TIMEOUT_S = 600


@contextmanager
def filling(store: Path) -> Iterator[DockerDaemon]:
    """
    A daemon whose data root is the image store ``store``, in a network of its own with no way out.
    """
    found = hierarchies(inside_lab=True)
    group, containers = ControlGroup("daemon", found), ControlGroup("containers", found)
    group.create()
    with (
        NetworkNamespace("image") as namespace,
        DockerDaemon(
            network_namespace_path=namespace.path,
            directory=Path("/run/image"),
            group=group,
            container_group=containers,
            fill_store=store,
        ) as daemon,
    ):
        yield daemon


def import_userland() -> None:
    """
    Import the tree at ``SOURCE`` as ``IMAGE`` into the image store at ``STORE``.

    Raises HostError if tar or the daemon fails.
    """
    with filling(Path(STORE)) as daemon:
        archive = ["tar", "--directory", SOURCE, "--create", "--one-file-system", "--sort=name"]
        command = ["docker", "--host", daemon.socket, "import", "-", IMAGE]
        with subprocess.Popen([*archive, "."], stdout=subprocess.PIPE) as tar:
            # tar.stdout is never None, because it is a pipe.
            ended = run_command(
                command, limit_s=IMPORT_TIMEOUT_S, stdin=tar.stdout or subprocess.DEVNULL
            )
            if not ended.ok:
                tar.kill()
                raise HostError(ended.failure("importing the userland"))
        if tar.returncode:
            msg = f"importing the userland failed: tar ended with status {tar.returncode}"
            raise HostError(msg)


if __name__ == "__main__":
    try:
        import_userland()
    except BridgetollError as error:
        sys.exit(f"error: {error}")
