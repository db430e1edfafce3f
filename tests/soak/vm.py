"""
The same kills in the VM, whose kernel has control groups of v2 alone.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.lab.userland import PYTHON_VERSION, WHEEL_PLATFORMS
from experiments.machines import box
from experiments.machines.choice import vagrant_machine
from experiments.machines.local import cache_directory
from experiments.machines.lock import RunLock
from experiments.machines.remote import PROBE_TIMEOUT_S, Remote
from experiments.machines.settings import VM
from experiments.machines.vagrant_vm import PROJECT_IN_VM, STATE
from experiments.paths import PROJECT

if TYPE_CHECKING:
    import argparse

LOCK = PROJECT / "requirements" / "host.txt"
SOAK_IN_VM = "/var/tmp/bridgetoll-soak"  # noqa: S108 - in the VM, where nobody else is
PACKAGES_IN_VM = "/srv/soak-packages"


def kill_in_vm(options: argparse.Namespace, commit: str, results: Path) -> int:
    """
    Start the VM, unless it is up, and the soak in it; its status. The results are pulled.

    The VM stays up: ``nox -s destroy`` removes it.
    """
    with RunLock():
        vagrant_machine(cache_directory(), "")[0].up()
    remote = Remote(STATE / "ssh-config", VM.name)
    provide_packages(remote)
    remote.output(["rm", "-rf", SOAK_IN_VM])
    own = {
        "BRIDGETOLL_CACHE": box.CACHE_IN_VM,
        "PYTHONPATH": f"{PROJECT_IN_VM}:{PACKAGES_IN_VM}",
        "PYTHONUNBUFFERED": "1",
    }
    settings = [f"{name}={value}" for name, value in own.items()]
    inside = f"{SOAK_IN_VM}/{results.name}"
    command = ["python3", "-m", "tests.soak", "--in-the-vm", "--results", inside]
    command += ["--seed", options.seed or commit, "--kills", str(options.kills)]
    command += ["--variants", options.variants]
    command += ["--minutes", str(options.minutes)] if options.minutes else []
    command += ["--only", *options.only] if options.only else []
    command = remote.command(["env", f"--chdir={PROJECT_IN_VM}", *settings, *command])
    # The soak in the VM stops when its standard input ends.
    with subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.communicate()
            status = process.returncode
    remote.pull(SOAK_IN_VM, results.parent)
    return status


def provide_packages(remote: Remote) -> None:
    """
    Put the packages that a report needs into the VM, unless they are there.
    """
    done = f"{PACKAGES_IN_VM}/{hashlib.sha256(LOCK.read_bytes()).hexdigest()}"
    if run_command(remote.command(["test", "-e", done]), limit_s=PROBE_TIMEOUT_S).ok:
        return
    with tempfile.TemporaryDirectory(prefix="bridgetoll-soak-") as packages:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
        command += ["--no-deps", "--only-binary=:all:", f"--python-version={PYTHON_VERSION}"]
        command += [f"--platform={name}_x86_64" for name in WHEEL_PLATFORMS]
        command += [f"--target={packages}", f"--requirement={LOCK}"]
        subprocess.run(command, check=True)
        remote.push(Path(packages), PACKAGES_IN_VM)
    remote.output(["touch", done])
