"""
The runs in the VM: all of them are pulled, and a run that was lost says so.
"""

from __future__ import annotations

import fcntl
import subprocess
from typing import TYPE_CHECKING, cast

import pytest

from experiments.errors import HostError
from experiments.machines import vm_runs
from experiments.machines.vagrant_vm import VagrantMachine
from experiments.machines.vm_notes import VmNotes
from experiments.machines.vm_runs import RUNS_IN_VM, VmRuns
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

    def __init__(self, states: dict[str, str | None]) -> None:
        """
        No command was run yet, and nobody holds the lock.
        """
        self._states = states
        self.commands: list[str] = []
        self.holder = ""

    def output(self, arguments: Sequence[str], _timeout_s: float = 0) -> str:
        """
        The names of the runs, or who holds the lock, or nothing.
        """
        self.commands.append(" ".join(arguments))
        if "flock" in self.commands[-1]:
            return self.holder
        return "\n".join(self._states) if "ls -1" in self.commands[-1] else ""

    def pull(self, source: str, target: Path) -> None:
        """
        Copy a run, as far as it has a state.
        """
        state = self._states[source.removeprefix(f"{RUNS_IN_VM}/")]
        if state is None:
            msg = "No space left on device"
            raise HostError(msg)
        write_manifest(target, manifest(state))


def runs(remote: StubRemote, tmp_path: Path, *names: str) -> VmRuns:
    """
    The runs in a VM, of which these were pushed from folders below ``tmp_path``.
    """
    notes = VmNotes(tmp_path / "state")
    notes.add(runs={name: str(tmp_path / name) for name in names})
    return VmRuns(cast("Remote", remote), notes)


def test_a_run_that_was_lost_is_failed_after_it_was_pulled(tmp_path: Path) -> None:
    """
    Nothing runs in the VM any more, so a run that is still running has been killed.
    """
    remote = StubRemote({"one": COMPLETE, "two": RUNNING})
    found = runs(remote, tmp_path, "one", "two").pull_all()
    assert found == [tmp_path / "one", tmp_path / "two"]
    assert read_manifest(tmp_path / "one").state == COMPLETE
    lost = read_manifest(tmp_path / "two")
    assert (lost.state, lost.note) == (FAILED, "the machine was lost during the run")
    assert f"rm -rf {RUNS_IN_VM}/two" in remote.commands


def test_a_run_that_cannot_be_copied_stays_in_the_vm_and_stops_no_other(tmp_path: Path) -> None:
    """
    The error names it after all others have been pulled.
    """
    remote = StubRemote({"one": None, "two": COMPLETE})
    there = runs(remote, tmp_path, "one", "two")
    with pytest.raises(HostError, match=r"^one: No space left on device$"):
        there.pull_all()
    assert read_manifest(tmp_path / "two").state == COMPLETE
    assert list(there.origins()) == ["one"]
    assert f"rm -rf {RUNS_IN_VM}/one" not in remote.commands


def test_the_vm_does_not_decide_where_a_run_is_pulled_to(tmp_path: Path) -> None:
    """
    A run that this host did not push stays where it is, and one that is gone is nothing to pull.
    """
    remote = StubRemote({"one": COMPLETE, "../two": COMPLETE, "three": COMPLETE})
    assert runs(remote, tmp_path, "one", "gone").pull_all() == [tmp_path / "one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "state"]


def test_only_a_run_of_this_folder_is_recovered_from_the_vm(tmp_path: Path) -> None:
    """
    A session that lost the VM left it there; a run of the same name elsewhere is another one.
    """
    remote = StubRemote({"one": RUNNING})
    machine = VagrantMachine(tmp_path, "", "kvm")
    machine._runs = runs(remote, tmp_path, "one")
    for run in (tmp_path / "elsewhere" / "one", tmp_path / "one", tmp_path / "two"):
        run.mkdir(parents=True)
        machine.recover(run)
    assert [path.parent for path in tmp_path.rglob("manifest.json")] == [tmp_path / "one"]
    assert f"rm -rf {RUNS_IN_VM}/one" in remote.commands


def test_a_run_in_the_vm_that_does_not_end_is_named(tmp_path: Path) -> None:
    """
    With the process that holds the lock there, and nothing of it is fetched.
    """
    remote = StubRemote({"one": RUNNING})
    remote.holder = "held by\n7:8 python3 -m experiments.host.guest\n"
    with pytest.raises(HostError, match=r"did not end within 90 s, held by 7:8 python3 .*; try"):
        runs(remote, tmp_path, "one").pull_all()
    assert not (tmp_path / "one").exists()


def test_the_lock_in_the_vm_tells_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The command that asks for it, here without ssh.
    """
    lock = tmp_path / "lock"
    monkeypatch.setattr(vm_runs, "RUN_LOCK", lock)
    monkeypatch.setattr(vm_runs, "ORDERLY_STOP_S", 0)
    remote = StubRemote({})
    runs(remote, tmp_path).pull_all()
    command = ["sh", "-c", remote.commands[0].removeprefix("sh -c ")]
    lock.write_text("7:8 who")

    def said() -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    assert said() == ""
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert said() == "held by\n7:8 who"
