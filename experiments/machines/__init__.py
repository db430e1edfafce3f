"""
Machines: this host or the VM, behind one protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from experiments.declare.stack import Stack
    from experiments.records.manifest import Environment, MachineRecord, UserlandRecord


class Archive(Protocol):
    """
    An archive of images that ``docker load`` takes.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """
        The names of the images, as Docker keeps them.
        """

    @property
    def source(self) -> str:
        """
        Where it comes from, in words.
        """

    def identity(self) -> str:
        """
        The same for the same images.
        """

    def place(self, scratch: Path) -> Path:
        """
        The archive's path, if need be in ``scratch``.
        """


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

    def survey(self, run: Path, stack: Stack) -> None:
        """
        Write what a user's Compose project needs into the run's folder; see ``run.survey``.

        Raises HostError if Compose refuses the project.
        """

    def fill_store(
        self, stack: Stack, archives: Sequence[Archive], builds: Mapping[str, str]
    ) -> str:
        """
        Put a stack's images into the cache, unless they are there; the digest of their store.

        ``builds`` maps the images to build to a service that has the ``build`` table.
        """

    def push(self, run: Path) -> None:
        """
        Copy the folder of a planned run to the machine.
        """

    def execute(self, run: Path, stack: Stack | None = None) -> int:
        """
        Execute the plan with streamed output; the exit status, 130 if interrupted.

        ``stack`` is the user's, if the plan is of one.

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
