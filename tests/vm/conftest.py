"""
One VM for all tests, which follow its life in order; afterwards nothing of it is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.machines import libvirt
from experiments.machines.choice import kvm_refusal_of_host
from experiments.machines.host_packages import TO_BUILD, TO_ENTER, ensure
from experiments.machines.local import cache_directory
from experiments.machines.settings import VM
from experiments.machines.vagrant_vm import STATE
from experiments.paths import PROJECT
from experiments.processes import Process, hear_stops

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND_TIMEOUT_S = 1200
ORDERLY_STOP_S = 120


def command(*arguments: str) -> list[str]:
    """
    The command that a session runs.
    """
    own = ("--owner", str(Process.of(os.getpid())))
    return [sys.executable, "-u", "-m", "experiments", *own, *arguments]


def call(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """
    Run a session's command and return its output; an interrupted command may tear down first.
    """
    with subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=COMMAND_TIMEOUT_S)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=ORDERLY_STOP_S)
            raise
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def left_over() -> dict[str, object]:
    """
    Everything that the VM may leave on this host.
    """
    boxes = subprocess.run(["vagrant", "box", "list"], check=True, capture_output=True, text=True)
    # libvirt's own files, which can be read even if its daemons do not run.
    kept = Path("/etc/libvirt")
    return {
        "domains": sorted(path.name for path in (kept / "qemu").glob("*.xml")),
        "pools": sorted(path.name for path in (kept / "storage").glob("*.xml")),
        "networks": sorted(path.name for path in (kept / "qemu" / "networks").glob("*.xml")),
        "emulators": sorted(
            path.parent.name
            for path in Path("/proc").glob("[0-9]*/comm")
            if path.read_text().startswith("qemu-system")
        ),
        "box": VM.box in boxes.stdout,
        "images": Path(VM.storage_path).exists(),
        "notes and keys": STATE.exists(),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "daemons": [
            name
            for name in libvirt.DAEMONS
            if (daemon := libvirt.running(name)) and daemon.is_alive()
        ],
    }


@pytest.fixture(scope="session")
def before() -> dict[str, object]:
    """
    The state of this host before the VM, with the VM's packages installed.
    """
    ensure([*TO_ENTER, *TO_BUILD, *libvirt.TO_RUN_VM, *libvirt.TO_BUILD_BOX])
    found = left_over()
    if STATE.exists():
        pytest.fail("there is a VM of this checkout already; `nox -s destroy` removes it")
    return found


@pytest.fixture(scope="session", autouse=True)
def destroyed(before: dict[str, object]) -> Iterator[None]:
    """
    Destroy the VM at the end, also after an interruption.
    """
    # All stop signals act like Ctrl-C, once, so that the clean-up below runs.
    hear_stops()
    yield
    if left_over() != before:
        done = call("destroy", "--discard")
        assert done.returncode == 0, done.stdout
        assert left_over() == before


@pytest.fixture(scope="session")
def acceleration() -> str:
    """
    The acceleration that this host offers a VM.
    """
    return "emulation" if kvm_refusal_of_host(cache_directory(), "") else "kvm"
