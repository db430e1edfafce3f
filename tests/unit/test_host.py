"""
The host side: locking, packages, placement, and the choice of a machine.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from experiments.errors import INTERRUPTED_STATUS, DeployError, HostError, LockedError
from experiments.host.cli import COMMANDS, become_root, main, name_what_has_no_report
from experiments.host.measure import carry_out
from experiments.lab import bootstrap, userland
from experiments.lab.cgroups import ControlGroup, Hierarchy, parse_cpu_list
from experiments.lab.lab import remove_stale_groups
from experiments.lab.placement import choose_placement, prove_placement
from experiments.machines import libvirt
from experiments.machines.host_packages import Need, ensure
from experiments.machines.kernel_modules import load_bridge_netfilter
from experiments.machines.local import LocalMachine, make_cache
from experiments.machines.lock import RunLock, is_free
from experiments.machines.vagrant_vm import VagrantMachine
from experiments.paths import PROJECT
from experiments.processes import STOP_SIGNALS, Process, ask_to_stop, handle_stops, interrupt
from experiments.records.files import REPORT
from experiments.records.manifest import FAILED, INTERRUPTED, RUNNING
from experiments.records.store import read_manifest, write_manifest
from tests.unit.samples import manifest

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.declare.stack import Stack
    from experiments.machines.remote import Remote


def test_a_second_run_is_refused_and_the_holder_named(tmp_path: Path) -> None:
    """
    With its process id, so that it can be found.
    """
    lock = tmp_path / "lock"
    with RunLock(lock), pytest.raises(LockedError, match=f"process {os.getpid()} \\("):
        RunLock(lock).__enter__()
    with RunLock(lock):
        pass


def test_the_lock_of_a_dead_holder_is_free(tmp_path: Path) -> None:
    """
    The kernel frees it, also after a kill.
    """
    lock = tmp_path / "lock"
    code = (
        "import os, sys; from pathlib import Path; from experiments.machines.lock import RunLock; "
    )
    code += "RunLock(Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, str(lock)], check=False)
    assert done.returncode == -9
    with RunLock(lock):
        pass


def test_a_lock_that_a_keeper_holds_on_to_is_not_free(tmp_path: Path) -> None:
    """
    The process of the run was killed, and its lab is still being taken down.
    """
    lock = tmp_path / "lock"
    assert is_free(lock)
    code = (
        "import os, subprocess, sys; from pathlib import Path; "
        "from experiments.machines.lock import RunLock; "
        "lock = RunLock(Path(sys.argv[1])); lock.__enter__(); "
        "keeper = subprocess.Popen(['sleep', '60'], pass_fds=RunLock.held, stdout=2); "
        "print(os.getpid(), keeper.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(lock)], check=False, stdout=subprocess.PIPE, text=True
    )
    holder, keeper = map(int, done.stdout.split())
    try:
        assert not is_free(lock)
        with pytest.raises(LockedError, match=f"process {holder} was killed .* taken down"):
            RunLock(lock).__enter__()
    finally:
        os.kill(keeper, signal.SIGKILL)
    wait_until_free(lock)
    with RunLock(lock):
        assert not is_free(lock)


def wait_until_free(lock: Path) -> None:
    """
    Wait until the kernel has released a lock.
    """
    deadline = time.monotonic() + 10
    while not is_free(lock):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_holder_of_a_lock_is_not_whoever_has_its_process_id_now(tmp_path: Path) -> None:
    """
    The start of the process tells them apart.
    """
    lock = tmp_path / "lock"
    own = Process.of(os.getpid())
    with lock.open("w") as file:
        file.write(f"{Process(own.pid, own.started - 1)} python3 -m experiments measure\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match=r"was killed \(python3 -m experiments measure\)"):
            RunLock(lock).__enter__()


def test_control_groups_are_removed_only_if_their_own_owner_is_gone(tmp_path: Path) -> None:
    """
    A later process with the owner's id does not keep them.
    """
    own = Process.of(os.getpid())
    owners = {"living": own, "dead": Process(own.pid, own.started - 1)}
    for name, owner in owners.items():
        (tmp_path / name).mkdir()
        note = {"owner": str(owner), "groups": [str(tmp_path / name)]}
        (tmp_path / f"bridgetoll-{name}.json").write_text(json.dumps(note))
    (tmp_path / "bridgetoll-torn.json").write_text('{"owner": "12')
    remove_stale_groups(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridgetoll-living.json", "living"]


def test_a_daemon_that_somebody_else_started_since_is_not_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It is another process than the one in the notes.
    """
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        daemon = Process.of(sleeper.pid)
        monkeypatch.setattr(libvirt, "running", lambda _name: daemon)
        earlier = str(Process(daemon.pid, daemon.started - 1))
        libvirt.stop_daemons(["libvirtd"], {"libvirtd": earlier})
        assert sleeper.poll() is None
        libvirt.stop_daemons(["libvirtd", "libvirtd"], {"libvirtd": str(daemon)})
        assert sleeper.wait(10) == -signal.SIGTERM


def test_the_command_under_sudo_has_the_caller_as_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Because nothing that is sent to the caller reaches the command.
    """
    sudo = tmp_path / "sudo"
    sudo.write_text(f"#!/bin/sh\necho $* >{tmp_path}/words\nexit 7\n")
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = signal.getsignal(signal.SIGINT)
    try:
        assert become_root(["lab", "true"]) == 7
    finally:
        signal.signal(signal.SIGINT, before)
    words = (tmp_path / "words").read_text()
    assert words.endswith(f"-B -m experiments --owner {Process.of(os.getpid())} lab true\n")
    kept = words.partition("--preserve-env=")[2].split()[0].split(",")
    assert {"BRIDGETOLL_CACHE", "https_proxy", "HTTPS_PROXY", "PIP_INDEX_URL"} <= set(kept)


def test_a_run_without_a_report_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    With the command that makes it.
    """
    name_what_has_no_report(tmp_path)
    assert capsys.readouterr().out == ""
    run = tmp_path / "20260101T000000Z"
    run.mkdir()
    write_manifest(run, manifest())
    name_what_has_no_report(tmp_path)
    assert f"the run {run} has no report; `nox -s report -- {run}`" in capsys.readouterr().out
    (run / REPORT).write_text("")
    name_what_has_no_report(tmp_path)
    assert capsys.readouterr().out == ""


class Interrupted(LocalMachine):
    """
    A machine that is asked to stop while it gets the plan.
    """

    def push(self, _run: Path) -> None:
        """
        Be interrupted.
        """
        raise KeyboardInterrupt


class StoppedAtItsEnd(LocalMachine):
    """
    A machine whose runner was killed, and that is asked to stop when its results are fetched.
    """

    def execute(self, _run: Path, _stack: Stack | None = None) -> int:
        """
        Say that it was killed.
        """
        return 137

    def pull(self, _run: Path) -> None:
        """
        Be asked to stop.
        """
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [(Interrupted, INTERRUPTED_STATUS, INTERRUPTED), (StoppedAtItsEnd, 137, FAILED)],
)
def test_a_run_that_is_stopped_before_or_after_the_lab_says_so(
    tmp_path: Path, kind: type[LocalMachine], status: int, state: str
) -> None:
    """
    Its manifest is not that of a run that goes on.
    """
    planned = dataclasses.replace(manifest(), state=RUNNING)
    write_manifest(tmp_path, planned)
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    handle_stops(interrupt)
    try:
        assert carry_out(kind(tmp_path), tmp_path, planned) == status
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert read_manifest(tmp_path).state == state


class Patient:
    """
    A VM whose side of a run goes on until its standard input ends.
    """

    def command(self, _arguments: list[str]) -> list[str]:
        """
        What stands for ssh.
        """
        return ["sh", "-c", f"cat; exit {INTERRUPTED_STATUS}"]


def test_a_request_to_stop_ends_the_vm_s_side(tmp_path: Path) -> None:
    """
    Whoever asks: the user, or this process itself because its owner is gone.
    """
    machine = VagrantMachine(tmp_path, "", "kvm")
    machine._remote = cast("Remote", Patient())
    asking = threading.Timer(0.5, ask_to_stop)
    asking.start()
    assert machine.execute(tmp_path) == INTERRUPTED_STATUS
    asking.join()


def test_a_missing_package_is_named_where_it_cannot_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Without apt-get, or without root.
    """
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(HostError, match=r"lacks: mmdebstrap \(to build\). Install mmdebstrap"):
        ensure([Need("no-such-command", "mmdebstrap", "to build")])


def test_a_package_that_cannot_be_fetched_is_told_with_the_first_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without lists of packages, a package that is not found is the failed update's fault.
    """
    apt = tmp_path / "apt-get"
    apt.write_text(
        "#!/bin/sh\n[ $1 = update ] && echo 'E: cannot connect to proxy:9' >&2 && exit 100\n"
        "echo 'E: Unable to locate package mmdebstrap'; exit 100\n"
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(
        HostError, match=r"(?s)proxy:9.*locate package.*\nInstall mmdebstrap and try again$"
    ):
        ensure([Need("no-such-command", "mmdebstrap", "to build")], say=lambda _: None)


@pytest.mark.parametrize("place", ["file", "file/below", "full"])
def test_a_cache_that_cannot_be_written_is_named_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """
    With the reason, and with the setting that names another place.
    """
    (tmp_path / "file").write_text("")
    if place == "full":

        def full(**_options: object) -> NoReturn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a-random-name")

        monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(HostError) as raised:
        make_cache(tmp_path / place)
    words = str(raised.value)
    assert words.startswith(f"the cache {tmp_path}/{place} cannot be written: ")
    assert ("a file is where a folder should be" in words) == (place != "full")
    assert "MB free" in words or place != "full"
    assert "BRIDGETOLL_CACHE names another folder" in words


def test_an_error_of_the_machine_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    With the file; any other error of the system is a fault of the project, and has one.
    """
    number = errno.EROFS

    def fail(_arguments: object) -> NoReturn:
        raise OSError(number, os.strerror(number), "/a/file")

    monkeypatch.setitem(COMMANDS, "lab", fail)
    assert main(["lab"]) == 1
    assert capsys.readouterr().err == "error: /a/file: Read-only file system\n"
    number = errno.EBADF
    with pytest.raises(OSError, match="Bad file descriptor"):
        main(["lab"])


def test_an_interpreter_without_the_packages_is_told_who_installs_them() -> None:
    """
    With its own path and the first package.
    """
    # Without the site there are none.
    command = [sys.executable, "-S", "-m", "experiments"]
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"error: {sys.executable} has no module m" in done.stderr
    assert "run this by nox" in done.stderr


def test_nox_on_too_old_an_interpreter_says_so() -> None:
    """
    Before anything is imported that this cannot.
    """
    code = (
        "import nox, runpy, sys; sys.version_info = (3, 10); sys.version = '3.10.1 (old)'; "
        "runpy.run_path('noxfile.py')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: nox runs on Python 3.10.1, and this needs 3.11 or later")


def test_nothing_is_installed_when_nothing_is_missing() -> None:
    """
    And nothing is said.
    """
    ensure([Need("sh", "dash", "to run")], say=pytest.fail)


def test_too_little_disk_is_found_before_building(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The error says how much there is, how much is needed, and what to do.
    """
    monkeypatch.setattr(userland, "NEEDED_BYTES", 10**18)
    with pytest.raises(
        HostError, match=r"GB free and building the userland needs .* GB; free some"
    ):
        userland.build(tmp_path)
    assert list((tmp_path / "userland").iterdir()) == []


def test_a_half_built_userland_is_not_found(tmp_path: Path) -> None:
    """
    Only the marker, which is written last, makes it whole.
    """
    assert userland.find(tmp_path) is None
    (tmp_path / "userland" / f"{userland.digest_of('')}.partial").mkdir(parents=True)
    assert userland.find(tmp_path) is None
    (tmp_path / "userland" / userland.digest_of("")).mkdir()
    assert userland.find(tmp_path) is None


def test_the_digest_covers_the_mirror_and_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Another input is another userland.
    """
    plain = userland.digest_of("")
    assert userland.digest_of("") == plain
    assert userland.digest_of("http://mirror.example/20260101") != plain
    monkeypatch.setattr(bootstrap, "package_names", lambda _text: ["python3"])
    assert userland.digest_of("") != plain


def test_package_lists_have_comments() -> None:
    """
    Blank lines and what follows a ``#`` do not count.
    """
    assert bootstrap.package_names("# all\n\npython3  # the interpreter\ntini\n") == [
        "python3",
        "tini",
    ]


def test_client_and_stack_are_apart_where_there_are_two_cpus() -> None:
    """
    And share the only one where there is one.
    """
    two = choose_placement({3, 1})
    assert (set(two.client), set(two.stack), two.apart) == ({1}, {3}, True)
    one = choose_placement({0})
    assert (set(one.client), set(one.stack), one.apart) == ({0}, {0}, False)
    assert choose_placement(set(range(4))).stack == {1, 2, 3}


def test_cpu_lists_are_read_as_the_kernel_prints_them() -> None:
    """
    Ranges and single numbers.
    """
    assert parse_cpu_list("0-2,5\n") == {0, 1, 2, 5}
    assert parse_cpu_list("\n") == set()


def test_a_process_outside_of_its_cpus_is_found(tmp_path: Path) -> None:
    """
    This process may run somewhere, and not on a CPU that does not exist.
    """
    group = tmp_path / "stack" / "gateway"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text(f"{os.getpid()}\n")
    stack = ControlGroup("stack", [Hierarchy(1, tmp_path, tmp_path, ("cpuset",))])
    assert prove_placement(stack, frozenset(os.sched_getaffinity(0))) == 1
    with pytest.raises(DeployError, match=rf"process {os.getpid()} .* stay on \[4096\]"):
        prove_placement(stack, frozenset({4096}))
    (group / "cgroup.procs").write_text("")
    with pytest.raises(DeployError, match="no process is in"):
        prove_placement(stack, frozenset({0}))


def test_br_netfilter_is_loaded_and_kept_off_the_host_s_own_bridges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As dockerd would load it; a host that has it, or has no modules, is left as it is.
    """
    settings = tmp_path / "bridge"
    called = tmp_path / "called"
    modprobe = tmp_path / "modprobe"
    modprobe.write_text(
        f"#!/bin/sh\necho $1 >>{called}\nmkdir {settings}\n"
        f"echo 1 >{settings}/bridge-nf-call-iptables\n"
    )
    modprobe.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said: list[str] = []
    load_bridge_netfilter(said.append, settings)
    load_bridge_netfilter(said.append, settings)
    assert called.read_text() == "br_netfilter\n"
    assert (settings / "bridge-nf-call-iptables").read_text() == "0"
    assert len(said) == 1
    assert "as dockerd does" in said[0]
