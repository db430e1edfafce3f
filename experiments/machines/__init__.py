"""
Machines: the kernel that it all happens on.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Protocol

from experiments.errors import HostError, UsageError
from experiments.machines.local import LocalMachine

if TYPE_CHECKING:
    from pathlib import Path


class Machine(Protocol):
    """
    Brings up a kernel and runs a planned run on it.
    """

    name: str

    def up(self) -> None:
        """
        Make the machine ready: packages, privileges, userland.

        Raises HostError for what is missing, before anything is changed where that can be told.
        """

    def facts(self) -> dict[str, Any]:
        """
        What the manifest says of the machine and of its userland, once it is up.
        """

    def measure(self, run: Path) -> int:
        """
        Run the plan in this folder, its output streamed; the exit status, 130 when interrupted.
        """


def choose_machine(asked: str, cache: Path, mirror: str) -> tuple[Machine, str]:
    """
    The machine to take, and the words that say which and why.

    Raises UsageError for a machine that this version does not have, and HostError when the host
    cannot run the lab.
    """
    vagrant = shutil.which("vagrant")
    if asked == "vagrant":
        found = f"Vagrant is at {vagrant}" if vagrant else "Vagrant is not installed"
        msg = (
            "--machine vagrant: this version has no Vagrantfile and no box yet "
            f"({found}); use --machine local"
        )
        raise UsageError(msg)
    if not sys.platform.startswith("linux"):
        msg = f"the lab needs Linux, and this is {sys.platform}; run it on a Linux machine"
        raise HostError(msg)
    reason = "as asked" if asked == "local" else "there is no Vagrant VM to use here"
    return LocalMachine(cache, mirror), f"this host's kernel, in the sealed lab ({reason})"
