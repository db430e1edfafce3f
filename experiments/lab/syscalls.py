"""
The lab's filter of system calls: it denies what neither namespaces nor capabilities divide.

It stops a service that has no filter of Docker's from reaching the machine by such a call. All
other calls are allowed whatever their arguments, so the kernel (5.11 and later) need not run the
filter for them; only ``socket``, ``clone`` and ``unshare`` are judged by their arguments.
docs/method.md says what it costs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from typing import Any

from experiments.errors import DeployError

INT = 0xFFFFFFFF
"""The part of an argument that the kernel takes as an int; the rest may be anything."""

NEW_USER = 0x10000000
NETLINK = {"rdma": 20, "crypto": 21}
"""Families of netlink that reach the machine's devices and algorithms with CAP_NET_ADMIN."""


def _denied(
    *names: str, by: int = errno.EPERM, where: tuple[tuple[int, int, int], ...] = ()
) -> dict[str, Any]:
    """
    An OCI rule; ``where`` are arguments as index, mask and value after masking.
    """
    arguments = [
        {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
        for index, mask, value in where
    ]
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": by, "args": arguments}


FILTER: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        # The keyrings of the machine's users.
        _denied("add_key", "keyctl", "request_key"),
        # The hypervisor. io_uring makes sockets that no filter sees.
        _denied("socket", where=((0, INT, socket.AF_VSOCK),)),
        _denied("io_uring_setup"),
        *(
            _denied("socket", where=((0, INT, socket.AF_NETLINK), (2, INT, family)))
            for family in NETLINK.values()
        ),
        # The kernel and the file systems of the machine; sysctls of the machine may allow these.
        _denied("bpf", "perf_event_open", "syslog", "userfaultfd"),
        _denied("quotactl", "quotactl_fd", "ustat"),
        # User namespaces, in which a service would have every capability. The arguments of clone3
        # are out of a filter's sight, and without it the C library takes clone.
        _denied("clone", "unshare", where=((0, NEW_USER, NEW_USER),)),
        _denied("clone3", by=errno.ENOSYS),
    ],
}
"""
The filter as an OCI specification has it, with the answers of Docker's default filter.

It is for the machine's own architecture; a thread that makes system calls of another one, such as
those of a 32-bit program, is killed.
"""

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_MASKED_EQUAL = 7
_NO_NEW_PRIVILEGES, _SPECULATION_ALLOWED = 3, 7
"""Constants of seccomp.h."""


class _Argument(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def filter_this_thread() -> None:
    """
    Set the filter for the calling thread and for the processes that it starts; it cannot be undone.

    It is made by libseccomp, which the userland has for runc, and set without ``no_new_privs``,
    which needs CAP_SYS_ADMIN. Kernels before 5.16 would slow speculation down with a filter, unless
    told otherwise, as here; runc 1.1 cannot tell them. Raises DeployError if the kernel refuses.
    """
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    made = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    try:
        _check(library.seccomp_attr_set(made, _NO_NEW_PRIVILEGES, 0))
        _check(library.seccomp_attr_set(made, _SPECULATION_ALLOWED, 1))
        for rule in FILTER["syscalls"]:
            arguments = [
                _Argument(each["index"], _MASKED_EQUAL, each["value"], each["valueTwo"])
                for each in rule["args"]
            ]
            given = (_Argument * len(arguments))(*arguments)
            action = ctypes.c_uint32(_ERRNO | rule["errnoRet"])
            for name in rule["names"]:
                number = library.seccomp_syscall_resolve_name(name.encode())
                _check(
                    library.seccomp_rule_add_array(made, action, number, len(arguments), given),
                    name,
                )
        _check(library.seccomp_load(made))
    finally:
        library.seccomp_release(made)


def _check(result: int, name: str = "") -> None:
    if result < 0:
        msg = f"cannot filter system calls {name}: {os.strerror(-result)}"
        raise DeployError(msg)
