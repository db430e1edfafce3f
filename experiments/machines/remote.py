"""
Access to the VM by ssh and rsync, with Vagrant's ssh configuration.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.commands import output_of, run_command
from experiments.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONNECTION_FAILED = 255
"""The status of ssh if the connection fails."""

PROBE_TIMEOUT_S = 20
COMMAND_TIMEOUT_S = 120
COPY_TIMEOUT_S = 600

PLAIN_FILES = ("--no-links", "--no-devices", "--no-specials", "--chmod=D755,F644")
"""Options of rsync: what comes from the lab leads nowhere, and gives nobody rights."""

SSH_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    # A lost machine is noticed within 15 seconds.
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "LogLevel": "ERROR",
}


@dataclass(frozen=True)
class Remote:
    """
    A machine in an ssh configuration file; all commands run as root.
    """

    config: Path
    host: str

    def _ssh(self) -> list[str]:
        options = [f"-o{name}={value}" for name, value in SSH_OPTIONS.items()]
        return ["ssh", "-F", str(self.config), *options]

    def command(self, arguments: Sequence[str]) -> list[str]:
        """
        The local command line that runs ``arguments`` on the machine.
        """
        return [*self._ssh(), self.host, "--", "sudo", shlex.join(arguments)]

    def answers(self) -> bool:
        """
        Whether the machine can be reached now.
        """
        return (
            self.config.exists() and run_command(self.command(["true"]), limit_s=PROBE_TIMEOUT_S).ok
        )

    def output(self, arguments: Sequence[str], timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """
        The output of a command on the machine.

        Raises HostError if the command fails or the machine cannot be reached.
        """
        ended = run_command(self.command(arguments), limit_s=timeout_s)
        if ended.status == CONNECTION_FAILED:
            msg = f"the VM cannot be reached: {ended.last_words}; `nox -s up` starts it"
            raise HostError(msg)
        if not ended.ok:
            raise HostError(ended.failure(f"`{shlex.join(arguments)}` in the VM"))
        return ended.text

    def push(self, source: Path, target: str, options: Sequence[str] = ()) -> None:
        """
        Make the remote directory ``target`` equal to the local ``source``.
        """
        self._rsync([*options, "--delete", f"{source}/", f"{self.host}:{target}/"])

    def pull(self, source: str, target: Path) -> None:
        """
        Copy files and folders of the remote ``source`` into the local ``target``, nothing else.

        Nothing is deleted.
        """
        self._rsync([*PLAIN_FILES, f"{self.host}:{source}/", f"{target}/"])

    def _rsync(self, arguments: Sequence[str]) -> None:
        """
        Run rsync; raises HostError with its message if the copy is incomplete.
        """
        command = ["rsync", "--archive", "--no-owner", "--no-group", "--mkpath"]
        command += ["--rsh", shlex.join(self._ssh()), "--rsync-path", "sudo rsync", *arguments]
        name = "copying between host and VM"
        output_of(command, limit_s=COPY_TIMEOUT_S, error=HostError, name=name)
