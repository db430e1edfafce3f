"""
The keeper of a lab: ``python -m experiments.lab.keeper OWNER NOTE READY COMMAND …``.

It stands between the lab and the process that entered it, its owner. After the lab's end it removes
the lab's control groups, because the owner may be killed in the same moment. If the owner is
killed, the keeper stops the lab in an orderly way. If the keeper is killed, the kernel kills the
lab, and the owner removes the groups.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from experiments.lab.cgroups import remove_directories
from experiments.processes import Process, first_child, handle_stops, reset_signals

ORDERLY_STOP_S = 60.0
"""The time that a lab without an owner may take to stop."""

REPEAT_S = 1.0
"""The time after which a lab that still runs is asked again: at first it cannot hear."""


def keep(owner: Process, note: Path, ready: int, command: list[str]) -> int:
    """
    Run the command that enters a lab; return its status, as shells do.

    ``note`` has the names of the lab's control groups. ``ready`` is passed on to the command.
    """
    reset_signals()
    with subprocess.Popen(command, pass_fds=(ready,)) as lab:
        os.close(ready)
        handle_stops(lambda _number, _frame: ask_to_stop(lab.pid))
        ending = os.pidfd_open(lab.pid)
        gone = owner.handle()
        if gone is not None:
            select.select([ending, gone], [], [])
        deadline = time.monotonic() + ORDERLY_STOP_S
        while not _has_ended(ending, 0) and not owner.is_alive() and time.monotonic() < deadline:
            ask_to_stop(lab.pid)
            _has_ended(ending, REPEAT_S)
        if not owner.is_alive():
            lab.kill()
        status = lab.wait()
    # Without a note the owner had removed them already.
    with contextlib.suppress(FileNotFoundError):
        groups = json.loads(note.read_text())["groups"]
        remove_directories([Path(path) for path in groups])
        note.unlink()
    return status if status >= 0 else 128 - status


def ask_to_stop(pid: int) -> None:
    """
    Ask the first process of a lab to stop; ``pid`` is the process that made its PID namespace.
    """
    with contextlib.suppress(ProcessLookupError):
        first = first_child(pid)
        # An interactive shell ignores SIGTERM.
        for number in (signal.SIGTERM, signal.SIGHUP):
            os.kill(first, number)


def _has_ended(handle: int, timeout_s: float) -> bool:
    return bool(select.select([handle], [], [], timeout_s)[0])


if __name__ == "__main__":
    sys.exit(keep(Process.parse(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
