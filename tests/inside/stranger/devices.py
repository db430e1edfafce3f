"""
Ways out by devices.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import os
import stat
from pathlib import Path

from .kernel import folder, opened, probe


@probe
def read_a_disk() -> str:
    disks = [path for path in Path("/dev").rglob("*") if path.is_block_device()]
    return opened(disks)


@probe
def write_a_disk() -> str:
    disks = [path for path in Path("/dev").rglob("*") if path.is_block_device()]
    return opened(disks, os.O_WRONLY)


def node(kind: int, major: int, minor: int) -> str:
    path = f"{folder('node')}/node"
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    return opened([path])


@probe
def make_a_disk_s_node() -> str:
    for path in Path("/sys/class/block").glob("*/dev"):
        major, minor = map(int, path.read_text().split(":"))
        return node(stat.S_IFBLK, major, minor)
    return node(stat.S_IFBLK, 7, 0)


@probe
def make_the_memory_s_node() -> str:
    return node(stat.S_IFCHR, 1, 1)


@probe
def make_the_kernel_log_s_node() -> str:
    return node(stat.S_IFCHR, 1, 11)


@probe
def open_memory() -> str:
    return opened(["/dev/mem", "/dev/kmem", "/dev/port"])


@probe
def open_kernel_log() -> str:
    return opened(["/dev/kmsg"], os.O_WRONLY)


@probe
def open_kvm() -> str:
    return opened(["/dev/kvm"])


@probe
def open_loop_devices() -> str:
    return opened(["/dev/loop-control", "/dev/loop0"])


@probe
def open_fuse_or_tun() -> str:
    return opened(["/dev/fuse", "/dev/net/tun", "/dev/vhost-net"], os.O_RDWR)


@probe
def open_vsock_device() -> str:
    return opened(["/dev/vsock", "/dev/vhost-vsock"])


@probe
def open_console() -> str:
    return opened(["/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ttyS0"], os.O_WRONLY)
