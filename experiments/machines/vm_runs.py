"""
The runs in the VM: pushed there with their plan, and pulled back with their results.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import HostError
from experiments.machines.lock import RUN_LOCK
from experiments.records.manifest import FAILED, RUNNING
from experiments.records.store import read_manifest, write_manifest

if TYPE_CHECKING:
    from experiments.machines.remote import Remote
    from experiments.machines.vm_notes import VmNotes

RUNS_IN_VM = "/var/lib/bridgetoll/runs"

HELD = 75
"""The status of a command that waits for the lock of a run that does not end."""

ORDERLY_STOP_S = 90
"""The time that the VM's side of a run may take to stop after the host's side has ended."""


class VmRuns:
    """
    The folders of runs in the VM, and notes of the host's folders that they belong to.

    The notes are the host's: what the VM says decides nowhere where the host writes.
    """

    def __init__(self, remote: Remote, notes: VmNotes) -> None:
        """
        Nothing is copied yet.
        """
        self._remote = remote
        self._notes = notes

    def push(self, run: Path) -> None:
        """
        Copy a run's folder into the VM.
        """
        self._remote.push(run, folder(run.name))
        self._remote.output(["sync"])
        self._notes.add(runs={**self._noted(), run.name: str(run.resolve())})

    def pull(self, name: str, target: Path) -> None:
        """
        Copy a run to the host after its end, and remove it from the VM.
        """
        self._await_end()
        self._fetch(name, target)

    def pull_all(self) -> list[Path]:
        """
        Copy every run to its original folder, and remove it from the VM; return the folders.

        Raises HostError, after all other runs, if a run cannot be copied.
        """
        self._await_end()
        pulled, problems = [], []
        for name, target in self.origins().items():
            try:
                target.mkdir(parents=True, exist_ok=True)
                self._fetch(name, target)
                manifest = read_manifest(target)
            except (HostError, OSError) as error:
                problems.append(f"{name}: {error}")
                continue
            if manifest.state == RUNNING:
                note = "the machine was lost during the run"
                write_manifest(target, manifest.ended(FAILED, note, manifest.finished_at))
            pulled.append(target)
        if problems:
            raise HostError("\n".join(problems))
        return pulled

    def origins(self) -> dict[str, Path]:
        """
        The runs that are still in the VM, with their original folders.
        """
        show = f"ls -1 {RUNS_IN_VM} 2>/dev/null || true"
        there = self._remote.output(["sh", "-c", show]).splitlines()
        return {name: Path(origin) for name, origin in self._noted().items() if name in there}

    def _noted(self) -> dict[str, str]:
        noted: dict[str, str] = self._notes.read().get("runs", {})
        return noted

    def _await_end(self) -> None:
        """
        Wait until the VM's side of a run has ended; the host's side has ended before.

        Raises HostError if that takes longer than ORDERLY_STOP_S.
        """
        take = f"flock --conflict-exit-code {HELD} --timeout {ORDERLY_STOP_S} {RUN_LOCK} true"
        shell = f"{take} || {{ [ $? = {HELD} ] && echo held by && cat {RUN_LOCK}; }}"
        said = self._remote.output(["sh", "-c", shell], ORDERLY_STOP_S + 30)
        if said:
            msg = (
                f"a run in the VM did not end within {ORDERLY_STOP_S} s, {' '.join(said.split())}; "
                "try again in a minute"
            )
            raise HostError(msg)

    def _fetch(self, name: str, target: Path) -> None:
        self._remote.pull(folder(name), target)
        # The note comes last: a run without a note would be forgotten.
        self._remote.output(["rm", "-rf", folder(name)])
        self._notes.add(runs={each: at for each, at in self._noted().items() if each != name})


def folder(name: str) -> str:
    """
    The folder of a run in the VM.
    """
    return f"{RUNS_IN_VM}/{name}"
