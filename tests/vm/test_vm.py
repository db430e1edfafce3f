"""
The life of the VM: built, up, measured in, interrupted, lost, halted, up again, destroyed.

In this order: each test goes on from where the one before it left the VM.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from analysis.__main__ import main as report
from experiments.lab import userland
from experiments.lab.freezer import FREEZING_US
from experiments.machines import box
from experiments.machines.local import cache_directory
from experiments.machines.remote import Remote
from experiments.machines.settings import VM
from experiments.machines.vagrant_vm import STATE
from experiments.machines.vm_runs import RUNS_IN_VM
from experiments.paths import PROJECT
from experiments.processes import Process
from experiments.records.files import latest_run
from experiments.records.manifest import COMPLETE, FAILED, INTERRUPTED
from experiments.records.raw import check_raw
from experiments.records.store import read_manifest, read_trials
from experiments.records.trials import OK
from tests.vm.conftest import COMMAND_TIMEOUT_S, call, command, left_over

LARGEST_BOX_BYTES = 700 * 10**6
TINY = ("--machine", "vagrant", "--requests", "50", "--warmup-requests", "0", "--rounds", "2")


def remote() -> Remote:
    """
    The VM, by ssh.
    """
    return Remote(STATE / "ssh-config", VM.name)


def start(*arguments: str) -> subprocess.Popen[str]:
    """
    A command behind a session, started.
    """
    return subprocess.Popen(
        command(*arguments),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As a terminal has it, whose Ctrl-C goes to everything in the group.
        process_group=0,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """
    What it prints, up to the line that holds the text.
    """
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    pytest.fail(f"it ended without saying {text!r}:\n{seen}")


def test_the_vagrantfile_is_valid_for_both_boxes() -> None:
    """
    With no plugin but libvirt's.
    """
    for public in ("0", "1"):
        environment = {**os.environ, "BRIDGETOLL_PUBLIC": public}
        done = subprocess.run(
            ["vagrant", "validate"],
            cwd=PROJECT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    shutil.rmtree(STATE, ignore_errors=True)


def test_the_box_is_built_once_and_is_small() -> None:
    """
    The second call finds the first one's, with the userland that the host has.
    """
    first = call("box")
    assert first.returncode == 0, first.stdout
    found = box.find(cache_directory())
    assert found is not None
    assert found.file.stat().st_size == found.size_bytes <= LARGEST_BOX_BYTES
    built = userland.find(cache_directory())
    assert built is not None
    assert found.userland_content_sha256 == built.content_sha256
    stamp = found.file.stat().st_mtime_ns
    second = call("box")
    assert "box: " not in second.stdout
    assert found.sha256 in second.stdout
    assert found.file.stat().st_mtime_ns == stamp


def test_a_damaged_box_is_refused_before_anything_is_changed(before: dict[str, object]) -> None:
    """
    With both checksums; the next test needs it whole again.
    """
    found = box.find(cache_directory())
    assert found is not None
    with found.file.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    try:
        done = call("up")
    finally:
        with found.file.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(last)
    assert done.returncode == 1
    assert f"was built with {found.sha256}" in done.stdout
    assert "Traceback" not in done.stdout
    assert left_over() == before


RUNGS = (
    *("netns", "docker", "bridge-beside-dockerd", "bare-pipe", "namespaces", "seccomp", "tiers"),
    *("container-external", "netns-cpus-0.5", "docker-memory-256m"),
)
"""Both systems, and where a stock kernel with modules and pure cgroup v2 is likeliest to differ."""


def test_the_rungs_of_the_ladder_are_measured_inside_the_vm(
    tmp_path: Path, acceleration: str
) -> None:
    """
    Up, push, run, pull: the same userland, the box's checksum, and what it says at the top.

    Limits, primitives, paths and residue where control groups are v2 only and modules come late.
    """
    wanted = ("--variants", ",".join(RUNGS), "--blocks", "1", "--minutes", "30")
    done = call("measure", "--results", str(tmp_path), *TINY, *wanted)
    assert done.returncode == 0, done.stdout
    run = latest_run(tmp_path)
    manifest, trials = read_manifest(run), read_trials(run)
    assert [(trial.variant, trial.error) for trial in trials if trial.error] == []
    # As many side by side as fit; the first is measured twice, as in every run that compares.
    (parts,) = manifest.order
    names = [name for part in parts for name in part]
    assert set(names) == {*RUNGS, f"{RUNGS[0]}-again"}
    assert [trial.variant for trial in trials] == names
    assert all(load.others_ran_us <= FREEZING_US for trial in trials for load in trial.loads)
    assert all(trial.cpu and trial.cpu.parts["gateway"].user_s > 0 for trial in trials)
    assert (run / "raw" / f"001-{trials[0].variant}" / "round-02" / "ab.txt").exists()
    found = box.find(cache_directory())
    assert found is not None
    assert manifest.machine.box is not None
    assert manifest.machine.box.sha256 == found.sha256
    assert manifest.machine.acceleration == acceleration
    assert manifest.userland.content_sha256 == found.userland_content_sha256
    assert manifest.environment.kernel == found.kernel
    assert len(manifest.environment.cpus) == VM.cpus
    assert all(trial.placement.apart and trial.placement.pinned for trial in trials)
    assert report([str(run)]) == 0
    text = (run / "report.md").read_text()
    assert found.sha256 in text
    assert ("**Emulated machine**" in text) == (acceleration == "emulation")
    # What was pulled is not kept twice.
    assert run.name not in remote().output(["ls", RUNS_IN_VM])


def test_a_vm_that_is_up_is_reused() -> None:
    """
    Without asking Vagrant.
    """
    log = (STATE / "vagrant.log").stat().st_size
    done = call("up")
    assert done.returncode == 0, done.stdout
    assert "VM: already running" in done.stdout
    assert (STATE / "vagrant.log").stat().st_size == log


def test_another_checkout_does_not_take_the_vm_s_name(tmp_path: Path) -> None:
    """
    It refuses, and the VM goes on.
    """
    other = tmp_path / "other"
    ignore = shutil.ignore_patterns(".nox", ".vagrant", ".git", "results", "__pycache__", ".*cache")
    shutil.copytree(PROJECT, other, ignore=ignore)
    done = call("up", cwd=other)
    assert done.returncode == 1
    assert f"libvirt already has a domain {VM.name!r}" in done.stdout
    # Asking what was in the way left a log of Vagrant's there, and that is not a VM to destroy.
    done = call("destroy", "--discard", cwd=other)
    assert done.returncode == 0
    assert "this checkout has no VM" in done.stdout
    assert remote().answers()


def test_ctrl_c_stops_the_run_in_the_vm_in_an_orderly_way(tmp_path: Path) -> None:
    """
    What had finished is here, and nothing of it runs on in the VM.
    """
    arguments = ("--variants", "netns", "--blocks", "50", "--workload", "fixed")
    process = start("measure", "--results", str(tmp_path), *TINY, *arguments)
    with process:
        read_until(process, "block 2 ")
        os.killpg(process.pid, signal.SIGINT)
        rest = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
    assert process.returncode == 130, rest
    run = latest_run(tmp_path)
    assert read_manifest(run).state == INTERRUPTED
    assert len(read_trials(run)) >= 1
    remote().output(["flock", "--nonblock", "/run/lock/bridgetoll.lock", "true"])


def test_a_run_in_the_vm_that_loses_its_owner_ends_as_if_interrupted(tmp_path: Path) -> None:
    """
    The host's side stops the VM's side and fetches what had finished.
    """
    arguments = ("--variants", "netns", "--blocks", "50", "--workload", "fixed")
    with subprocess.Popen(["sleep", "infinity"]) as owner:
        own = ("--owner", str(Process.of(owner.pid)))
        process = start(*own, "measure", "--results", str(tmp_path), *TINY, *arguments)
        with process:
            read_until(process, "block 2 ")
            owner.kill()
            rest = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
    assert process.returncode == 130, rest
    run = latest_run(tmp_path)
    assert read_manifest(run).state == INTERRUPTED
    assert len(read_trials(run)) >= 1
    remote().output(["flock", "--nonblock", "/run/lock/bridgetoll.lock", "true"])


def test_a_lost_connection_loses_no_finished_trial(tmp_path: Path) -> None:
    """
    The run ends with an error, the VM's side stops in order, and what had finished is fetched.
    """
    arguments = ("--variants", "netns", "--blocks", "50", "--workload", "fixed")
    process = start("measure", "--results", str(tmp_path), *TINY, *arguments)
    with process:
        read_until(process, "block 2 ")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
        rest = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
    assert process.returncode == 1, rest
    assert "connection to the VM was lost" in rest
    run = latest_run(tmp_path)
    manifest = read_manifest(run)
    assert manifest.state == FAILED
    assert "connection to the VM was lost" in manifest.note
    assert len(read_trials(run)) >= 1
    assert run.name not in remote().output(["ls", RUNS_IN_VM])
    assert report([str(run)]) == 0


def test_a_full_disk_in_the_vm_ends_the_run_and_keeps_what_there_is(tmp_path: Path) -> None:
    """
    By a clear error; the room is given back afterwards.
    """
    arguments = ("--variants", "netns", "--blocks", "50", "--workload", "fixed")
    process = start("measure", "--results", str(tmp_path), *TINY, *arguments)
    filler = "/var/lib/bridgetoll/filler"
    with process:
        read_until(process, "block 2 ")
        # At once where the file system can promise room; the rest is written.
        promise = f"fallocate --length $(df --output=avail -B1 {filler} | tail -n 1) {filler}"
        rest = f"dd if=/dev/zero of={filler} bs=1M oflag=append conv=notrunc 2>/dev/null"
        fill = f"touch {filler}; {promise}; {rest}; sync; exit 0"
        remote().output(["sh", "-c", fill], COMMAND_TIMEOUT_S)
        rest = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
    remote().output(["rm", filler])
    assert process.returncode == 1, rest
    assert "No space left on device" in rest
    assert len(read_trials(latest_run(tmp_path))) >= 1
    call("pull")


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The results folder of the run during which the VM crashes, and which is resumed afterwards.
    """
    return tmp_path_factory.mktemp("crashed")


def test_a_crashed_vm_keeps_its_finished_trials_on_its_disk(crashed: Path) -> None:
    """
    The run ends with an error; the next command starts the VM again and fetches them.
    """
    plan = ("--variants", "netns", "--blocks", "3", "--workload", "fixed", "--minutes", "30")
    process = start("measure", "--results", str(crashed), *TINY, *plan)
    with process:
        read_until(process, "block 2 ")
        subprocess.run(
            ["virsh", "--connect", "qemu:///system", "destroy", VM.name],
            check=True,
            capture_output=True,
        )
        rest = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
    assert process.returncode == 1, rest
    assert "connection to the VM was lost" in rest
    run = latest_run(crashed)
    assert read_trials(run) == []
    assert "`nox -s pull` fetches them" in rest
    assert f"`nox -s measure -- --resume {run}` continues it" in rest
    assert read_manifest(run).state == FAILED
    done = call("pull")
    assert done.returncode == 0, done.stdout
    assert str(run) in done.stdout
    assert len(read_trials(run)) >= 1
    assert read_manifest(run).state == FAILED


def test_a_run_whose_vm_crashed_is_resumed_in_the_vm(crashed: Path) -> None:
    """
    Although it was halted: it is started again, with what was on its disk, and measures the rest.
    """
    remote().output(["touch", "/var/lib/bridgetoll/kept"])
    done = call("halt")
    assert done.returncode == 0, done.stdout
    assert not remote().answers()
    done = call("measure", "--results", str(crashed), "--resume")
    assert done.returncode == 0, done.stdout
    remote().output(["test", "-e", "/var/lib/bridgetoll/kept"])
    run = latest_run(crashed)
    manifest, trials = read_manifest(run), read_trials(run)
    assert manifest.state == COMPLETE
    assert manifest.order == [[["netns"]]] * 3
    assert [(trial.block, trial.status) for trial in trials] == [(1, OK), (2, OK), (3, OK)]
    check_raw(run, trials)
    first, resumed = manifest.sessions
    assert (first.state, resumed.state) == (FAILED, COMPLETE)
    assert first.boot_id != resumed.boot_id
    assert report([str(run)]) == 0
    assert "and a restart of the machine" in (run / "report.md").read_text()
    assert run.name not in remote().output(["ls", RUNS_IN_VM])


def test_destroying_it_leaves_nothing(before: dict[str, object]) -> None:
    """
    No domain, volume, network, key, box, interface or daemon.
    """
    done = call("destroy")
    assert done.returncode == 0, done.stdout
    assert left_over() == before
