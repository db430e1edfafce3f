"""
The lab's filter of system calls, as the kernel applies it.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from experiments.lab.syscalls import filter_this_thread

CALLS = Path(__file__).parent

MAKE_A_SOCKET = "import socket; socket.socket({}).close()"
CALL = "import ctypes; from stranger.kernel import call; call({})"


def error_of(code: str) -> str:
    """
    The last word of what a filtered process prints when it runs Python code; empty if it is well.
    """

    def run() -> str:
        filter_this_thread()
        return subprocess.run(
            [sys.executable, "-c", code], cwd=CALLS, capture_output=True, text=True, check=False
        ).stderr

    with ThreadPoolExecutor(1) as thread:
        lines = thread.submit(run).result().splitlines()
    return lines[-1] if lines else ""


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (MAKE_A_SOCKET.format("socket.AF_VSOCK"), "PermissionError: [Errno 1]"),
        (MAKE_A_SOCKET.format("socket.AF_NETLINK, socket.SOCK_RAW, 20"), "PermissionError: "),
        (MAKE_A_SOCKET.format("socket.AF_NETLINK, socket.SOCK_RAW, 21"), "PermissionError: "),
        (CALL.format("'socket', 16, 3, ctypes.c_long(2**32 + 20)"), "PermissionError: [Errno 1]"),
        (CALL.format("'keyctl', 0, -4, 0"), "PermissionError: [Errno 1]"),
        (CALL.format("'clone3', None, 0"), "OSError: [Errno 38]"),
        (MAKE_A_SOCKET.format("socket.AF_NETLINK, socket.SOCK_RAW, 0"), ""),
        (MAKE_A_SOCKET.format("socket.AF_INET6"), ""),
        ("import os; os.unshare(os.CLONE_FS)", ""),
        ("import os, threading; os.fork() and os.wait(); threading.Thread().start()", ""),
    ],
)
def test_what_reaches_the_machine_is_denied_as_by_docker_and_nothing_else(
    code: str, error: str
) -> None:
    """
    Processes, threads and all other sockets are as before.
    """
    found = error_of(code)
    assert found.startswith(error)
    assert bool(found) == bool(error)


def test_a_filter_is_for_the_thread_that_sets_it_and_for_its_children() -> None:
    """
    The runner goes on without one: dockerd and runc need what it denies.
    """
    assert "[Errno 1]" in error_of(CALL.format("'keyctl', 0, -4, 0"))
    status = Path("/proc/self/status").read_text()
    assert "Seccomp:\t0" in status
