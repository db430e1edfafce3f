"""
What this checkout has noted of its VM: what it was made from, and what was made for it.

Kept in Vagrant's own folder. What is not noted here is not ours, and is not removed.
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
    A small table on the disk.

    ``box`` (name, digest, version, sha256) and ``acceleration`` are of the VM that there is, from
    when it was made; ``daemons``, ``pool``, ``network`` and ``image`` are what was made for it.
    """

    def __init__(self, state: Path) -> None:
        """
        Nothing is read or made yet.
        """
        self._state = state
        self._path = state / NOTES_FILE

    def read(self) -> dict[str, Any]:
        """
        Everything noted; empty when there is nothing.
        """
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def add(self, **changes: object) -> None:
        """
        Note something, or note it anew.
        """
        self._state.mkdir(exist_ok=True)
        text = json.dumps({**self.read(), **changes}, indent=1, sort_keys=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(text + "\n")
        partial.replace(self._path)

    def forget(self) -> None:
        """
        Remove the notes and Vagrant's own with them.
        """
        shutil.rmtree(self._state, ignore_errors=True)
