"""
libvirt on this host: its daemons, the VM's pool and network, and hardware virtualisation.

All by ``virsh``, with the names in ``vm.json``. The caller keeps notes of what it creates.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import output_of, run_command
from experiments.errors import HostError
from experiments.lab.cached_build import PARTIAL
from experiments.machines.host_packages import Need
from experiments.machines.settings import VM
from experiments.processes import Process
from experiments.records.folder import unwritable

if TYPE_CHECKING:
    from collections.abc import Callable

URI = "qemu:///system"
TIMEOUT_S = 60
DAEMON_TIMEOUT_S = 20.0
EMULATOR = "qemu-system-x86_64"

TO_RUN_VM = (
    Need("vagrant", "vagrant", "to run the VM"),
    Need("/usr/share/doc/vagrant-libvirt", "vagrant-libvirt", "to run it by libvirt"),
    Need("virsh", "libvirt-clients", "to look after what libvirt makes"),
    Need("libvirtd", "libvirt-daemon-system", "to run the VM"),
    Need(EMULATOR, "qemu-system-x86", "to run the VM"),
    Need("dnsmasq", "dnsmasq-base", "for the network between host and VM"),
    Need("ssh", "openssh-client", "to work in the VM"),
    Need("rsync", "rsync", "to push the project into the VM and pull results out"),
)
TO_BUILD_BOX = (Need("qemu-img", "qemu-utils", "to make the VM's disk"),)

DAEMONS = ("virtlogd", "libvirtd")
"""In the order of their start. Their process ids are in files with these names in /run."""

IMAGE_IN_BOX = "box.img"
COPY_BYTES = 2**22

KVM_DEVICE = Path("/dev/kvm")
KVM_TRIAL_TIMEOUT_S = 30


def virsh(*arguments: str) -> str:
    """
    The output of a virsh command.

    Raises HostError with virsh's message if it fails.
    """
    return output_of(
        ["virsh", "--connect", URI, *arguments],
        limit_s=TIMEOUT_S,
        error=HostError,
        name=f"`virsh {' '.join(arguments)}`",
    )


def usable() -> bool:
    """
    Whether libvirt answers.
    """
    if shutil.which("virsh") is None:
        return False
    try:
        virsh("version")
    except HostError:
        return False
    return True


HIDE_KVM = f"[ ! -e {KVM_DEVICE} ] || mount --bind /dev/null {KVM_DEVICE}"


def start_daemons(
    note: Callable[[str], None], *, with_kvm: bool, say: Callable[[str], None] = print
) -> None:
    """
    Start libvirt's daemons if it does not answer, also on a host without systemd.

    ``note`` gets the name of a daemon before it is started without systemd. Without ``with_kvm``
    these daemons do not see the KVM device: libvirt tests every QEMU with it, and a QEMU that hangs
    would cost a minute. Raises HostError if libvirt does not answer afterwards.
    """
    if usable():
        return
    if Path("/run/systemd/system").exists():
        say("starting libvirtd")
        output_of(["systemctl", "start", "libvirtd"], limit_s=TIMEOUT_S, error=HostError)
    else:
        say(f"starting {' and '.join(DAEMONS)}, without systemd, until `nox -s destroy`")
        for name in DAEMONS:
            if not running(name):
                note(name)
                _start_daemon(name, with_kvm=with_kvm)
    deadline = time.monotonic() + DAEMON_TIMEOUT_S
    while not usable():
        if time.monotonic() > deadline:
            try:
                virsh("version")
            except HostError as error:
                msg = f"libvirt does not answer: {error}\nRun this as root, or start libvirtd"
                raise HostError(msg) from error
        time.sleep(0.2)


def _start_daemon(name: str, *, with_kvm: bool) -> None:
    command = [name, "--daemon"]
    if not with_kvm:
        command = ["unshare", "--mount", "sh", "-euc", f"{HIDE_KVM}; exec {name} --daemon"]
    # Its output goes to the terminal, because a daemon might keep a pipe open.
    ended = run_command(command, limit_s=TIMEOUT_S, output=sys.stderr.fileno())
    if not ended.ok:
        raise HostError(ended.failure(name))


def stop_daemons(names: list[str], processes: dict[str, str]) -> None:
    """
    Stop the daemons that ``start_daemons`` started, and wait for their end.

    ``processes`` has the process of each as it was noted; one that somebody started since stays.
    """
    for name in reversed(list(dict.fromkeys(names))):
        daemon = running(name)
        if daemon and processes.get(name, str(daemon)) == str(daemon):
            os.kill(daemon.pid, signal.SIGTERM)
            deadline = time.monotonic() + DAEMON_TIMEOUT_S
            while daemon.is_alive() and time.monotonic() < deadline:
                time.sleep(0.05)


def running(name: str) -> Process | None:
    """
    The process of a daemon from its file of process ids, if it is still that daemon's.
    """
    try:
        daemon = Process.of(int(Path(f"/run/{name}.pid").read_text()))
        found = Path(f"/proc/{daemon.pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    return daemon if found == name else None


def hypervisor() -> str:
    """
    The hypervisor and its version, as libvirt names them.
    """
    found = re.search(r"Running hypervisor: (.+)", virsh("version"))
    return found[1].strip() if found else "unknown"


def domain_id() -> str | None:
    """
    The UUID of the domain with the VM's name, whoever created it; None without one.
    """
    # In one command, because a domain may disappear between two.
    lines = [line.split() for line in virsh("list", "--all", "--uuid", "--name").splitlines()]
    return next((uuid for uuid, *name in filter(None, lines) if name == [VM.name]), None)


def refuse_foreign_pool(*, noted: bool, path: Path = Path(VM.storage_path)) -> None:
    """
    Raise HostError if the VM's storage pool or its folder belongs to somebody else.

    ``noted`` says that this checkout created it. Everything in the folder will be removed later.
    """
    if noted:
        return
    if VM.storage_pool in virsh("pool-list", "--all", "--name").split():
        msg = f"libvirt has a storage pool {VM.storage_pool!r} that this checkout did not create"
    elif path.exists() and any(path.iterdir()):
        msg = f"{path} is not empty, and the VM's storage needs an empty folder"
    else:
        return
    msg += "; set another storage_pool and storage_path in experiments/machines/vm.json"
    raise HostError(msg)


def make_pool() -> None:
    """
    Create the storage pool of the VM's disks if it is missing, which Vagrant does not do.
    """
    if VM.storage_pool not in virsh("pool-list", "--all", "--name").split():
        virsh("pool-define-as", VM.storage_pool, "dir", "--target", VM.storage_path)
        virsh("pool-build", VM.storage_pool)
    if VM.storage_pool not in virsh("pool-list", "--name").split():
        virsh("pool-start", VM.storage_pool)


def image_path(version: str) -> Path:
    """
    The path at which vagrant-libvirt expects the image of this version of the box.
    """
    name = f"{VM.box.replace('/', '-VAGRANTSLASH-')}_vagrant_box_image_{version}_box.img"
    return Path(VM.storage_path) / name


def provide_image(box_file: Path, version: str) -> None:
    """
    Put a box's image into the pool under the name that vagrant-libvirt expects.

    vagrant-libvirt would upload it slowly, in small pieces through a pipe. The VM must not exist
    yet, because its image would be replaced.
    """
    target = image_path(version)
    partial = target.with_suffix(PARTIAL)
    with tarfile.open(box_file) as archive, partial.open("wb") as file:
        image = archive.extractfile(IMAGE_IN_BOX)
        if image is None:
            msg = f"{box_file} contains no {IMAGE_IN_BOX}"
            raise HostError(msg)
        try:
            shutil.copyfileobj(image, file, COPY_BYTES)
        except OSError as error:
            raise HostError(unwritable(error, partial)) from error
    partial.replace(target)
    virsh("pool-refresh", VM.storage_pool)


def remove_image(image: Path) -> None:
    """
    Remove an image from the pool, also one that was being put there when somebody killed that.
    """
    for path in (image, image.with_suffix(PARTIAL)):
        path.unlink(missing_ok=True)


def remove_pool() -> None:
    """
    Remove the storage pool, and its folder if it is empty.
    """
    if VM.storage_pool in virsh("pool-list", "--name").split():
        virsh("pool-destroy", VM.storage_pool)
    if VM.storage_pool in virsh("pool-list", "--all", "--name").split():
        virsh("pool-undefine", VM.storage_pool)
    path = Path(VM.storage_path)
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def has_network() -> bool:
    """
    Whether libvirt has a network with the name of the VM's network.
    """
    return VM.network in virsh("net-list", "--all", "--name").split()


def remove_network() -> None:
    """
    Remove the VM's network if it still exists.
    """
    if VM.network in virsh("net-list", "--name").split():
        virsh("net-destroy", VM.network)
    if has_network():
        virsh("net-undefine", VM.network)


def host_kernel(boot: Path = Path("/boot")) -> Path | None:
    """
    The newest readable kernel of this host, to test KVM with.
    """
    readable = [path for path in boot.glob("vmlinuz-*") if os.access(path, os.R_OK)]
    return max(readable, key=lambda path: path.stat().st_mtime, default=None)


def kvm_refusal(kernel: Path | None, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """
    The reason why hardware virtualisation is not usable; empty if it is.

    The CPU flags and the device are checked, and then ``kernel`` is booted, because on some
    machines /dev/kvm exists but cannot boot a stock kernel. Without a kernel that test is skipped.
    """
    flags = set(cpuinfo.read_text().split())
    if not flags & {"vmx", "svm"}:
        return "the CPU offers no hardware virtualisation"
    if not KVM_DEVICE.exists():
        return f"{KVM_DEVICE} is missing"
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return f"this user may not use {KVM_DEVICE}, as members of its group may"
    if kernel is not None and not boots(kernel):
        return f"{KVM_DEVICE} exists, but cannot boot a stock kernel"
    return ""


def boots(kernel: Path, accelerator: str = "kvm", timeout_s: float = KVM_TRIAL_TIMEOUT_S) -> bool:
    """
    Whether a kernel boots until it looks for its root file system, which does not exist.
    """
    command = [EMULATOR, "-accel", accelerator, "-m", "256", "-display", "none"]
    command += ["-monitor", "none", "-serial", "stdio", "-no-reboot", "-nodefaults"]
    command += ["-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    ended = run_command(command, limit_s=timeout_s, merge=True)
    return ended.status is not None and b"Unable to mount root fs" in ended.output
