"""
The lab is sealed, and its end takes everything with it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.errors import HostError
from experiments.lab.capabilities import LAB
from experiments.lab.devices import LINKS, NODES
from experiments.lab.lab import Lab
from experiments.lab.mounts import bind
from experiments.processes import first_child
from tests.lab.conftest import residue, settled

if TYPE_CHECKING:
    from experiments.lab.userland import Userland

BUSY = """
ip netns add inner
ip link add veth0 type veth peer name veth1
ip link set veth1 netns inner
mount -t tmpfs tmpfs /mnt
mkdir /sys/fs/cgroup/*/made 2>/dev/null || mkdir /sys/fs/cgroup/made
setsid sleep 1000 &
sh -c 'trap "" TERM INT HUP; sleep 1000' &
echo busy >/srv/out/busy
exec sleep 1000
"""
"""Makes one of everything that could be left behind."""


def output(built: Userland, tmp_path: Path, command: str) -> str:
    """
    What a shell command prints inside the lab.
    """
    file = tmp_path / "output"
    with (
        file.open("wb") as out,
        Lab(built.root, tmp_path / "labs", ["sh", "-euc", command], stdout=out) as lab,
    ):
        assert lab.wait(60) == 0
    return file.read_text()


def wait_for(path: Path) -> None:
    """
    Wait until a file is there.
    """
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def test_there_is_no_interface_but_loopback_and_no_route(built: Userland, tmp_path: Path) -> None:
    """
    No way out, neither by IPv4 nor by IPv6.
    """
    links = output(
        built, tmp_path, "ip -brief link; echo routes; ip route; ip -6 route show default"
    )
    assert links.split("\n")[0].startswith("lo ")
    assert links.split("\n")[1:] == ["routes", ""]
    code = "import socket; socket.create_connection(('198.51.100.1', 80), 2)"
    text = output(built, tmp_path, f'python3 -c "{code}" 2>&1 || true')
    assert "Network is unreachable" in text


def test_its_root_is_the_userland_and_processes_see_only_themselves(
    built: Userland, tmp_path: Path
) -> None:
    """
    The host's files and processes are not there.
    """
    text = output(
        built, tmp_path, "cat /etc/hostname; ls /proc | grep -c '^[0-9]'; cat /proc/1/comm"
    )
    hostname, processes, first = text.split()
    assert (hostname, first) == ("bridgetoll", "tini")
    assert int(processes) < 8
    assert output(built, tmp_path, f"test -e {Path(__file__)} || echo absent") == "absent\n"


def test_it_is_the_same_whatever_the_caller_s_paths_and_mask(
    built: Userland, tmp_path: Path
) -> None:
    """
    What has a meaning in options of mount, or in a shell, has none in a path.
    """
    odd = tmp_path / "a:b,c d'$e"
    odd.mkdir()
    (odd / "root").symlink_to(built.root)
    before = os.umask(0o077)
    try:
        with (
            (odd / "output").open("wb") as out,
            Lab(odd / "root", odd / "labs", ["sh", "-c", "umask; ls /dev/null"], stdout=out) as lab,
        ):
            assert lab.wait(30) == 0
    finally:
        os.umask(before)
    assert (odd / "output").read_text() == "0022\n/dev/null\n"


REACHING = ("sys_module", "sys_rawio", "sys_boot", "sys_time", "syslog", "dac_read_search", "bpf")


def test_its_devices_are_its_own_and_its_capabilities_are_few(
    built: Userland, tmp_path: Path
) -> None:
    """
    No disk, no memory, no kernel log; a changed mode of a device is not the machine's.
    """
    before = Path("/dev/null").stat().st_mode
    text = output(built, tmp_path, "chmod 600 /dev/null; ls /dev; echo; setpriv --dump")
    listed, _, dumped = text.partition("\n\n")
    assert set(listed.split()) == {*NODES, *LINKS, "pts", "shm", "mqueue"}
    bounding = dumped.partition("Capability bounding set: ")[2].splitlines()[0].split(",")
    assert set(bounding) <= set(LAB)
    assert "sys_admin" in bounding
    assert not set(bounding) & set(REACHING)
    assert Path("/dev/null").stat().st_mode == before


def test_writing_in_it_leaves_the_userland_as_it_was(built: Userland, tmp_path: Path) -> None:
    """
    Its root is a throw-away layer over the userland.
    """
    output(built, tmp_path, "echo dirt >/etc/dirt; rm /usr/bin/python3; echo x >/etc/hostname")
    assert not (built.root / "etc/dirt").exists()
    assert (built.root / "usr/bin/python3").is_symlink()
    assert output(built, tmp_path, "cat /etc/hostname; python3 -c 'print(1)'") == "bridgetoll\n1\n"


def test_a_mount_is_read_only_unless_it_is_said_to_be_writable(
    built: Userland, tmp_path: Path
) -> None:
    """
    Only the run's folder is written to.
    """
    (tmp_path / "shared").mkdir()
    for writable, status in ((False, 1), (True, 0)):
        with Lab(
            built.root,
            tmp_path / "labs",
            ["sh", "-c", "echo x >/srv/out/file"],
            mounts=[bind(tmp_path / "shared", "/srv/out", writable=writable)],
            stderr=subprocess.DEVNULL,
        ) as lab:
            assert bool(lab.wait(30)) == bool(status)
    assert (tmp_path / "shared/file").read_text() == "x\n"


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
)
def test_killing_its_first_process_leaves_nothing_behind(
    built: Userland, tmp_path: Path, number: signal.Signals
) -> None:
    """
    By any signal: no process, mount, namespace, interface or control group.

    Signals that were ignored where the lab was entered are heard in it.
    """
    before = residue()
    with Lab(
        built.root,
        tmp_path / "labs",
        ["sh", "-c", BUSY],
        mounts=[bind(tmp_path, "/srv/out", writable=True)],
    ) as lab:
        wait_for(tmp_path / "busy")
        during = residue()
        assert during["groups"] != before["groups"]
        assert during["namespaces"] != before["namespaces"]
        assert during["mounts"] == before["mounts"]
        os.kill(lab.first_process(), number)
        assert lab.wait(30) != 0
    assert settled(before) == before
    assert list((tmp_path / "labs").iterdir()) == []


def test_leaving_the_context_ends_a_lab_that_still_runs(built: Userland, tmp_path: Path) -> None:
    """
    Nothing goes on by itself.
    """
    before = residue()
    with Lab(
        built.root,
        tmp_path / "labs",
        ["sh", "-c", BUSY],
        mounts=[bind(tmp_path, "/srv/out", writable=True)],
    ):
        wait_for(tmp_path / "busy")
    assert settled(before) == before


OWNER = """
from pathlib import Path
from experiments.lab.lab import Lab
from experiments.lab.mounts import bind
here = Path({here!r})
with Lab(Path({root!r}), here / "labs", ["sh", "-c", {busy!r}],
         mounts=[bind(here, "/srv/out", writable=True)]) as lab:
    lab.wait()
"""
"""Code of a process that enters a lab."""


@pytest.mark.parametrize("with_keeper", [False, True])
def test_killing_its_owner_ends_it_and_nothing_is_left(
    built: Userland, tmp_path: Path, *, with_keeper: bool
) -> None:
    """
    Its keeper removes the control groups; without one, the next lab does, from a note.
    """
    before = residue()
    code = OWNER.format(here=str(tmp_path), root=str(built.root), busy=BUSY)
    with subprocess.Popen([sys.executable, "-c", code]) as owner:
        wait_for(tmp_path / "busy")
        keeper = first_child(owner.pid)
        if not with_keeper:
            os.kill(keeper, signal.SIGSTOP)
        owner.kill()
        if not with_keeper:
            os.kill(keeper, signal.SIGKILL)
    if not with_keeper:
        deadline = time.monotonic() + 10
        while residue()["namespaces"] != before["namespaces"] and time.monotonic() < deadline:
            time.sleep(0.05)
        after = residue()
        assert {**after, "groups": None} == {**before, "groups": None}
        assert after["groups"] != before["groups"]
        output(built, tmp_path, "true")
    assert settled(before) == before
    assert list((tmp_path / "labs").iterdir()) == []


def test_its_keeper_leaves_nothing_to_an_owner_that_may_be_killed_next(
    built: Userland, tmp_path: Path
) -> None:
    """
    The control groups are gone when the keeper is, although the owner stands still.
    """
    before = residue()
    code = OWNER.format(here=str(tmp_path), root=str(built.root), busy=BUSY)
    with subprocess.Popen([sys.executable, "-c", code]) as owner:
        wait_for(tmp_path / "busy")
        keeper = first_child(owner.pid)
        ending = os.pidfd_open(keeper)
        os.kill(owner.pid, signal.SIGSTOP)
        try:
            # The lab's first process is beyond the one that made the PID namespace.
            os.kill(first_child(first_child(keeper)), signal.SIGKILL)
            assert select.select([ending], [], [], 30)[0]
            assert residue()["groups"] == before["groups"]
            assert list((tmp_path / "labs").iterdir()) == []
        finally:
            os.close(ending)
            owner.kill()
    assert settled(before) == before


def test_a_lab_that_cannot_be_entered_says_so_and_leaves_nothing(
    built: Userland, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    With the failing program's own words above.
    """
    before = residue()
    missing = bind(tmp_path / "not-there", "/srv/x")
    with pytest.raises(HostError, match="cannot enter the lab"):
        Lab(built.root, tmp_path / "labs", ["true"], mounts=[missing]).__enter__()
    assert "not-there" in capfd.readouterr().err
    assert settled(before) == before


def test_the_status_of_the_command_is_the_lab_s(built: Userland, tmp_path: Path) -> None:
    """
    Also when the command is not there at all.
    """
    for command, status in ((["sh", "-c", "exit 7"], 7), (["no-such-command"], 127)):
        with Lab(built.root, tmp_path / "labs", command, stderr=subprocess.DEVNULL) as lab:
            assert lab.wait(30) == status
