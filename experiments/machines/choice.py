"""
The choice of the machine, and its reason.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from experiments.errors import HostError
from experiments.machines import box, libvirt
from experiments.machines.local import LocalMachine
from experiments.machines.vagrant_vm import EMULATION, KVM, VagrantMachine, noted_acceleration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from experiments.machines import Machine

DESCRIPTIONS = {
    KVM: "a Vagrant VM with hardware virtualisation",
    EMULATION: "a Vagrant VM, emulated, because",
}


def kvm_refusal_of_host(cache: Path, mirror: str) -> str:
    """
    The reason why this host has no usable hardware virtualisation; empty if it has.

    The test boots the box's kernel, or the host's before there is a box. Without QEMU only the CPU
    flags and the device are checked.
    """
    built = box.find(cache, mirror)
    kernel = built.directory / box.KERNEL_FILE if built else libvirt.host_kernel()
    can_try = shutil.which(libvirt.EMULATOR) is not None
    return libvirt.kvm_refusal(kernel if can_try else None)


def vm_refusal(cache: Path, mirror: str) -> str:
    """
    The reason why no fast VM is usable without installing packages; empty if one is.
    """
    for need in libvirt.TO_RUN_VM:
        if need.missing():
            return f"{need.package} is not installed"
    if not libvirt.usable():
        return "libvirt does not answer"
    return kvm_refusal_of_host(cache, mirror)


def vagrant_machine(cache: Path, mirror: str) -> tuple[VagrantMachine, str]:
    """
    The existing VM, or else the fastest possible one, and the reason in words.
    """
    there = noted_acceleration()
    if there is not None:
        words = DESCRIPTIONS[KVM] if there == KVM else f"{DESCRIPTIONS[EMULATION]} it was made so"
        return VagrantMachine(cache, mirror, there), f"{words} (a VM as asked)"
    why_no_kvm = kvm_refusal_of_host(cache, mirror)
    if why_no_kvm:
        words = f"{DESCRIPTIONS[EMULATION]} {why_no_kvm} (a VM as asked)"
        return VagrantMachine(cache, mirror, EMULATION), words
    return VagrantMachine(cache, mirror, KVM), f"{DESCRIPTIONS[KVM]} (as asked)"


def choose_machine(
    asked: str,
    cache: Path,
    mirror: str,
    refusal: Callable[[Path, str], str] = vm_refusal,
) -> tuple[Machine, str]:
    """
    The chosen machine, and the reason in words.

    ``auto`` takes the VM if hardware virtualisation is usable, else this host if root is available,
    else the emulated VM. Raises HostError on another system than Linux.
    """
    if not sys.platform.startswith("linux"):
        msg = (
            f"the lab and the VM by libvirt need Linux, and this is {sys.platform}; "
            "the README says what the lab needs, and docs/machine.md how to start the public box "
            "by hand"
        )
        raise HostError(msg)
    if asked == "local":
        return LocalMachine(cache, mirror), "this host's kernel, in the sealed lab (as asked)"
    if asked == "vagrant":
        return vagrant_machine(cache, mirror)
    why_no_vm = refusal(cache, mirror)
    if not why_no_vm:
        return VagrantMachine(cache, mirror, KVM), f"{DESCRIPTIONS[KVM]} (it is usable here)"
    if os.geteuid() == 0 or shutil.which("sudo"):
        words = f"this host's kernel, in the sealed lab (no fast VM here: {why_no_vm})"
        return LocalMachine(cache, mirror), words
    words = f"{DESCRIPTIONS[EMULATION]} {why_no_vm} (and there is no root for the lab here)"
    return VagrantMachine(cache, mirror, EMULATION), words
