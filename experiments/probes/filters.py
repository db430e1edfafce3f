"""
Which filter of system calls a running process has: the lab's small one, or Docker's.

/proc only tells that there is one. ptrace tells its length, to a tracer that may do everything, if
the kernel has CONFIG_CHECKPOINT_RESTORE.
"""

from __future__ import annotations

import ctypes
import os
import time

SMALL, LARGE, UNKNOWN = "small", "large", ""

SMALL_INSTRUCTIONS = 100
"""The lab's filter has some 60 instructions, Docker's several hundred."""

STOP_TIMEOUT_S = 10.0

_SEIZE, _INTERRUPT, _DETACH, _GET_FILTER = 0x4206, 0x4207, 17, 0x420C
"""Requests of ptrace(2)."""


def filter_of(pid: int) -> str:
    """
    The kind of a process's filter; unknown if it has none, or the kernel does not tell.

    The process stands still meanwhile, for less than a millisecond. Raises TimeoutError if it does
    not come to a stop.
    """
    ptrace = ctypes.CDLL(None).ptrace
    ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    ptrace.restype = ctypes.c_long
    if ptrace(_SEIZE, pid, None, None) < 0:
        return UNKNOWN
    ptrace(_INTERRUPT, pid, None, None)
    if not _stops(pid):
        return UNKNOWN
    instructions = ptrace(_GET_FILTER, pid, None, None)
    ptrace(_DETACH, pid, None, None)
    if instructions < 0:
        return UNKNOWN
    return SMALL if instructions <= SMALL_INSTRUCTIONS else LARGE


def _stops(pid: int) -> bool:
    """
    Wait until a traced process has stopped; False if it has ended.
    """
    # Its status is left for whoever waits for the process.
    options = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            found = os.waitid(os.P_PID, pid, options)
        except ChildProcessError:
            return False
        if found is not None:
            return found.si_code in {os.CLD_TRAPPED, os.CLD_STOPPED}
        time.sleep(0.0002)
    msg = f"process {pid} does not stop for ptrace within {STOP_TIMEOUT_S:g} s"
    raise TimeoutError(msg)
