"""
The VM's side: ``python -m experiments.host.guest execute RUN``, ``… userland``, ``… environment``.

It needs only Python and the contents of the box.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import threading
from pathlib import Path

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from experiments.errors import INTERRUPTED_STATUS, BridgetollError
from experiments.machines.local import LocalMachine, cache_directory
from experiments.machines.lock import RunLock
from experiments.output import outlive_readers
from experiments.processes import ask_to_stop, hear_stops


def execute(machine: LocalMachine, run: Path) -> int:
    """
    Execute the plan in a folder until it ends or standard input ends; the exit status.
    """
    with RunLock():
        machine.up()
        threading.Thread(target=stop_at_end_of_input, daemon=True).start()
        return machine.execute(run)


def stop_at_end_of_input() -> None:
    """
    Ask this process to stop when its standard input ends: its caller stopped, or is out of reach.
    """
    while os.read(sys.stdin.fileno(), 4096):
        pass
    ask_to_stop()


def userland(machine: LocalMachine) -> int:
    """
    Print the record of the userland as JSON.
    """
    with contextlib.redirect_stdout(sys.stderr):
        machine.up()
    print(json.dumps(dataclasses.asdict(machine.facts()[1])))
    return 0


def environment(machine: LocalMachine) -> int:
    """
    Print the properties of kernel and hardware as JSON.
    """
    print(json.dumps(dataclasses.asdict(machine.environment())))
    return 0


def main() -> int:
    """
    Run a command and return its exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m experiments.host.guest")
    parser.add_argument("--mirror", default="")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("execute").add_argument("run", type=Path)
    commands.add_parser("userland")
    commands.add_parser("environment")
    options = parser.parse_args()
    machine = LocalMachine(cache_directory(), options.mirror)
    try:
        if options.command == "execute":
            return execute(machine, options.run)
        return {"userland": userland, "environment": environment}[options.command](machine)
    except BridgetollError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS


if __name__ == "__main__":
    hear_stops()
    outlive_readers()
    sys.exit(main())
