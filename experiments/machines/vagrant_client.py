"""
A thin adapter of python-vagrant, with Vagrant's failures as HostError.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from experiments.commands import last_lines
from experiments.errors import HostError
from experiments.machines.settings import VM
from experiments.paths import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROVIDER = "libvirt"
LOG_FILE = "vagrant.log"

LOCKED = "another process is already executing an action"
"""Vagrant's message if another Vagrant process works on the VM."""

UNLOCK_TIMEOUT_S = 120.0
UNLOCK_PAUSE_S = 5.0


class VagrantClient:
    """
    Vagrant in this checkout; its output goes into a log in ``state``.

    ``driver`` is the driver of libvirt, ``kvm`` or ``qemu``; ``version`` is the version of the box.
    Every method raises HostError with Vagrant's last lines.
    """

    def __init__(self, state: Path, driver: str, version: str) -> None:
        """
        Vagrant is not started yet.
        """
        # Imported here, because a machine that only runs the lab has no python-vagrant.
        import vagrant  # noqa: PLC0415

        state.mkdir(exist_ok=True)
        self._log = state / LOG_FILE
        environment = {
            **os.environ,
            "VAGRANT_DEFAULT_PROVIDER": PROVIDER,
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
            "BRIDGETOLL_DRIVER": driver,
            **({"BRIDGETOLL_BOX_VERSION": version} if version else {}),
        }
        output = vagrant.make_file_cm(str(self._log))
        self._vagrant: Any = vagrant.Vagrant(
            str(PROJECT), env=environment, out_cm=output, err_cm=output
        )

    def plugins(self) -> list[str]:
        """
        The names of Vagrant's plugins.
        """
        with self._told("listing Vagrant's plugins"):
            return [plugin.name for plugin in self._vagrant.plugin_list()]

    def add_box(self, catalog: Path) -> None:
        """
        Add the box of a catalogue; Vagrant verifies its checksum.
        """
        with self._told("adding the box to Vagrant"):
            self._vagrant.box_add(VM.box, str(catalog), provider=PROVIDER, force=True)

    def remove_boxes(self) -> None:
        """
        Remove every version of the box from Vagrant.
        """
        with self._told("removing the box from Vagrant"):
            if any(each.name == VM.box for each in self._vagrant.box_list()):
                # The public method cannot remove several versions.
                arguments = ["box", "remove", "--force", "--all", "--provider", PROVIDER, VM.box]
                self._vagrant._call_vagrant_command(arguments)  # noqa: SLF001

    def up(self) -> None:
        """
        Start the VM, creating it if it does not exist; the steps are printed.
        """
        with self._told("starting the VM"):
            for line in self._vagrant.up(provider=PROVIDER, stream_output=True):
                with self._log.open("a") as log:
                    log.write(line)
                # Only the steps are shown, without Vagrant's progress lines.
                if "==>" in line and " -- " not in line:
                    print(f"    {line.rpartition('==>')[2].strip()}", flush=True)

    def ssh_config(self) -> str:
        """
        The ssh configuration for the VM.
        """
        with self._told("reading the VM's ssh configuration"):
            found: str = self._vagrant.ssh_config()
            return found

    def halt(self) -> None:
        """
        Shut the VM down.
        """
        self._when_unlocked("halting the VM", self._vagrant.halt)

    def destroy(self) -> None:
        """
        Remove the VM, its disk, its key, and the network if Vagrant created it.
        """
        self._when_unlocked("destroying the VM", self._vagrant.destroy)

    def _when_unlocked(self, what: str, action: Callable[[], object]) -> None:
        """
        Retry while another Vagrant process, such as an interrupted one, holds the VM.
        """
        deadline = time.monotonic() + UNLOCK_TIMEOUT_S
        while True:
            try:
                with self._told(what):
                    action()
            except HostError as error:
                if LOCKED not in str(error) or time.monotonic() > deadline:
                    raise
                print("waiting for another Vagrant process that holds the VM", flush=True)
                time.sleep(UNLOCK_PAUSE_S)
            else:
                return

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        before = self._log.stat().st_size if self._log.exists() else 0
        try:
            yield
        except (subprocess.SubprocessError, OSError, RuntimeError) as error:
            said = b""
            if self._log.exists():
                said = self._log.read_bytes()[before:]
            msg = f"{what} failed; Vagrant's last lines:\n{last_lines(said) or error}"
            raise HostError(msg) from error
