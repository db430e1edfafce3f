"""
The command line behind the nox sessions: ``python -m experiments [--owner PROCESS] COMMAND …``.

It runs on the host. A command that has an owner ends, as if interrupted, when its owner ends.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from experiments.errors import (
    INTERRUPTED_STATUS,
    OF_MACHINE,
    BridgetollError,
    HostError,
    ResultsError,
    UsageError,
)
from experiments.host.measure import git_state, give_back, measure
from experiments.host.resume import resume
from experiments.machines.choice import choose_machine, vagrant_machine
from experiments.machines.local import LocalMachine, cache_directory
from experiments.machines.lock import RunLock
from experiments.machines.vm_needs import find_or_build_box
from experiments.paths import PROJECT
from experiments.plan.draft import draft_manifest
from experiments.plan.options import add_mirror, given_options, measure_parser
from experiments.plan.requests import workloads_of
from experiments.plan.resumed import mirror_of, refuse_contradictions
from experiments.processes import Process, stop_without
from experiments.records.files import REPORT, latest_run
from experiments.records.sessions import outcome, run_to_resume
from experiments.records.store import read_manifest, read_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


PROXIES = ("http_proxy", "https_proxy", "no_proxy")
KEPT_BY_SUDO = (
    *("BRIDGETOLL_CACHE", "XDG_CACHE_HOME", "TERM", "NO_COLOR", "PIP_INDEX_URL", "PIP_CERT"),
    *(*PROXIES, *map(str.upper, PROXIES)),
)
"""Variables that root needs too, builds among them."""


def run_measure(arguments: Sequence[str]) -> int:
    """
    Plan a run and execute it on the chosen machine.
    """
    options = measure_parser().parse_args(arguments)
    if options.resume is not None:
        return run_resume(arguments)
    source = git_state()
    manifests = [draft_manifest(options, source, each) for each in workloads_of(options)]
    machine, reason = choose_machine(options.machine, cache_directory(), options.mirror)
    if os.geteuid() != 0 and (isinstance(machine, LocalMachine) or shutil.which("sudo")):
        return become_root(["measure", *arguments])
    with RunLock():
        name_what_has_no_report(options.results)
        print(f"machine: {reason}", flush=True)
        statuses = []
        for manifest in manifests:
            statuses.append(measure(machine, reason, options.results, manifest))
            if statuses[-1] == INTERRUPTED_STATUS:
                break
        return max(statuses)


def run_resume(arguments: Sequence[str]) -> int:
    """
    Continue a run that did not end, on the machine that it began on.
    """
    given = given_options(arguments)
    options = measure_parser().parse_args(arguments)
    run = run_to_resume(options.results, options.resume)
    plan = read_manifest(run)
    refuse_contradictions(given, plan)
    machine, _ = choose_machine(plan.machine.name or "auto", cache_directory(), mirror_of(plan))
    if os.geteuid() != 0 and (isinstance(machine, LocalMachine) or shutil.which("sudo")):
        return become_root(["measure", *arguments])
    with RunLock():
        print(f"run to resume: {run}", flush=True)
        return resume(machine, run, options.minutes)


def name_what_has_no_report(results: Path) -> None:
    """
    Say how to report the latest run, if it was left without a report, and how to continue it.
    """
    with contextlib.suppress(ResultsError):
        run = latest_run(results)
        if not (run / REPORT).exists():
            print(f"the run {run} has no report; `nox -s report -- {run}` makes it", flush=True)
            if words := outcome(run, read_manifest(run), read_trials(run)):
                print(words, flush=True)


def become_root(arguments: Sequence[str]) -> int:
    """
    Run the same command under sudo and return its exit status.

    Raises HostError if there is no sudo.
    """
    if shutil.which("sudo") is None:
        msg = "the lab needs root to create namespaces, and there is no sudo; run this as root"
        raise HostError(msg)
    print("the lab needs root to create namespaces: running sudo", flush=True)
    keep = f"--preserve-env={','.join(KEPT_BY_SUDO)}"
    # sudo neither passes SIGKILL on nor lets this process signal root, so root looks after it.
    own = str(Process.of(os.getpid()))
    # Without bytecode of root's in the user's checkout.
    python = [sys.executable, "-B", "-m", "experiments"]
    command = ["sudo", keep, *python, "--owner", own, *arguments]
    # The terminal signals the command too, which then ends in its own time.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    with subprocess.Popen(command, cwd=PROJECT) as process:
        return process.wait()


def enter_lab(arguments: Sequence[str]) -> int:
    """
    Run a command or a shell in the lab.
    """
    parser = argparse.ArgumentParser(
        prog="nox -s lab",
        usage="nox -s lab -- [--mirror URL] [COMMAND …]",
        description="Run a command in the sealed lab; without a command, a shell.",
    )
    add_mirror(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        return become_root(["lab", *arguments])
    with RunLock():
        machine = LocalMachine(cache_directory(), options.mirror)
        machine.up()
        return machine.enter(options.command or ["bash"], ask=True)


def build_userland(arguments: Sequence[str]) -> int:
    """
    Build the userland if the cache does not have it, and print its identity.
    """
    parser = argparse.ArgumentParser(
        prog="nox -s userland",
        usage="nox -s userland -- [--mirror URL]",
        description="Build the root file system of all variants, if it is not in the cache.",
    )
    add_mirror(parser)
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        return become_root(["userland", *arguments])
    with RunLock():
        machine = LocalMachine(cache_directory(), options.mirror)
        machine.up()
    userland = machine.userland
    print(f"userland {userland.digest}: {len(userland.packages)} packages, {userland.directory}")
    print(f"content sha256 {userland.content_sha256}")
    return 0


def run_bench(arguments: Sequence[str]) -> int:
    """
    Time every phase; see ``experiments.host.bench``.
    """
    # Imported here, because only this command needs tabulate.
    from experiments.host.bench import bench  # noqa: PLC0415

    return bench(arguments, cache_directory())


def machine_parser(session: str, description: str) -> argparse.ArgumentParser:
    """
    The parser of a session that only concerns the VM.
    """
    parser = argparse.ArgumentParser(
        prog=f"nox -s {session}",
        usage=f"nox -s {session} -- [--mirror URL]",
        description=description,
    )
    add_mirror(parser)
    return parser


def build_box(arguments: Sequence[str]) -> int:
    """
    Build the VM's box if the cache does not have it, and print its identity.
    """
    description = "Build the VM's box, which contains the userland, if the cache does not have it."
    options = machine_parser("box", description).parse_args(arguments)
    if os.geteuid() != 0:
        return become_root(["box", *arguments])
    with RunLock():
        box = find_or_build_box(cache_directory(), options.mirror)
    print(f"box {box.version}: {box.size_bytes / 1e6:.0f} MB, {box.file}")
    print(f"sha256 {box.sha256}; {len(box.packages)} packages, kernel {box.kernel}")
    print(f"userland {box.userland_digest}, content sha256 {box.userland_content_sha256}")
    return 0


def vm_command(session: str, description: str) -> Callable[[Sequence[str]], int]:
    """
    The command of a session that starts, stops, empties or removes the VM.
    """

    def run(arguments: Sequence[str]) -> int:
        parser = machine_parser(session, description)
        if session == "destroy":
            parser.add_argument(
                "--discard",
                action="store_true",
                help="also delete runs in the VM that were not pulled",
            )
        options = parser.parse_args(arguments)
        if os.geteuid() != 0 and shutil.which("sudo"):
            return become_root([session, *arguments])
        machine, words = vagrant_machine(cache_directory(), options.mirror)
        with RunLock():
            if session == "up":
                print(f"machine: {words}", flush=True)
                machine.up()
            elif session == "pull":
                for run in machine.pull_all():
                    give_back(run)
                    print(f"pulled {run}; `nox -s report -- {run}` writes its report")
            elif session == "halt":
                machine.halt()
            else:
                machine.destroy(discard=options.discard)
        return 0

    return run


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "measure": run_measure,
    "lab": enter_lab,
    "userland": build_userland,
    "bench": run_bench,
    "box": build_box,
    "up": vm_command("up", "Start the VM; build its box first if the cache does not have it."),
    "pull": vm_command("pull", "Copy the runs that are still in the VM to the host."),
    "halt": vm_command("halt", "Shut the VM down; its disk stays."),
    "destroy": vm_command("destroy", "Remove the VM with its disk, network, storage pool and box."),
}


def main(arguments: Sequence[str]) -> int:
    """
    Run a command and return its exit status; a BridgetollError is printed without a traceback.
    """
    try:
        while len(arguments) > 1 and arguments[0] == "--owner":
            stop_without(Process.parse(arguments[1]))
            arguments = arguments[2:]
        if not arguments or arguments[0] not in COMMANDS:
            msg = f"name a command: {', '.join(COMMANDS)}"
            raise UsageError(msg)
        return COMMANDS[arguments[0]](arguments[1:])
    except BridgetollError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        if error.errno not in OF_MACHINE:
            raise
        name = f"{error.filename}: " if error.filename else ""
        print(f"error: {name}{error.strerror}", file=sys.stderr)
        return HostError.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED_STATUS
