"""
The host side: locking, packages, placement, and the choice of a machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from experiments.errors import DeployError, HostError, LockedError
from experiments.lab import bootstrap, userland
from experiments.lab.cgroups import ControlGroup, Hierarchy
from experiments.lab.placement import choose_placement, parse_cpu_list, prove_placement
from experiments.machines.host_packages import Need, ensure
from experiments.machines.kernel_modules import load_bridge_netfilter
from experiments.machines.lock import RunLock

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_missing_package_is_named_where_it_cannot_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Without apt-get, or without root.
    """
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(HostError, match=r"lacks: mmdebstrap \(to build\). Install mmdebstrap"):
        ensure([Need("no-such-command", "mmdebstrap", "to build")])


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
