"""
The VM, by Vagrant: the project's own box, with the same code and the same lab as on a host.

Vagrant starts slowly, so it is only used to change the VM; everything else uses ssh and rsync with
its ssh configuration.
"""

from __future__ import annotations

import json
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import INTERRUPTED_STATUS, HostError
from experiments.hardware import cpu_model
from experiments.machines import box, libvirt, vm_runs
from experiments.machines.host_packages import TO_ENTER, ensure
from experiments.machines.local import STOPPING
from experiments.machines.remote import CONNECTION_FAILED, Remote
from experiments.machines.settings import ARCHIVES_IN_VM, STACK_IN_VM, VM
from experiments.machines.vagrant_client import VagrantClient
from experiments.machines.vm_needs import (
    find_or_build_box,
    refuse_damaged,
    refuse_too_little_disk,
    refuse_too_little_memory,
)
from experiments.machines.vm_notes import VmNotes
from experiments.machines.vm_runs import folder
from experiments.output import say_in_handler
from experiments.paths import PROJECT
from experiments.processes import stops_handled_by
from experiments.records.manifest import (
    Box,
    Environment,
    Host,
    MachineRecord,
    UserlandRecord,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from experiments.declare.stack import Stack
    from experiments.machines import Archive


KVM, EMULATION = "kvm", "emulation"
DRIVERS = {KVM: "kvm", EMULATION: "qemu"}
"""The libvirt driver of every kind of acceleration."""

PLUGIN = "vagrant-libvirt"
STATE = PROJECT / ".vagrant"
"""Vagrant's folder in the checkout, which also contains this project's notes of the VM."""

PROJECT_IN_VM = "/srv/bridgetoll"


FILL_TIMEOUT_S = 3600
"""For the images of a stack; an emulated VM is slow."""


def as_json(stack: Stack) -> str:
    """
    What the VM's side needs to know of a stack.
    """
    known = {"name": stack.name, "folder": STACK_IN_VM, "files": stack.files, "store": stack.store}
    return json.dumps({**known, "configuration_sha256": stack.configuration_sha256})


class VagrantMachine:
    """
    The VM; see ``experiments.machines.Machine``.
    """

    name = "vagrant"

    def __init__(self, cache: Path, mirror: str, acceleration: str) -> None:
        """
        Nothing is read or changed yet.

        ``acceleration`` (``kvm`` or ``emulation``) is for a new VM; an existing VM keeps its own.
        """
        self._cache = cache
        self._mirror = mirror
        self._acceleration = acceleration
        self._notes = VmNotes(STATE)
        self._remote = Remote(STATE / "ssh-config", VM.name)
        self._runs = vm_runs.VmRuns(self._remote, self._notes)

    def up(self) -> None:
        """
        Start the VM, creating it if needed; a running VM is reused.

        Raises HostError if something is missing or in the way, if possible before anything is
        changed.
        """
        self._refuse_outdated()
        if self._notes.read().get("box") and self._remote.answers():
            print("VM: already running", flush=True)
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
        Raise HostError if this checkout's VM was made from another box than its current one.
        """
        made_from = self._notes.read().get("box")
        digest = box.digest_of(self._mirror)
        if self._own_domain_id() and (made_from is None or made_from["digest"] != digest):
            version = made_from["version"] if made_from else "another"
            msg = (
                f"the VM was made from box {version}, but this checkout needs "
                f"{box.version_of(digest)}; `nox -s destroy` removes the old VM (run `nox -s pull` "
                "first to fetch the runs in it)"
            )
            raise HostError(msg)

    def _start_daemons(self) -> None:
        started = []

        def note(name: str) -> None:
            started.append(name)
            self._notes.add(daemons=[*self._notes.read().get("daemons", []), name])

        libvirt.start_daemons(note, with_kvm=self._acceleration == KVM)
        if started:
            found = {name: str(libvirt.running(name)) for name in started}
            self._notes.add(processes={**self._notes.read().get("processes", {}), **found})

    def _refuse_what_is_in_the_way(self) -> None:
        """
        Raise HostError for a missing plugin, a name in use, or a foreign storage pool.
        """
        if PLUGIN not in self._client().plugins():
            msg = f"Vagrant has no plugin {PLUGIN}; install Debian's package of this name"
            raise HostError(msg)
        self._refuse_foreign_domain()
        libvirt.refuse_foreign_pool(noted=bool(self._notes.read().get("pool")))

    def _refuse_foreign_domain(self) -> None:
        there = libvirt.domain_id()
        if there not in {None, self._own_domain_id()}:
            msg = (
                f"libvirt already has a domain {VM.name!r}, which this checkout did not create "
                f"(UUID {there}); rename it, or set another name in experiments/machines/vm.json"
            )
            raise HostError(msg)

    def _own_domain_id(self) -> str | None:
        noted = STATE / "machines" / VM.name / "libvirt" / "id"
        return noted.read_text().strip() if noted.exists() else None

    def _make(self) -> None:
        """
        Create the VM from its box, which is built first if needed.
        """
        whole = find_or_build_box(self._cache, self._mirror)
        refuse_damaged(whole)
        if self._acceleration == KVM:
            # Without a box there may have been no kernel to test KVM with.
            refusal = libvirt.kvm_refusal(whole.directory / box.KERNEL_FILE)
            if refusal:
                print(f"VM: using emulation, because {refusal}", flush=True)
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
            msg = f"the VM runs but does not answer by ssh; see `virsh console {VM.name}`"
            raise HostError(msg)

    def _noted_acceleration(self) -> str:
        return str(self._notes.read().get("acceleration", self._acceleration))

    def _client(self) -> VagrantClient:
        version = self._notes.read().get("box", {}).get("version", "")
        return VagrantClient(STATE, DRIVERS[self._noted_acceleration()], version)

    def facts(self) -> tuple[MachineRecord, UserlandRecord]:
        """
        The box, the hypervisor, the host, and the userland as the VM sees it.
        """
        notes = self._notes.read()
        machine = MachineRecord(
            name=self.name,
            provider="libvirt",
            hypervisor=libvirt.hypervisor(),
            acceleration=notes["acceleration"],
            box=Box(**notes["box"]),
            host=Host(platform.release(), cpu_model()),
        )
        return machine, UserlandRecord(**self._seen("userland"))

    def environment(self) -> Environment:
        """
        As the kernel of the VM tells it.
        """
        return Environment(**self._seen("environment"))

    def _seen(self, what: str) -> dict[str, Any]:
        """
        What the VM's side of a run says about itself.
        """
        found: dict[str, Any] = json.loads(self._remote.output(self._command(what)))
        return found

    def recover(self, run: Path) -> None:
        """
        Copy the run from the VM, if a session that lost the VM left it there.
        """
        if self._runs.origins().get(run.name) == run.resolve():
            self.pull(run)

    def survey(self, run: Path, stack: Stack) -> None:
        """
        Let Compose read a copy of the project in the VM's lab.
        """
        self._remote.push(stack.folder, STACK_IN_VM, ("--exclude=.git",))
        self._runs.push(run)
        self._remote.output(self._command("survey", folder(run.name), as_json(stack)))
        self._remote.pull(folder(run.name), run)

    def fill_store(
        self, stack: Stack, archives: Sequence[Archive], builds: Mapping[str, str]
    ) -> str:
        """
        Copy the archives into the VM, and load and build there.
        """
        with tempfile.TemporaryDirectory() as scratch:
            inside = Path(scratch, "archives")
            inside.mkdir()
            for number, each in enumerate(archives):
                place = each.place(Path(scratch))
                (inside / f"{number}.tar").symlink_to(place)
            self._remote.push(inside, ARCHIVES_IN_VM, ("--copy-links",))
        task = self._command("fill", as_json(stack), json.dumps(dict(builds)))
        print("VM: loading and building the stack's images", flush=True)
        return self._remote.output(task, FILL_TIMEOUT_S).strip()

    def push(self, run: Path) -> None:
        """
        Copy the run's folder with its plan into the VM.
        """
        self._runs.push(run)

    def execute(self, run: Path, stack: Stack | None = None) -> int:
        """
        Execute the plan in the VM with streamed output; its exit status.

        A signal that would end this process closes the standard input of the VM's side, which then
        stops in an orderly way. Raises HostError if the connection is lost.
        """
        known = [as_json(stack)] if stack else []
        inside = self._command("execute", folder(run.name), *known)
        command = self._remote.command(inside)
        stop = False
        # In its own process group, or Ctrl-C on a terminal would end ssh.
        with subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0) as process:

            def pass_on(_number: int, _frame: FrameType | None) -> None:
                nonlocal stop
                if not stop and process.stdin is not None:
                    stop = True
                    say_in_handler(STOPPING)
                    process.stdin.close()

            with stops_handled_by(pass_on):
                status = process.wait()
        # Below zero: a signal ended ssh.
        if status == CONNECTION_FAILED or status < 0:
            msg = "the connection to the VM was lost while it was measuring"
            raise HostError(msg)
        return INTERRUPTED_STATUS if stop and status else status

    def pull(self, run: Path) -> None:
        """
        Copy the run's folder to the host after its end, and remove the copy in the VM.
        """
        try:
            self._runs.pull(run.name, run)
        except HostError as error:
            msg = (
                f"{error}\nFinished trials are on the VM's disk: `nox -s pull` fetches them, and "
                "starts the VM if needed"
            )
            raise HostError(msg) from error

    def pull_all(self) -> list[Path]:
        """
        Copy every run that is still in the VM to its original folder; return the folders.

        The VM is started if needed, from whatever box it was made. Raises HostError if this
        checkout has no VM; or, after all other runs, if a run cannot be copied.
        """
        if not self._remote.answers():
            if self._own_domain_id() is None:
                msg = "this checkout has no VM, so there is nothing to pull"
                raise HostError(msg)
            self._start_daemons()
            self._refuse_foreign_domain()
            self._start()
        return self._runs.pull_all()

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
        Remove the VM and its domain, disks, pool, network, keys, notes and daemons.

        Raises HostError if the VM is not this checkout's, or, without ``discard``, if it contains
        runs that were not pulled.
        """
        notes = self._notes.read()
        if not notes and self._own_domain_id() is None:
            print("this checkout has no VM")
            return
        self._start_daemons()
        self._refuse_foreign_domain()
        if not discard and self._remote.answers() and (left := self._runs.origins()):
            msg = (
                f"the VM still contains {', '.join(sorted(left))}; `nox -s pull` fetches them, and "
                "`nox -s destroy -- --discard` deletes them with the VM"
            )
            raise HostError(msg)
        client = self._client()
        client.destroy()
        client.remove_boxes()
        if "image" in notes:
            libvirt.remove_image(Path(notes["image"]))
        if notes.get("pool"):
            libvirt.remove_pool()
        if notes.get("network"):
            libvirt.remove_network()
        # Read again, because a daemon may just have been started.
        notes = self._notes.read()
        self._notes.forget()
        libvirt.stop_daemons(notes.get("daemons", []), notes.get("processes", {}))

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
    The acceleration of this checkout's VM; None without a VM.
    """
    found = VmNotes(STATE).read().get("acceleration")
    return None if found is None else str(found)
