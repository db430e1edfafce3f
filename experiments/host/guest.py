"""
The VM's side of a machine: ``python -m experiments.host.guest COMMAND …``.

The commands are ``execute RUN [STACK]``, ``survey RUN STACK``, ``fill STACK BUILDS``, ``userland``
and ``environment``. It needs only Python and the contents of the box.
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

from experiments.declare.stack import Stack
from experiments.errors import INTERRUPTED_STATUS, BridgetollError
from experiments.host.archives import read_archive
from experiments.machines.local import LocalMachine, cache_directory
from experiments.machines.lock import RunLock
from experiments.machines.settings import ARCHIVES_IN_VM, STACK_IN_VM
from experiments.output import outlive_readers
from experiments.processes import ask_to_stop, hear_stops


def execute(machine: LocalMachine, run: Path, stack: Stack | None) -> int:
    """
    Execute the plan in a folder until it ends or standard input ends; the exit status.
    """
    with RunLock():
        machine.up()
        threading.Thread(target=stop_at_end_of_input, daemon=True).start()
        return machine.execute(run, stack)


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


def survey(machine: LocalMachine, run: Path, stack: Stack) -> int:
    """
    Write what a user's Compose project needs into the run's folder; the exit status.
    """
    with RunLock(), contextlib.redirect_stdout(sys.stderr):
        machine.up()
        machine.survey(run, stack)
    return 0


def fill(machine: LocalMachine, stack: Stack, builds: dict[str, str]) -> int:
    """
    Put a stack's images into the cache, and print the digest of their store.
    """
    with RunLock(), contextlib.redirect_stdout(sys.stderr):
        machine.up()
        archives = sorted(Path(ARCHIVES_IN_VM).iterdir())
        digest = machine.fill_store(stack, [read_archive(path) for path in archives], builds)
    print(digest)
    return 0


def stack_of(text: str) -> Stack:
    """
    A stack as the host describes it.
    """
    known = json.loads(text)
    return Stack(**{**known, "folder": Path(known["folder"]), "files": tuple(known["files"])})


def main() -> int:
    """
    Run a command and return its exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m experiments.host.guest")
    parser.add_argument("--mirror", default="")
    commands = parser.add_subparsers(dest="command", required=True)
    executes = commands.add_parser("execute")
    executes.add_argument("run", type=Path)
    executes.add_argument("stack", type=stack_of, nargs="?")
    surveys = commands.add_parser("survey")
    surveys.add_argument("run", type=Path)
    surveys.add_argument("stack", type=stack_of)
    fills = commands.add_parser("fill")
    fills.add_argument("stack", type=stack_of)
    fills.add_argument("builds", type=json.loads)
    commands.add_parser("userland")
    commands.add_parser("environment")
    options = parser.parse_args()
    machine = LocalMachine(cache_directory(), options.mirror, Path(STACK_IN_VM))
    try:
        if options.command == "execute":
            return execute(machine, options.run, options.stack)
        if options.command == "survey":
            return survey(machine, options.run, options.stack)
        if options.command == "fill":
            return fill(machine, options.stack, options.builds)
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
