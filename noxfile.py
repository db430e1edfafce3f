# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.5.1"]
# ///
"""
Bridgetoll: what Docker costs compared with raw Linux network namespaces.

  nox -s netns docker optimized              measure both systems and what is recommended, in
                                             15 minutes; writes results/<run>/report.md
  nox -s netns docker -- --profile quick     the two systems in three minutes, for a first look
  nox -s ladder                              what every single step costs, in 45 minutes
  nox -s latency                             latency by a seeded schedule, in 35 minutes
  nox -s calibrate                           whether what is put in comes out, in 15 minutes
  nox -s audit -- FILE                       what an output of ab supports, and what not
  nox -s netns -- --help                     every option
  nox -s tests tests_vm                      check everything

What is named first is only enlisted; one `measure` then runs all of it, side by side.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import nox

# nox executes this file by its path, so the packages beside it are not importable by themselves.
sys.path.insert(0, str(Path(__file__).parent))

from experiments.declare.reading import load_variants
from experiments.errors import BridgetollError
from experiments.plan.options import measure_parser
from experiments.records.files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True

LOCKS = Path("requirements")
ORDERLY_STOP_S = 180
"""How long an interrupted run may take to tear down before it is ended by force."""

ONLY_V2 = 'umount --lazy --recursive /sys/fs/cgroup; mount -t cgroup2 v2 /sys/fs/cgroup; exec "$@"'
"""Run a command where cgroup v2 alone is mounted."""

enlisted: list[str] = []
"""Variants that the sessions so far stand for."""

arguments_of_sessions: list[str] = []
"""What they ask of `measure` besides."""

SESSION_ARGUMENTS = {"latency": ["--open-loop"]}

budgets: list[float] = []
"""Minutes that they need, where that is more than the profile gives."""


def install(session: nox.Session, lock: str) -> None:
    """
    Install a lock file into the session's environment, unless it is there already.
    """
    path = LOCKS / f"{lock}.txt"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    stamp = Path(session.virtualenv.location) / "installed-lock"
    if not stamp.exists() or stamp.read_text() != digest:
        session.install("--require-hashes", "-r", str(path))
        stamp.write_text(digest)


def enlist(session: nox.Session, group: str) -> None:
    """
    Add a group's variants to the run that `measure` makes in the end.
    """
    try:
        options = measure_parser(group).parse_args(session.posargs)
        declared = load_variants(options.variants_file)
    except BridgetollError as error:
        session.error(str(error))
    if group not in declared.groups:
        session.error(
            f"{options.variants_file} declares no group {group!r}; add one under [groups], "
            "or name variants with `nox -s measure -- --variants …`"
        )
    enlisted.extend(declared.groups[group].variants)
    arguments_of_sessions.extend(SESSION_ARGUMENTS.get(group, []))
    if declared.groups[group].agreement:
        arguments_of_sessions.extend(["--agreement", ",".join(declared.groups[group].agreement)])
    budgets.append(declared.groups[group].minutes.get(options.profile, 0.0))
    session.notify("measure")


def variant_session(group: str, text: str) -> Callable[[nox.Session], None]:
    """
    A session that enlists one group.
    """

    def run(session: nox.Session) -> None:
        enlist(session, group)

    run.__name__ = group
    run.__doc__ = text
    return nox.session(name=group, venv_backend="none", default=False)(run)


netns = variant_session("netns", "Enlist the stack in raw network namespaces, then measure.")
docker = variant_session("docker", "Enlist the stack in Docker Compose, then measure.")
optimized = variant_session(
    "optimized", "Enlist host network, gunicorn, limits and all together, then measure."
)
ladder = variant_session(
    "ladder", "Enlist one factor a step from a bare process to Docker, then measure; 45 minutes."
)
latency = variant_session(
    "latency", "Enlist both systems, loaded by a schedule (open loop), then measure; 35 minutes."
)
calibrate = variant_session(
    "calibrate", "Enlist doses of CPU time and of sleep, to see whether they come out; 15 minutes."
)


@nox.session(default=False)
def measure(session: nox.Session) -> None:
    """
    Measure what was enlisted (or --variants), side by side in blocks, then report.
    """
    arguments = list(session.posargs)
    try:
        options = measure_parser().parse_args(arguments)
    except BridgetollError as error:
        session.error(str(error))
    if options.variants is None and enlisted:
        arguments += ["--variants", ",".join(dict.fromkeys(enlisted))]
    arguments += arguments_of_sessions
    if options.minutes is None and any(budgets):
        arguments += ["--minutes", str(max(budgets))]
    install(session, "host")
    before = runs(options.results)
    try:
        run_orderly(session, "python", "-m", "experiments", "measure", *arguments)
    except KeyboardInterrupt:
        # nox runs no further session now, and what has been measured deserves its report.
        for run in sorted(runs(options.results) - before):
            session.run("python", "-m", "analysis", str(run), success_codes=[0, 1])
        raise
    finally:
        # Also after a failure, but not when it came before there was a run.
        for run in sorted(runs(options.results) - before):
            session.notify("report", [str(run)])


def run_orderly(session: nox.Session, *command: str) -> None:
    """
    Run a command that has something to put in order when it is interrupted, and let it.
    """
    signal.signal(signal.SIGINT, first_interrupt)
    try:
        session.run(*command, interrupt_timeout=ORDERLY_STOP_S, terminate_timeout=ORDERLY_STOP_S)
    finally:
        # After a Ctrl-C no other is heard: what is left, the report, is short.
        if signal.getsignal(signal.SIGINT) is first_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def first_interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """
    Let the first Ctrl-C stop the run in its orderly way, which a second one would break off.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def runs(results: Path) -> set[Path]:
    """
    The folders of the runs that have begun.
    """
    return {manifest.parent for manifest in results.glob(f"*/{MANIFEST}")}


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """
    Make report.md and report.html again from the latest run's records, or those named; no root.
    """
    install(session, "host")
    session.run("python", "-m", "analysis", *session.posargs)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """
    Audit what ab printed: files, or standard input; several are arms of a comparison; no root.
    """
    install(session, "host")
    # Findings are a result, not a failure of the session; scripts call the module, as --help says.
    session.run("python", "-m", "analysis.audit", *session.posargs, success_codes=[0, 1])


@nox.session(default=False)
def verify(session: nox.Session) -> None:
    """
    Compare the effects of a run (default: the latest) with the reference run; no root.
    """
    install(session, "host")
    # That a run reproduces nothing, or cannot tell, is an answer and no failure of the session.
    session.run("python", "-m", "analysis.verify", *session.posargs, success_codes=[0, 1, 2])


@nox.session(default=False)
def reference(session: nox.Session) -> None:
    """
    Keep a run, compressed, in results/reference/, as what others are compared with; no root.
    """
    install(session, "host")
    session.run("python", "-m", "analysis.reference", *session.posargs)


@nox.session(default=False)
def userland(session: nox.Session) -> None:
    """
    Build the root file system that every arm uses, if it is not in the cache; root.
    """
    install(session, "host")
    session.run("python", "-m", "experiments", "userland", *session.posargs)


@nox.session(default=False)
def lab(session: nox.Session) -> None:
    """
    Run a command inside the sealed lab, or a shell to look around in; root.
    """
    install(session, "host")
    session.run("python", "-m", "experiments", "lab", *session.posargs)


def machine_session(name: str, text: str) -> Callable[[nox.Session], None]:
    """
    A session that does one thing to the VM or to its box.
    """

    def run(session: nox.Session) -> None:
        install(session, "host")
        run_orderly(session, "python", "-m", "experiments", name, *session.posargs)

    run.__name__ = name
    run.__doc__ = text
    return nox.session(name=name, default=False)(run)


box = machine_session("box", "Build the VM's box, if it is not in the cache; a minute; root.")
up = machine_session("up", "Start the VM, building its box first; what is up is reused; root.")
pull = machine_session("pull", "Fetch what is still in the VM of runs that broke off; root.")
halt = machine_session("halt", "Shut the VM down; its disk stays; root.")
destroy = machine_session("destroy", "Remove the VM and all that it brought to this host; root.")


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """
    Check style with ruff and types with mypy.
    """
    install(session, "dev")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session(default=False)
def unit(session: nox.Session) -> None:
    """
    Test everything that is pure; seconds, no root.
    """
    install(session, "dev")
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """
    Look at report.html in Chromium, which is installed if it is missing; a minute; root for that.
    """
    install(session, "dev")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """
    Check style, types, units, page, lab, the main command on a clean clone; 20 minutes; root.
    """
    install(session, "dev")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("pytest", "tests/unit")
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        session.error(
            "the lab's tests need root on Linux; `nox -s lint unit` is what needs neither"
        )
    session.run("pytest", "tests/browser")
    session.run("python", "-m", "experiments", "userland")
    session.run("pytest", "tests/lab")
    pure = Path(session.create_tmp()) / "pytest"
    shutil.rmtree(pure, ignore_errors=True)
    lock = str(LOCKS / "lab-tests.txt")
    session.run(
        *("python", "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"),
        *("--target", str(pure), "-r", lock),
    )
    inside = ("python", "-m", "tests.inside", str(pure))
    session.run(*inside)
    # Freezing once more where there is no other hierarchy than that of cgroup v2.
    session.run(
        *("unshare", "--mount", "--propagation", "private", "sh", "-euc", ONLY_V2, "v2", *inside),
        *("-k", "test_freezer or (test_block and not every_level)"),
        external=True,
    )
    session.run("pytest", "tests/end_to_end")


@nox.session(default=False)
def tests_vm(session: nox.Session) -> None:
    """
    Check the VM for real: build, up, two blocks, rungs, pull, halt, up, destroy; 20 minutes; root.
    """
    install(session, "dev")
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        session.error("the VM's tests need root on Linux")
    run_orderly(session, "pytest", "tests/vm", "-s", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """
    Time every phase and print the table beside its targets; half an hour; root.
    """
    install(session, "host")
    # The bench starts nox again, which is not in the session's own environment.
    environment = {"BRIDGETOLL_NOX_PYTHON": sys.executable}
    session.run("python", "-m", "experiments", "bench", *session.posargs, env=environment)


if __name__ == "__main__":
    nox.main()
