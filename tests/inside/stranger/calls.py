"""
Ways out by calls that a capability allows or refuses.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import socket
import struct
from pathlib import Path

from .kernel import allowed, call, check, folder, libc, probe


@probe
def load_a_module() -> str:
    return allowed("finit_module", lambda: call("finit_module", -1, b"", 0))


@probe
def load_another_kernel() -> str:
    return allowed("kexec_load", lambda: call("kexec_load", 0, 0, None, ctypes.c_ulong(0xFFFF)))


@probe
def reboot() -> str:
    return allowed("reboot", lambda: call("reboot", 0, 0, 0, None))


@probe
def set_the_clock() -> str:
    timex = ctypes.create_string_buffer(256)
    check(libc.adjtimex(timex))
    # ADJ_FREQUENCY, with the frequency that it has.
    ctypes.c_uint.from_buffer(timex).value = 2
    check(libc.adjtimex(timex))
    return "adjtimex"


@probe
def swap() -> str:
    return allowed("swapon", lambda: check(libc.swapon(b"/there-is-no-such-file", 0)))


@probe
def account_processes() -> str:
    return allowed("acct", lambda: check(libc.acct(b"/there-is-no-such-file")))


@probe
def raw_ports() -> str:
    call("ioperm", 0x80, 1, 1)
    return "ioperm"


@probe
def all_ports() -> str:
    call("iopl", 3)
    return "iopl"


@probe
def decide_about_others_files() -> str:
    os.close(call("fanotify_init", 4, os.O_RDONLY))
    return "fanotify_init"


@probe
def metadata_service() -> str:
    socket.create_connection(("169.254.169.254", 80), 1).close()
    return "it answers"


@probe
def realtime_priority() -> str:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return "sched_setscheduler"


@probe
def higher_priority() -> str:
    os.nice(-1)
    return "nice"


@probe
def raise_limits() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    return "setrlimit"


@probe
def never_be_killed_for_memory() -> str:
    Path("/proc/self/oom_score_adj").write_text("-1000")
    return "oom_score_adj"


@probe
def rename_the_machine() -> str:
    socket.sethostname(socket.gethostname())
    return "sethostname"


@probe
def immutable_files() -> str:
    path = Path(folder("immutable")) / "file"
    with path.open("wb") as file:
        flags = bytearray(struct.pack("i", 0))
        fcntl.ioctl(file, 0x80086601, flags)
        immutable = struct.unpack("i", flags)[0] | 0x10
        fcntl.ioctl(file, 0x40086602, struct.pack("i", immutable))
        fcntl.ioctl(file, 0x40086602, flags)
    return "FS_IMMUTABLE_FL"
