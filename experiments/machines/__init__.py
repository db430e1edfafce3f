"""
Machines: the kernel that it all happens on, each behind the same small protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.records.manifest import MachineRecord, UserlandRecord


class Machine(Protocol):
    """
    Brings up a kernel and runs a planned run on it.
    """

    name: str

    def up(self) -> None:
        """
        Make the machine ready: packages, privileges, box, userland, the project itself.

        Raises HostError for what is missing, before anything is changed where that can be told.
        """

    def facts(self) -> tuple[MachineRecord, UserlandRecord]:
        """
        What the manifest says of the machine and of its userland, once it is up.
        """

    def push(self, run: Path) -> None:
        """
        Bring the folder of a planned run to where it is to be run.
        """

    def execute(self, run: Path) -> int:
        """
        Run the plan, its output streamed; the exit status, 130 when interrupted.

        Raises HostError when the machine is lost meanwhile.
        """

    def pull(self, run: Path) -> None:
        """
        Fetch what the run has recorded so far into its folder here.
        """

    def halt(self) -> None:
        """
        Stop the machine; what is on its disk stays.
        """

    def destroy(self) -> None:
        """
        Remove the machine and everything that it brought to this host.
        """
