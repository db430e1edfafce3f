"""
The runs in the VM: all of them are pulled, and a run that was lost says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from experiments.errors import HostError
from experiments.machines.vm_runs import ORIGINS_IN_VM, RUNS_IN_VM, VmRuns
from experiments.records.manifest import COMPLETE, FAILED, RUNNING
from experiments.records.store import read_manifest, write_manifest
from tests.unit.samples import manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.machines.remote import Remote


class StubRemote:
    """
    A VM with runs in these states; a state of None stands for a run that cannot be copied.
    """

    def __init__(self, origins: Path, states: dict[str, str | None]) -> None:
        """
        The runs belong to folders below ``origins``.
        """
        self._origins = origins
        self._states = states
        self.commands: list[str] = []

    def output(self, arguments: Sequence[str], _timeout_s: float = 0) -> str:
        """
        The notes of the original folders, or nothing.
        """
        self.commands.append(" ".join(arguments))
        if "grep" not in self.commands[-1]:
            return ""
        return "".join(f"{name}:{self._origins / name}\n" for name in self._states)

    def pull(self, source: str, target: Path) -> None:
        """
        Copy a run, as far as it has a state.
        """
        state = self._states[source.removeprefix(f"{RUNS_IN_VM}/")]
        if state is None:
            msg = "No space left on device"
            raise HostError(msg)
        write_manifest(target, manifest(state))


def test_a_run_that_was_lost_is_failed_after_it_was_pulled(tmp_path: Path) -> None:
    """
    Nothing runs in the VM any more, so a run that is still running has been killed.
    """
    remote = StubRemote(tmp_path, {"one": COMPLETE, "two": RUNNING})
    assert VmRuns(cast("Remote", remote)).pull_all() == [tmp_path / "one", tmp_path / "two"]
    assert read_manifest(tmp_path / "one").state == COMPLETE
    lost = read_manifest(tmp_path / "two")
    assert (lost.state, lost.note) == (FAILED, "the machine was lost during the run")
    assert f"rm -rf {RUNS_IN_VM}/two" in remote.commands


def test_a_run_that_cannot_be_copied_stays_in_the_vm_and_stops_no_other(tmp_path: Path) -> None:
    """
    The error names it after all others have been pulled.
    """
    remote = StubRemote(tmp_path, {"one": None, "two": COMPLETE})
    with pytest.raises(HostError, match=r"^one: No space left on device$"):
        VmRuns(cast("Remote", remote)).pull_all()
    assert read_manifest(tmp_path / "two").state == COMPLETE
    assert f"rm -f {ORIGINS_IN_VM}/one" not in remote.commands
    assert f"rm -f {ORIGINS_IN_VM}/two" in remote.commands
