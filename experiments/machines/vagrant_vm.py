"""
The identical VM, by Vagrant: the project's own box, the same code and the same lab inside.

A thin adapter over python-vagrant. Vagrant is slow to start, so it is asked only for what changes
the VM; its ssh configuration is taken once and everything else goes by ssh and rsync.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vagrant

from experiments.errors import HostError
from experiments.lab import userland
from experiments.lock import LOCK_FILE
from experiments.machines import box, libvirt
from experiments.machines.host_packages import TO_BUILD, TO_ENTER, ensure
from experiments.machines.local import STOP_SIGNALS, STOPPING
from experiments.machines.remote import CONNECTION_FAILED, Remote
from experiments.machines.settings import VM
from experiments.options import PROJECT
from experiments.records import FAILED, RUNNING, read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from experiments.machines.box import Box

KVM, EMULATION = "kvm", "emulation"
DRIVERS = {KVM: "kvm", EMULATION: "qemu"}
"""libvirt's driver for each kind of acceleration."""

PLUGIN = "vagrant-libvirt"
STATE = PROJECT / ".vagrant"
"""Vagrant's own folder in the checkout; what this module notes is beside what Vagrant notes."""

CHECKOUT_IN_VM = "/srv/bridgetoll"
RUNS_IN_VM = "/var/lib/bridgetoll/runs"
ORIGINS_IN_VM = "/var/lib/bridgetoll/origins"

SPARE_MEMORY_MIB = 256
"""What the host must have free beside the VM's memory, for QEMU itself."""

NEEDED_POOL_BYTES = 3 * 10**9
"""Free space for the box's image and what the VM writes over it."""

ORDERLY_STOP_S = 90
"""How long the VM's side of a run may take to stop after the host's side has ended."""

LOG_FILE = "vagrant.log"
LOG_TAIL_LINES = 12


class VagrantMachine:
    """
    The VM; see ``experiments.machines.Machine``.
    """

    name = "vagrant"

    def __init__(self, cache: Path, mirror: str, acceleration: str) -> None:
        """
        ``acceleration`` is ``kvm`` or ``emulation``. Nothing is looked at or changed yet.
        """
        self._cache = cache
        self._mirror = mirror
        self._acceleration = acceleration
        self._notes = STATE / "bridgetoll.json"
        self._remote = Remote(STATE / "ssh-config", VM.name)

    def up(self) -> None:
        """
        Start the VM, building its box first where need be; one that is up already is reused.

        Raises HostError for whatever is missing or in the way, before anything is changed.
        """
        noted = self._read_notes()
        digest = box.digest_of(self._mirror)
        made_from = noted.get("box", {})
        outdated = made_from.get("digest", digest) != digest
        if outdated and libvirt.usable() and libvirt.domain_id():
            msg = (
                f"the VM was made from box {made_from['version']}, and this checkout needs "
                f"{box.version_of(digest)}; `nox -s destroy` removes the old one"
            )
            raise HostError(msg)
        if made_from and not outdated and self._remote.answers():
            print("VM: up already", flush=True)
            self._push_checkout()
            return
        if self._own_domain_id() is None:
            refuse_too_little_room()
        ensure([*libvirt.TO_RUN_VM, *TO_ENTER])
        started = libvirt.start_daemons(with_kvm=self._acceleration == KVM)
        self._note(daemons=[*noted.get("daemons", []), *started])
        self._refuse_what_is_in_the_way()
        whole = find_or_build_box(self._cache, self._mirror)
        refuse_damaged(whole)
        self._note(
            box={
                "name": VM.box,
                "digest": whole.digest,
                "version": whole.version,
                "sha256": whole.sha256,
            },
            acceleration=self._acceleration,
        )
        self._vagrant_up(whole)
        self._push_checkout()

    def _vagrant_up(self, whole: Box) -> None:
        client = self._client(whole.version)
        with self._told("adding the box to Vagrant"):
            client.box_add(VM.box, str(whole.catalog), provider="libvirt", force=True)
        libvirt.make_pool()
        libvirt.provide_image(whole.file, whole.version)
        kind = "with KVM" if self._acceleration == KVM else "emulated, which takes minutes"
        print(f"VM: starting ({kind})", flush=True)
        with self._told("starting the VM"):
            for line in client.up(provider="libvirt", stream_output=True):
                self._log(line)
                # Vagrant draws progress by rewriting its line; only its steps are shown.
                if "==>" in line and " -- " not in line:
                    print(f"    {line.rpartition('==>')[2].strip()}", flush=True)
        with self._told("reading the VM's ssh configuration"):
            self._remote.config.write_text(client.ssh_config())
        if not self._remote.answers():
            msg = f"the VM is up but does not answer by ssh; its console: `virsh console {VM.name}`"
            raise HostError(msg)

    def _refuse_what_is_in_the_way(self) -> None:
        """
        Raises HostError for a missing plugin or a taken name.
        """
        with self._told("listing Vagrant's plugins"):
            plugins = [plugin.name for plugin in self._client().plugin_list()]
        if PLUGIN not in plugins:
            msg = f"Vagrant has no plugin {PLUGIN}; install Debian's package of that name"
            raise HostError(msg)
        self._refuse_foreign_domain()

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

    def facts(self) -> dict[str, Any]:
        """
        The box, the hypervisor, and the userland as the VM itself sees it.
        """
        notes = self._read_notes()
        seen = json.loads(self._remote.output(self._command("facts")))
        machine = {
            "name": self.name,
            "provider": "libvirt",
            "hypervisor": libvirt.hypervisor(),
            "acceleration": notes["acceleration"],
            "box": notes["box"],
        }
        return {"machine": machine, "userland": seen["userland"]}

    def push(self, run: Path) -> None:
        """
        Push the run's folder with its plan into the VM, which has the project since it came up.
        """
        self._remote.push(run, f"{RUNS_IN_VM}/{run.name}")
        note = (
            f"mkdir -p {ORIGINS_IN_VM} && printf %s '{run.resolve()}' >{ORIGINS_IN_VM}/{run.name}"
        )
        self._remote.output(["sh", "-c", note])

    def _push_checkout(self) -> None:
        """
        Make the VM's copy of the project equal to this one, but for what git ignores.
        """
        keep_out = ["--filter=:- .gitignore", "--exclude=/.git"]
        self._remote.push(PROJECT, CHECKOUT_IN_VM, keep_out)

    def execute(self, run: Path) -> int:
        """
        Run the plan inside the VM, its output streamed; its own exit status.

        A signal that would end this process makes the VM's side stop in an orderly way, because
        its standard input ends. Raises HostError when the connection is lost.
        """
        command = self._command("execute", f"{RUNS_IN_VM}/{run.name}")
        stop = False
        with subprocess.Popen(self._remote.command(command), stdin=subprocess.PIPE) as process:
            # Not in the way of Ctrl-C on a terminal: ssh would end by it at once.
            assert process.stdin is not None  # noqa: S101 - for the type checker

            def pass_on(_number: int, _frame: FrameType | None) -> None:
                nonlocal stop
                if not stop:
                    print(STOPPING, flush=True)
                    stop = True
                    process.stdin.close()  # type: ignore[union-attr]

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
        """
        show = f"cd {ORIGINS_IN_VM} 2>/dev/null && grep -H . * || true"
        origins = self._remote.output(["sh", "-c", show]).splitlines()
        self._await_end()
        pulled = []
        for line in origins:
            name, _, origin = line.partition(":")
            target = Path(origin)
            self._fetch(name, target)
            manifest = read_manifest(target)
            if manifest.state == RUNNING:
                note = "the machine was lost in the middle of the run"
                write_manifest(target, dataclasses.replace(manifest, state=FAILED, note=note))
            pulled.append(target)
        return pulled

    def _await_end(self) -> None:
        """
        Wait until the VM's side of a run, whose host side has ended, has ended too.

        Raises HostError when it does not within a minute and a half.
        """
        seconds = str(ORDERLY_STOP_S)
        self._remote.output(["flock", "--timeout", seconds, str(LOCK_FILE), "true"])

    def _fetch(self, name: str, target: Path) -> None:
        self._remote.pull(f"{RUNS_IN_VM}/{name}", target)
        self._remote.output(["rm", "-r", f"{RUNS_IN_VM}/{name}", f"{ORIGINS_IN_VM}/{name}"])

    def halt(self) -> None:
        """
        Shut the VM down; its disk stays.
        """
        if not libvirt.usable():
            return
        with self._told("halting the VM"):
            self._client().halt()

    def destroy(self) -> None:
        """
        Remove the VM and all that it brought: domain, disks, pool, network, keys, notes, daemons.

        Raises HostError when the VM is not this checkout's.
        """
        noted = self._read_notes()
        if shutil.which("vagrant") and libvirt.usable():
            self._refuse_foreign_domain()
            with self._told("destroying the VM"):
                client = self._client()
                client.destroy()
                if any(each.name == VM.box for each in client.box_list()):
                    client.box_remove(VM.box, "libvirt")
            libvirt.remove_rest()
        shutil.rmtree(STATE, ignore_errors=True)
        libvirt.stop_daemons(noted.get("daemons", []))

    def _command(self, *arguments: str) -> list[str]:
        own = {
            "BRIDGETOLL_CACHE": box.CACHE_IN_VM,
            "PYTHONPATH": CHECKOUT_IN_VM,
            "PYTHONUNBUFFERED": "1",
        }
        mirror = ["--mirror", self._mirror] if self._mirror else []
        settings = [f"{name}={value}" for name, value in own.items()]
        return ["env", *settings, "python3", "-m", "experiments.guest", *mirror, *arguments]

    def _client(self, version: str = "") -> vagrant.Vagrant:
        STATE.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
            "BRIDGETOLL_DRIVER": DRIVERS[self._acceleration],
            "BRIDGETOLL_BOX_VERSION": version
            or self._read_notes().get("box", {}).get("version", ""),
        }
        return vagrant.Vagrant(
            str(PROJECT),
            env={name: value for name, value in environment.items() if value},
            out_cm=vagrant.make_file_cm(str(STATE / LOG_FILE)),
            err_cm=vagrant.make_file_cm(str(STATE / LOG_FILE)),
        )

    def _log(self, line: str) -> None:
        with (STATE / LOG_FILE).open("a") as log:
            log.write(line)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """
        Vagrant's failures as this project's errors, with Vagrant's last words.
        """
        log = STATE / LOG_FILE
        before = log.stat().st_size if log.exists() else 0
        try:
            yield
        except (subprocess.CalledProcessError, OSError, RuntimeError) as error:
            said = log.read_bytes()[before:].decode(errors="replace") if log.exists() else ""
            tail = "\n".join(said.strip().splitlines()[-LOG_TAIL_LINES:]) or str(error)
            msg = f"{what} failed; Vagrant said:\n{tail}"
            raise HostError(msg) from error

    def _read_notes(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._notes.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _note(self, **changes: object) -> None:
        STATE.mkdir(exist_ok=True)
        text = json.dumps({**self._read_notes(), **changes}, indent=1, sort_keys=True)
        partial = self._notes.with_suffix(".partial")
        partial.write_text(text + "\n")
        partial.replace(self._notes)


def find_or_build_box(cache: Path, mirror: str) -> Box:
    """
    The box of this checkout; built, with the userland in it, when it is not in the cache.
    """
    found = box.find(cache, mirror)
    if found is None:
        if os.geteuid() != 0:
            msg = "building the box needs root; `sudo nox -s box` builds it once"
            raise HostError(msg)
        ensure([*TO_ENTER, *TO_BUILD, *libvirt.TO_BUILD_BOX])
        contents = userland.find(cache, mirror) or userland.build(cache, mirror)
        found = box.build(cache, contents, mirror)
    return found


def refuse_damaged(whole: Box) -> None:
    """
    Raises HostError when a box file is not the one that was built.
    """
    try:
        found = box.sha256_of(whole.file)
    except OSError as error:
        found = str(error)
    if found != whole.sha256:
        msg = (
            f"{whole.file} has the checksum {found}, and it was built with {whole.sha256}; "
            f"remove {whole.directory} and run `nox -s box`"
        )
        raise HostError(msg)


def refuse_too_little_room(
    meminfo: Path = Path("/proc/meminfo"), pool: Path = Path(VM.storage_path)
) -> None:
    """
    Raises HostError when this host has too little memory or disk for the VM.
    """
    fields: Mapping[str, str] = dict(
        line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line
    )
    available_mib = int(fields["MemAvailable"].split()[0]) // 1024
    if available_mib < VM.memory_mib + SPARE_MEMORY_MIB:
        msg = (
            f"this host has {available_mib} MiB of memory free, and the VM needs {VM.memory_mib} "
            f"and {SPARE_MEMORY_MIB} more; free some, or lower memory_mib in "
            "experiments/machines/vm.json"
        )
        raise HostError(msg)
    there = next(path for path in (pool, *pool.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < NEEDED_POOL_BYTES:
        msg = (
            f"{there} has {free / 1e9:.1f} GB free, and the VM's disk may need "
            f"{NEEDED_POOL_BYTES / 1e9:.0f} GB; free some, or change storage_path in "
            "experiments/machines/vm.json"
        )
        raise HostError(msg)
