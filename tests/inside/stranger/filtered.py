"""
Ways out by calls that only a filter stops, or a setting of the machine, and ways around a filter.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import signal
import socket
import struct

from .kernel import NEW_USER, allowed, call, check, libc, probe, unshare

CALL_BY_32_BITS = bytes.fromhex("53 89f8 89f3 89d1 cd80 5b c3")
"""For x86: eax, ebx and ecx from the arguments, and int 0x80."""

SOCKET_CALL, MAP_32BIT = 102, 0x40


@probe
def list_bpf_programs() -> str:
    attributes = ctypes.create_string_buffer(128)
    return allowed("bpf", lambda: call("bpf", 11, attributes, 128))


@probe
def watch_all_processes_of_a_cpu() -> str:
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 0) + bytes(112))
    os.close(call("perf_event_open", attributes, -1, 0, -1, 0))
    return "perf_event_open"


@probe
def kernel_log() -> str:
    text = ctypes.create_string_buffer(64)
    check(libc.klogctl(3, text, 64))
    return "the kernel's log can be read"


@probe
def host_s_keyring() -> str:
    # KEYCTL_GET_KEYRING_ID of the user's keyring, which is that of root on the machine.
    call("keyctl", 0, -4, 0)
    return "root's keyring has an address here"


@probe
def vsock() -> str:
    # Not connected: that would already be outside.
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "AF_VSOCK sockets reach the hypervisor or the machine, if it has such a device"


@probe
def vsock_by_a_number_that_the_kernel_cuts() -> str:
    os.close(call("socket", ctypes.c_long(2**32 + socket.AF_VSOCK), socket.SOCK_STREAM, 0))
    return "a socket of AF_VSOCK"


@probe
def vsock_by_x32() -> str:
    os.close(call("x32_socket", socket.AF_VSOCK, socket.SOCK_STREAM, 0))
    return "a socket of AF_VSOCK"


@probe
def vsock_by_32_bit_calls() -> str:
    if platform.machine() != "x86_64":
        raise OSError(errno.ENOSYS, "no such calls")
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(CALL_BY_32_BITS)
    interrupt = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(
        ctypes.addressof(ctypes.c_char.from_buffer(code))
    )
    libc.mmap.restype = ctypes.c_void_p
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT
    low = libc.mmap(None, ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_WRITE, flags, -1, 0)
    ctypes.memmove(low, struct.pack("III", socket.AF_VSOCK, socket.SOCK_STREAM, 0), 12)
    result = interrupt(SOCKET_CALL, 1, low)
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return "a socket of AF_VSOCK"


@probe
def io_uring() -> str:
    return allowed("io_uring_setup", lambda: call("io_uring_setup", 1, None))


@probe
def add_a_key() -> str:
    return allowed("add_key", lambda: call("add_key", None, None, None, 0, -4))


@probe
def ask_for_a_key() -> str:
    return allowed("request_key", lambda: call("request_key", None, None, None, -4))


@probe
def hold_page_faults() -> str:
    user_mode_only = 1
    os.close(call("userfaultfd", user_mode_only))
    return "userfaultfd"


@probe
def quotas() -> str:
    sync = 0x800001 << 8
    return allowed("quotactl", lambda: call("quotactl", sync, None, 0, None))


@probe
def quotas_of_an_open_file() -> str:
    sync = 0x800001 << 8
    return allowed("quotactl_fd", lambda: call("quotactl_fd", -1, sync, 0, None))


@probe
def file_system_by_its_number() -> str:
    answer = ctypes.create_string_buffer(32)
    call("ustat", ctypes.c_ulong(os.stat("/").st_dev), answer)  # noqa: PTH116
    return "ustat"


@probe
def user_namespace() -> str:
    unshare(NEW_USER)
    return "unshare"


@probe
def user_namespace_of_a_child() -> str:
    child = call("clone", ctypes.c_ulong(NEW_USER | signal.SIGCHLD), None, None, None, None)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "clone"


@probe
def user_namespace_by_what_no_filter_sees() -> str:
    return allowed("clone3", lambda: call("clone3", None, 0))
