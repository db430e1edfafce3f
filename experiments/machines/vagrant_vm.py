"""
The identical VM, by Vagrant: the project's own box, the same code and the same lab inside.

Vagrant is slow to start, so it is asked only for what changes the VM; its ssh configuration is
taken once and everything else goes by ssh and rsync.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import HostError
from experiments.machines import box, libvirt
from experiments.machines.host_packages import TO_ENTER, ensure
from experiments.machines.local import STOP_SIGNALS, STOPPING
from experiments.machines.lock import RUN_LOCK
from experiments.machines.remote import CONNECTION_FAILED, Remote
from experiments.machines.settings import VM
from experiments.machines.vagrant_client import VagrantClient
from experiments.machines.vm_needs import (
    find_or_build_box,
    refuse_damaged,
    refuse_too_little_disk,
    refuse_too_little_memory,
)
from experiments.machines.vm_notes import VmNotes
from experiments.paths import PROJECT
from experiments.records.manifest import FAILED, RUNNING, Box, Host, MachineRecord, UserlandRecord
from experiments.records.store import read_manifest, write_manifest

if TYPE_CHECKING:
    from types import FrameType


KVM, EMULATION = "kvm", "emulation"
DRIVERS = {KVM: "kvm", EMULATION: "qemu"}
"""libvirt's driver for each kind of acceleration."""

PLUGIN = "vagrant-libvirt"
STATE = PROJECT / ".vagrant"
"""Vagrant's own folder in the checkout; what is noted here is beside what Vagrant notes."""

PROJECT_IN_VM = "/srv/bridgetoll"
RUNS_IN_VM = "/var/lib/bridgetoll/runs"
ORIGINS_IN_VM = "/var/lib/bridgetoll/origins"

ORDERLY_STOP_S = 90
"""How long the VM's side of a run may take to stop after the host's side has ended."""


class VagrantMachine:
    """
    The VM; see ``experiments.machines.Machine``.
    """

    name = "vagrant"

    def __init__(self, cache: Path, mirror: str, acceleration: str) -> None:
        """
        Nothing is looked at or changed yet.

        ``acceleration``, ``kvm`` or ``emulation``, is for a VM that is made; one that is there
        keeps its own.
        """
        self._cache = cache
        self._mirror = mirror
        self._acceleration = acceleration
        self._notes = VmNotes(STATE)
        self._remote = Remote(STATE / "ssh-config", VM.name)

    def up(self) -> None:
        """
        Start the VM, making it first where need be; one that is up already is reused.

        Raises HostError for whatever is missing or in the way, before anything is changed where
        that can be told.
        """
        self._refuse_outdated()
        if self._notes.read().get("box") and self._remote.answers():
            print("VM: up already", flush=True)
        else:
            refuse_too_little_memory()
            if self._own_domain_id() is None:
                refuse_too_little_disk()
            if found := box.find(self._cache, self._mirror):
                refuse_damaged(found)
            ensure([*libvirt.TO_RUN_VM, *TO_ENTER])
            self._start_daemons()
            self._refuse_what_is_in_the_way()
            if libvirt.domain_id() is None:
                self._make()
            else:
                self._start()
        keep_out = ["--filter=:- .gitignore", "--exclude=/.git"]
        self._remote.push(PROJECT, PROJECT_IN_VM, keep_out)

    def _refuse_outdated(self) -> None:
        """
        Raises HostError when there is a VM of ours, made from another box than the checkout's.
        """
        made_from = self._notes.read().get("box")
        digest = box.digest_of(self._mirror)
        if self._own_domain_id() and (made_from is None or made_from["digest"] != digest):
            version = made_from["version"] if made_from else "another"
            msg = (
                f"the VM was made from box {version}, and this checkout needs "
                f"{box.version_of(digest)}; `nox -s destroy` removes the old one (`nox -s pull` "
                "fetches what is still in it first)"
            )
            raise HostError(msg)

    def _start_daemons(self) -> None:
        def note(name: str) -> None:
            self._notes.add(daemons=[*self._notes.read().get("daemons", []), name])

        libvirt.start_daemons(note, with_kvm=self._acceleration == KVM)

    def _refuse_what_is_in_the_way(self) -> None:
        """
        Raises HostError for a missing plugin, a taken name, or a pool that is somebody else's.
        """
        if PLUGIN not in self._client().plugins():
            msg = f"Vagrant has no plugin {PLUGIN}; install Debian's package of that name"
            raise HostError(msg)
        self._refuse_foreign_domain()
        libvirt.refuse_foreign_pool(noted=bool(self._notes.read().get("pool")))

    def _refuse_foreign_domain(self) -> None:
        there = libvirt.domain_id()
        if there not in {None, self._own_domain_id()}:
            msg = (
                f"libvirt has a domain {VM.name!r} already, which this checkout did not make "
                f"(UUID {there}); rename it, or give another name in experiments/machines/vm.json"
            )
            raise HostError(msg)

    def _own_domain_id(self) -> str | None:
        noted = STATE / "machines" / VM.name / "libvirt" / "id"
        return noted.read_text().strip() if noted.exists() else None

    def _make(self) -> None:
        """
        Make the VM from its box, which is built first where need be.
        """
        whole = find_or_build_box(self._cache, self._mirror)
        refuse_damaged(whole)
        if self._acceleration == KVM:
            # Before there was a box there may have been no kernel to try KVM with.
            refusal = libvirt.kvm_refusal(whole.directory / box.KERNEL_FILE)
            if refusal:
                print(f"VM: emulated after all, because {refusal}", flush=True)
                self._acceleration = EMULATION
        made_from = {
            "name": VM.box,
            "digest": whole.digest,
            "version": whole.version,
            "sha256": whole.sha256,
        }
        self._notes.add(
            box=made_from,
            acceleration=self._acceleration,
            image=str(libvirt.image_path(whole.version)),
            network=not libvirt.has_network() or bool(self._notes.read().get("network")),
        )
        self._client().add_box(whole.catalog)
        self._notes.add(pool=True)
        libvirt.make_pool()
        libvirt.provide_image(whole.file, whole.version)
        self._start()

    def _start(self) -> None:
        client = self._client()
        kind = "with KVM" if self._noted_acceleration() == KVM else "emulated, which takes minutes"
        print(f"VM: starting ({kind})", flush=True)
        client.up()
        self._remote.config.write_text(client.ssh_config())
        if not self._remote.answers():
            msg = f"the VM is up but does not answer by ssh; its console: `virsh console {VM.name}`"
            raise HostError(msg)

    def _noted_acceleration(self) -> str:
        return str(self._notes.read().get("acceleration", self._acceleration))

    def _client(self) -> VagrantClient:
        version = self._notes.read().get("box", {}).get("version", "")
        return VagrantClient(STATE, DRIVERS[self._noted_acceleration()], version)

    def facts(self) -> tuple[MachineRecord, UserlandRecord]:
        """
        The box, the hypervisor, the host below, and the userland as the VM itself sees it.
        """
        notes = self._notes.read()
        seen = json.loads(self._remote.output(self._command("facts")))
        machine = MachineRecord(
            name=self.name,
            provider="libvirt",
            hypervisor=libvirt.hypervisor(),
            acceleration=notes["acceleration"],
            box=Box(**notes["box"]),
            host=Host(platform.release(), cpu_model()),
        )
        return machine, UserlandRecord(**seen)

    def push(self, run: Path) -> None:
        """
        Push the run's folder with its plan into the VM, which has the project since it came up.
        """
        self._remote.push(run, f"{RUNS_IN_VM}/{run.name}")
        origin = shlex.quote(str(run.resolve()))
        note = f"mkdir -p {ORIGINS_IN_VM} && printf %s {origin} >{ORIGINS_IN_VM}/{run.name} && sync"
        self._remote.output(["sh", "-c", note])

    def execute(self, run: Path) -> int:
        """
        Run the plan inside the VM, its output streamed; its own exit status.

        A signal that would end this process makes the VM's side stop in an orderly way, because
        its standard input ends. Raises HostError when the connection is lost.
        """
        command = self._remote.command(self._command("execute", f"{RUNS_IN_VM}/{run.name}"))
        stop = False
        # In a process group of its own, or Ctrl-C on a terminal would end ssh itself.
        with subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0) as process:

            def pass_on(_number: int, _frame: FrameType | None) -> None:
                nonlocal stop
                if not stop and process.stdin is not None:
                    print(STOPPING, flush=True)
                    stop = True
                    process.stdin.close()

            before = {number: signal.signal(number, pass_on) for number in STOP_SIGNALS}
            try:
                status = process.wait()
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        # Below zero: ssh itself was ended by a signal.
        if status == CONNECTION_FAILED or status < 0:
            msg = "the connection to the VM was lost while it was measuring"
            raise HostError(msg)
        return 130 if stop and status else status

    def pull(self, run: Path) -> None:
        """
        Fetch the run's folder once nothing runs there any more, and remove the VM's copy.
        """
        try:
            self._await_end()
            self._fetch(run.name, run)
        except HostError as error:
            msg = (
                f"{error}\nWhat had finished is on the VM's disk: `nox -s pull` fetches it, and "
                "starts the VM again if need be"
            )
            raise HostError(msg) from error

    def pull_all(self) -> list[Path]:
        """
        Fetch every run that is still in the VM to where it was begun; their folders.

        The VM is started if it is not up, whatever box it was made from. Raises HostError when
        there is no VM of this checkout, or when a run cannot be fetched, after all others were.
        """
        if not self._remote.answers():
            if self._own_domain_id() is None:
                msg = "this checkout has no VM, so there is nothing to fetch from it"
                raise HostError(msg)
            self._start_daemons()
            self._refuse_foreign_domain()
            self._start()
        self._await_end()
        pulled, problems = [], []
        for name, target in self._left_in_vm().items():
            try:
                target.mkdir(parents=True, exist_ok=True)
                self._fetch(name, target)
                manifest = read_manifest(target)
            except (HostError, OSError) as error:
                problems.append(f"{name}: {error}")
                continue
            if manifest.state == RUNNING:
                note = "the machine was lost in the middle of the run"
                write_manifest(target, dataclasses.replace(manifest, state=FAILED, note=note))
            pulled.append(target)
        if problems:
            raise HostError("\n".join(problems))
        return pulled

    def _left_in_vm(self) -> dict[str, Path]:
        """
        The runs that are still in the VM, and where each was begun.
        """
        show = f"cd {ORIGINS_IN_VM} 2>/dev/null && grep -H . * || true"
        lines = self._remote.output(["sh", "-c", show]).splitlines()
        found = dict(line.split(":", 1) for line in lines)
        return {name: Path(origin) for name, origin in found.items()}

    def _await_end(self) -> None:
        """
        Wait until the VM's side of a run, whose host side has ended, has ended too.

        Raises HostError when it does not within a minute and a half.
        """
        seconds = str(ORDERLY_STOP_S)
        timeout_s = ORDERLY_STOP_S + 30
        self._remote.output(["flock", "--timeout", seconds, str(RUN_LOCK), "true"], timeout_s)

    def _fetch(self, name: str, target: Path) -> None:
        self._remote.pull(f"{RUNS_IN_VM}/{name}", target)
        # The note last: a run without one would be forgotten, a note without a run is told.
        self._remote.output(["rm", "-rf", f"{RUNS_IN_VM}/{name}"])
        self._remote.output(["rm", "-f", f"{ORIGINS_IN_VM}/{name}"])

    def halt(self) -> None:
        """
        Shut the VM down; its disk stays.
        """
        if self._own_domain_id() is None:
            print("this checkout has no VM")
            return
        self._start_daemons()
        self._client().halt()

    def destroy(self, *, discard: bool = False) -> None:
        """
        Remove the VM and all that it brought: domain, disks, pool, network, keys, notes, daemons.

        Raises HostError when the VM is not this checkout's, or, without ``discard``, when there are
        runs in it that were not fetched.
        """
        notes = self._notes.read()
        if not notes and self._own_domain_id() is None:
            print("this checkout has no VM")
            return
        self._start_daemons()
        self._refuse_foreign_domain()
        if not discard and self._remote.answers() and (left := self._left_in_vm()):
            msg = (
                f"the VM still holds {', '.join(sorted(left))}; `nox -s pull` fetches them, or "
                "`nox -s destroy -- --discard` removes them with it"
            )
            raise HostError(msg)
        client = self._client()
        client.destroy()
        client.remove_boxes()
        if "image" in notes:
            Path(notes["image"]).unlink(missing_ok=True)
        if notes.get("pool"):
            libvirt.remove_pool()
        if notes.get("network"):
            libvirt.remove_network()
        # Noted again: one may have been started just now.
        daemons = self._notes.read().get("daemons", [])
        self._notes.forget()
        libvirt.stop_daemons(daemons)

    def _command(self, *arguments: str) -> list[str]:
        own = {
            "BRIDGETOLL_CACHE": box.CACHE_IN_VM,
            "PYTHONPATH": PROJECT_IN_VM,
            "PYTHONUNBUFFERED": "1",
        }
        mirror = ["--mirror", self._mirror] if self._mirror else []
        settings = [f"{name}={value}" for name, value in own.items()]
        return ["env", *settings, "python3", "-m", "experiments.host.guest", *mirror, *arguments]


def noted_acceleration() -> str | None:
    """
    The acceleration of the VM that this checkout has; None when it has none.
    """
    found = VmNotes(STATE).read().get("acceleration")
    return None if found is None else str(found)


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """
    The model of this host's first CPU, where the kernel tells it.
    """
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None
