"""
The checkout's notes of its VM: the box it was made from, and the resources made for it.

They are in Vagrant's folder. Only resources in the notes are ever removed.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from experiments.errors import HostError
from experiments.machines.settings import VM
from experiments.records.folder import unwritable, write

if TYPE_CHECKING:
    from pathlib import Path

NOTES_FILE = "bridgetoll.json"


class VmNotes:
    """
    A small table in a file.

    ``box`` (name, digest, version, sha256) and ``acceleration`` describe the existing VM;
    ``daemons``, ``pool``, ``network`` and ``image`` are the resources made for it, and
    ``processes`` tells which processes the daemons are. ``runs`` maps the runs in the VM to their
    folders on this host.
    """

    def __init__(self, state: Path) -> None:
        """
        Nothing is read or written yet.
        """
        self._state = state
        self._path = state / NOTES_FILE

    def read(self) -> dict[str, Any]:
        """
        All notes; empty without any.

        Raises HostError for notes that cannot be read, because what they name would stay for ever.
        """
        try:
            # Of another type it is as damaged.
            found: dict[str, Any] = {**json.loads(self._path.read_text())}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            why = (isinstance(error, OSError) and error.strerror) or error
            msg = (
                f"the notes of this checkout's VM in {self._path} cannot be read: {why}; restore "
                f"them, or remove with virsh what libvirt has of {VM.name!r}, and then their folder"
            )
            raise HostError(msg) from error
        return found

    def add(self, **changes: object) -> None:
        """
        Add or replace notes.
        """
        text = json.dumps({**self.read(), **changes}, indent=1, sort_keys=True)
        try:
            self._state.mkdir(exist_ok=True)
            write(self._state, self._path.name, f"{text}\n".encode())
        except OSError as error:
            raise HostError(unwritable(error, self._path)) from error

    def forget(self) -> None:
        """
        Remove the notes with Vagrant's folder.
        """
        shutil.rmtree(self._state, ignore_errors=True)
