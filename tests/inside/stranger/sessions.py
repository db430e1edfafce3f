"""
Ways to the caller's terminal, and to what shares a session or a process group with a service.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from .kernel import probe


@probe
def a_terminal_among_all_open_files() -> str:
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(path.stat().st_mode):
                file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
                if os.isatty(file):
                    return f"{path} is {os.ttyname(file)}"
    raise OSError(errno.ENOTTY, "none")


@probe
def the_terminal_of_the_session() -> str:
    os.close(os.open("/dev/tty", os.O_RDWR | os.O_NONBLOCK))
    return "/dev/tty can be opened"


@probe
def a_session_of_others() -> str:
    if os.getsid(0) != 0:
        raise OSError(errno.ESRCH, "its own")
    return "the leader of the session is out of sight"


@probe
def a_process_group_of_others() -> str:
    # kill(0, …) reaches all of it, also what is out of sight.
    if os.getpgrp() != 0:
        raise OSError(errno.ESRCH, "its own")
    os.kill(0, 0)
    return "a process group with members out of sight takes signals"
