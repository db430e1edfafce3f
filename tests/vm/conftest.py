"""
One VM for all of these tests, which go through its life in their order, and nothing left after it.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND_TIMEOUT_S = 1200
ORDERLY_STOP_S = 120


def command(*arguments: str) -> list[str]:
    """
    A command behind a session.
    """
    return [sys.executable, "-u", "-m", "experiments", *arguments]


def call(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """
    Run a command behind a session; what it printed. When interrupted, it may end in its own time.
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
    Everything on this host that the VM may bring.
    """
    boxes = subprocess.run(["vagrant", "box", "list"], check=True, capture_output=True, text=True)
    # Where libvirt keeps its descriptions, which is there to see when its daemons are not.
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
            if (pid := libvirt.running(name)) and Path(f"/proc/{pid}").exists()
        ],
    }


@pytest.fixture(scope="session")
def before() -> dict[str, object]:
    """
    What was on this host before the VM; the packages that the VM needs are installed first.
    """
    ensure([*TO_ENTER, *TO_BUILD, *libvirt.TO_RUN_VM, *libvirt.TO_BUILD_BOX])
    found = left_over()
    if STATE.exists():
        pytest.fail("there is a VM of this checkout already; `nox -s destroy` removes it")
    return found


@pytest.fixture(scope="session", autouse=True)
def destroyed(before: dict[str, object]) -> Iterator[None]:
    """
    Whatever happens, also when interrupted, the VM is gone at the end.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C does, so that what follows is still done.
        signal.signal(number, signal.default_int_handler)
    yield
    if left_over() != before:
        done = call("destroy", "--discard")
        assert done.returncode == 0, done.stdout
        assert left_over() == before


@pytest.fixture(scope="session")
def acceleration() -> str:
    """
    What this host can give a VM.
    """
    return "emulation" if kvm_refusal_of_host(cache_directory(), "") else "kvm"
