"""
What must be there before a VM is made: its box, whole, and enough memory and disk.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import HostError
from experiments.lab import userland
from experiments.machines import box, libvirt
from experiments.machines.host_packages import TO_BUILD, TO_ENTER, ensure
from experiments.machines.settings import VM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.machines.box import BuiltBox

SPARE_MEMORY_MIB = 256
"""What the host must have free beside the VM's memory, for QEMU itself."""

NEEDED_POOL_BYTES = 3 * 10**9
"""Free space for the box's image and what the VM writes over it."""


def find_or_build_box(cache: Path, mirror: str) -> BuiltBox:
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


def refuse_damaged(whole: BuiltBox) -> None:
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


def refuse_too_little_memory(meminfo: Path = Path("/proc/meminfo")) -> None:
    """
    Raises HostError when this host has too little memory for the VM.
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


def refuse_too_little_disk(pool: Path = Path(VM.storage_path)) -> None:
    """
    Raises HostError when this host has too little room for the VM's disk.
    """
    there = next(path for path in (pool, *pool.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < NEEDED_POOL_BYTES:
        msg = (
            f"{there} has {free / 1e9:.1f} GB free, and the VM's disk may need "
            f"{NEEDED_POOL_BYTES / 1e9:.0f} GB; free some, or give a folder of its own on another "
            "disk as storage_path in experiments/machines/vm.json"
        )
        raise HostError(msg)
