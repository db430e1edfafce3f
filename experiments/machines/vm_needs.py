"""
The requirements of the VM: an intact box, enough memory, and enough disk space.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import HostError
from experiments.hardware import available_bytes
from experiments.lab import userland
from experiments.machines import box, libvirt
from experiments.machines.host_packages import TO_BUILD, TO_ENTER, ensure
from experiments.machines.local import make_cache
from experiments.machines.lock import RunLock
from experiments.machines.settings import VM

if TYPE_CHECKING:
    from experiments.machines.box import BuiltBox

SPARE_MEMORY_MIB = 256
"""Free memory that QEMU needs in addition to the VM's."""

NEEDED_POOL_BYTES = 3 * 10**9
"""Free disk space for the box's image and the VM's changes to it."""


def find_or_build_box(cache: Path, mirror: str) -> BuiltBox:
    """
    The box of this checkout; if the cache does not have it, box and userland are built.
    """
    found = box.find(cache, mirror)
    if found is None:
        if os.geteuid() != 0:
            msg = "building the box needs root; `sudo nox -s box` builds it once"
            raise HostError(msg)
        ensure([*TO_ENTER, *TO_BUILD, *libvirt.TO_BUILD_BOX])
        make_cache(cache)
        contents = userland.find(cache, mirror) or userland.build(
            cache, mirror, kept_open=RunLock.held
        )
        found = box.build(cache, contents, mirror)
    return found


def refuse_damaged(whole: BuiltBox) -> None:
    """
    Raise HostError if a box file has changed since its build.
    """
    try:
        found = box.sha256_of(whole.file)
    except OSError as error:
        msg = (
            f"the box {whole.file} cannot be read: {error.strerror}; remove {whole.directory} and "
            "run `nox -s box`"
        )
        raise HostError(msg) from error
    if found != whole.sha256:
        msg = (
            f"{whole.file} is damaged: its checksum is {found}, but it was built with "
            f"{whole.sha256}; remove {whole.directory} and run `nox -s box`"
        )
        raise HostError(msg)


def refuse_too_little_memory(proc: Path = Path("/proc")) -> None:
    """
    Raise HostError if this host has too little memory for the VM.
    """
    available_mib = available_bytes(proc) // 2**20
    if available_mib < VM.memory_mib + SPARE_MEMORY_MIB:
        msg = (
            f"this host has {available_mib} MiB of memory free, and the VM needs "
            f"{VM.memory_mib + SPARE_MEMORY_MIB} MiB; free some, or lower memory_mib in "
            "experiments/machines/vm.json"
        )
        raise HostError(msg)


def refuse_too_little_disk(pool: Path = Path(VM.storage_path)) -> None:
    """
    Raise HostError if this host has too little disk space for the VM.
    """
    there = next(path for path in (pool, *pool.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < NEEDED_POOL_BYTES:
        msg = (
            f"{there} has {free / 1e9:.1f} GB free, and the VM's disk may need "
            f"{NEEDED_POOL_BYTES / 1e9:.0f} GB; free some, or set storage_path in "
            "experiments/machines/vm.json to an empty folder on another disk"
        )
        raise HostError(msg)
