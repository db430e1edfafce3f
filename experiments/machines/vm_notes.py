"""
The checkout's notes of its VM: the box it was made from, and the resources made for it.

They are in Vagrant's folder. Only resources in the notes are ever removed.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

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
        """
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def add(self, **changes: object) -> None:
        """
        Add or replace notes.
        """
        self._state.mkdir(exist_ok=True)
        text = json.dumps({**self.read(), **changes}, indent=1, sort_keys=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(text + "\n")
        partial.replace(self._path)

    def forget(self) -> None:
        """
        Remove the notes with Vagrant's folder.
        """
        shutil.rmtree(self._state, ignore_errors=True)
