"""
Machines: this host or the VM, behind one protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.records.manifest import Environment, MachineRecord, UserlandRecord


class Machine(Protocol):
    """
    Provides a kernel and executes a planned run on it.
    """

    name: str

    def up(self) -> None:
        """
        Make the machine ready: packages, privileges, box, userland, and the project.

        Raises HostError if something is missing, if possible before anything is changed.
        """

    def facts(self) -> tuple[MachineRecord, UserlandRecord]:
        """
        The records of the machine and of its userland; the machine is up.
        """

    def environment(self) -> Environment:
        """
        The properties of its kernel and hardware; the machine is up.
        """

    def recover(self, run: Path) -> None:
        """
        Copy the records of an earlier session that are still on the machine into the run's folder.
        """

    def push(self, run: Path) -> None:
        """
        Copy the folder of a planned run to the machine.
        """

    def execute(self, run: Path) -> int:
        """
        Execute the plan with streamed output; the exit status, 130 if interrupted.

        Raises HostError if the machine is lost.
        """

    def pull(self, run: Path) -> None:
        """
        Copy the run's records from the machine into its folder.
        """

    def halt(self) -> None:
        """
        Stop the machine; its disk stays.
        """

    def destroy(self) -> None:
        """
        Remove the machine and everything that was created for it on this host.
        """
