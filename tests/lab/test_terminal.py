"""
The caller's terminal: what the lab has of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import termios

import pytest

ENTER = """
import sys
from experiments.machines.local import LocalMachine, cache_directory
from experiments.machines.lock import RunLock
with RunLock():
    machine = LocalMachine(cache_directory())
    machine.up()
    machine.enter(["python3", "-c", sys.argv[1]], ask=sys.argv[2] == "ask")
"""
LOOK = """
import os, stat
from pathlib import Path
seen = set()
for path in Path("/proc").glob("[0-9]*/fd/*"):
    try:
        found = path.stat()
    except OSError:
        continue
    if stat.S_ISCHR(found.st_mode):
        seen.add(found.st_rdev)
print(os.get_terminal_size(1).columns, *seen)
"""
"""Prints the width of its terminal, and the numbers of all devices that are open in the lab."""


@pytest.mark.parametrize(("how", "sees"), [("run", False), ("ask", True)])
def test_only_a_command_of_the_user_s_own_in_the_lab_has_the_terminal(
    how: str, *, sees: bool
) -> None:
    """
    `nox -s lab` is such a command; all others have a terminal of the same width.
    """
    shown, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (33, 77))
    command = [sys.executable, "-c", ENTER, LOOK, how]
    subprocess.run(
        command, stdin=theirs, stdout=theirs, stderr=theirs, check=True, start_new_session=True
    )
    own = os.fstat(theirs).st_rdev
    columns, *devices = map(int, os.read(shown, 10_000).decode().split("\n")[-2].split())
    assert columns == 77
    assert (own in devices) == sees
    os.close(shown)
    os.close(theirs)
