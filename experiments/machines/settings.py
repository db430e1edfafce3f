"""
The settings of the VM, from ``vm.json``, which the Vagrantfile reads too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

SETTINGS_FILE = Path(__file__).with_name("vm.json")


@dataclass(frozen=True)
class VmSettings:
    """
    All settings of the VM.

    ``box`` names the box that the project builds, ``public_box`` the one for hosts that cannot
    build it; ``name`` is the libvirt domain. ``cpu_model`` maps kinds of acceleration to CPU models
    of libvirt; the one for emulation needs no page-table isolation, which would make it a third
    slower. ``network`` and ``network_address`` are the private network between host and VM;
    ``storage_pool`` and ``storage_path`` are the place of its disks.
    """

    box: str
    name: str
    cpus: int
    memory_mib: int
    disk_gib: int
    cpu_model: dict[str, str]
    storage_pool: str
    storage_path: str
    network: str
    network_address: str
    public_box: str
    public_box_version: str


VM = VmSettings(**json.loads(SETTINGS_FILE.read_text(encoding="utf-8")))

STACK_IN_VM = "/var/lib/bridgetoll/stack"
ARCHIVES_IN_VM = "/var/lib/bridgetoll/archives"
"""Copies in the VM of a user's Compose project, and of its images' archives."""
