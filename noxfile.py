# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.5.1"]
# ///
"""
Bridgetoll: what Docker costs compared with raw Linux network namespaces.

  nox -s netns docker optimized              both systems and the recommended changes;
                                             15 minutes; writes results/<run>/report.md
  nox -s netns docker -- --profile quick     a first look at both systems; 3 minutes
  nox -s ladder                              the cost of each step; 45 minutes
  nox -s latency                             open-loop latency; 35 minutes
  nox -s calibrate                           recovery of injected costs; 15 minutes
  nox -s sweep                               the cost by how heavy a request is; 45 minutes
  nox -s audit -- FILE                       what an output of ab supports
  nox -s netns -- --help                     all options
  nox -s tests tests_vm                      all tests

Sessions such as netns and docker only enlist variants; one `measure` then runs all together.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import nox
from nox.command import CommandFailed

if sys.version_info < (3, 11):  # noqa: UP036 - nox itself may run on an older one
    sys.exit(
        f"error: nox runs on Python {sys.version.split()[0]}, and this needs 3.11 or later; "
        "install nox for such an interpreter: `python3.11 -m pip install nox`"
    )

# nox runs this file by its path, so the packages beside it are not on sys.path.
sys.path.insert(0, str(Path(__file__).parent))

from analysis.statuses import ANSWERED, CANNOT_TELL, FOUND_SOMETHING, NOT_REPRODUCED
from experiments.declare.reading import load_variants
from experiments.errors import BridgetollError
from experiments.plan.options import measure_parser, results_of
from experiments.records.files import MANIFEST
from experiments.records.folder import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True

LOCKS = Path("requirements")
ORDERLY_STOP_S = 180
"""Time for an interrupted run to tear down, before nox kills it."""

STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]

ONLY_V2 = 'umount --lazy --recursive /sys/fs/cgroup; mount -t cgroup2 v2 /sys/fs/cgroup; exec "$@"'
"""Shell script: run a command with only cgroup v2 mounted."""

enlisted: list[str] = []
"""Variants of the sessions that ran so far."""

arguments_of_sessions: list[str] = []
"""Further arguments for `measure` from these sessions."""

SESSION_ARGUMENTS = {"latency": ["--open-loop"]}

budgets: list[float] = []
"""Minutes that each of these sessions needs; 0 means that the profile decides."""


def install(session: nox.Session, lock: str) -> None:
    """
    Install a lock file into the session's environment, unless it is installed already.

    With --no-venv, the environment is the user's and stays as it is.
    """
    # The packages of this checkout are found in the working directory, which this would forbid.
    session.env["PYTHONSAFEPATH"] = ""
    if not session.virtualenv.is_sandboxed:
        return
    path = LOCKS / f"{lock}.txt"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    stamp = Path(session.virtualenv.location) / f"installed-{lock}"
    if not stamp.exists() or stamp.read_text() != digest:
        session.install("--require-hashes", "-r", str(path))
        stamp.write_text(digest)


def enlist(session: nox.Session, group: str) -> None:
    """
    Add a group's variants to the run of the final `measure`.
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
    Make the session that enlists one group.
    """

    def run(session: nox.Session) -> None:
        enlist(session, group)

    run.__name__ = group
    run.__doc__ = text
    return nox.session(name=group, venv_backend="none", default=False)(run)


netns = variant_session("netns", "Enlist the stack in raw network namespaces, then measure.")
docker = variant_session("docker", "Enlist the stack in Docker Compose, then measure.")
optimized = variant_session(
    "optimized", "Enlist the recommended changes, alone and combined, then measure."
)
ladder = variant_session(
    "ladder", "Enlist every step from a bare process to Docker, then measure; 45 minutes."
)
latency = variant_session(
    "latency", "Enlist both systems under open-loop load, then measure; 35 minutes."
)
calibrate = variant_session(
    "calibrate", "Enlist injected doses of CPU time and sleep, then measure; 15 minutes."
)
sweep = variant_session(
    "sweep", "Enlist both systems with heavier and heavier requests, then measure; 45 minutes."
)


@nox.session(default=False)
def measure(session: nox.Session) -> None:
    """
    Measure the enlisted variants (or --variants) side by side in blocks, then report; root.
    """
    arguments = list(session.posargs)
    try:
        options = measure_parser().parse_args(arguments)
    except BridgetollError as error:
        session.error(str(error))
    if options.variants is None and enlisted:
        arguments += ["--variants", ",".join(dict.fromkeys(enlisted))]
    arguments += arguments_of_sessions
    if options.minutes is None and options.resume is None and any(budgets):
        arguments += ["--minutes", str(max(budgets))]
    install(session, "host")
    results = results_of(options)
    before = runs(results)
    try:
        run_orderly(session, *experiments("measure"), *arguments)
    except KeyboardInterrupt:
        # nox runs no further session after Ctrl-C, so the partial run gets its report here.
        for run, _ in sorted(runs(results) - before):
            await_end(run)
            with suppress(CommandFailed):
                session.run("python", "-m", "analysis", str(run))
        raise
    finally:
        # A failed run gets a report too, if it got as far as making its folder.
        for run, _ in sorted(runs(results) - before):
            await_end(run)
            session.notify("report", [str(run)])


def experiments(command: str) -> list[str]:
    """
    The command line of a command that stops when this process is gone, for whatever reason.
    """
    owner = []
    if sys.platform.startswith("linux"):
        # Imported here, because other systems have no such processes, and the command says so.
        from experiments.processes import Process  # noqa: PLC0415

        owner = ["--owner", str(Process.of(os.getpid()))]
    return ["python", "-m", "experiments", *owner, command]


def run_orderly(session: nox.Session, *command: str) -> None:
    """
    Run a command, and give it time to tear down when it is asked to stop.

    Ctrl-C, `kill` and a closed terminal do so. SIGINT counts even if it was ignored at the start,
    as in the background of a script; SIGHUP does not, because that is what `nohup` is for.
    """
    before = {
        number: signal.signal(number, first_stop)
        for number in STOP_SIGNALS
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        session.run(*command, interrupt_timeout=ORDERLY_STOP_S, terminate_timeout=ORDERLY_STOP_S)
    finally:
        # After one request, further ones stay ignored: only the report is left, and it is short.
        for number, handler in before.items():
            if signal.getsignal(number) is first_stop:
                signal.signal(number, handler)


def first_stop(number: int, _frame: FrameType | None) -> NoReturn:
    """
    Pass a request to stop on, and ignore all further ones, which would interrupt the orderly stop.
    """
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    # The terminal's Ctrl-C has reached the command too.
    if number != signal.SIGINT or not in_foreground():
        for children in Path("/proc/self/task").glob("*/children"):
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGTERM)
    raise KeyboardInterrupt


def in_foreground() -> bool:
    """
    Whether Ctrl-C on the terminal reaches this process.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def await_end(run: Path) -> None:
    """
    Wait until a run whose command was killed is taken down, so that the report is of all of it.
    """
    # Imported here, because it exists on POSIX systems only.
    from experiments.machines.lock import is_free  # noqa: PLC0415

    deadline = time.monotonic() + ORDERLY_STOP_S
    while is_running(run) and not is_free() and time.monotonic() < deadline:
        time.sleep(0.2)


def is_running(run: Path) -> bool:
    """
    Whether a run's manifest says that it has not ended.
    """
    try:
        with opened(run, MANIFEST) as file:
            return bool(json.load(file)["state"] == "running")
    except (BridgetollError, OSError, ValueError, LookupError, TypeError):
        # The report says what is wrong with it.
        return False


def runs(results: Path) -> set[tuple[Path, int]]:
    """
    The folders of all runs, including those still running, and when their manifests were written.
    """
    found = results.glob(f"*/{MANIFEST}")
    return {(manifest.parent, manifest.stat().st_mtime_ns) for manifest in found}


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """
    Write report.md and report.html again from the records of the latest run, or RUN; no root.
    """
    install(session, "host")
    session.run("python", "-m", "analysis", *session.posargs)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """
    Audit outputs of ab, from files or standard input; several files are compared; no root.
    """
    install(session, "host")
    # Findings are no failure of the session. Scripts that need the status call the module.
    accepted = [ANSWERED, FOUND_SOMETHING]
    session.run("python", "-m", "analysis.audit", *session.posargs, success_codes=accepted)


@nox.session(default=False)
def verify(session: nox.Session) -> None:
    """
    Compare the effects of a run (default: the latest) with the reference run; no root.
    """
    install(session, "host")
    # "Not reproduced" and "cannot tell" are answers, not failures of the session.
    accepted = [ANSWERED, NOT_REPRODUCED, CANNOT_TELL]
    session.run("python", "-m", "analysis.verify", *session.posargs, success_codes=accepted)


@nox.session(default=False)
def reference(session: nox.Session) -> None:
    """
    Store a run, compressed, as the reference in results/reference/; no root.
    """
    install(session, "host")
    session.run("python", "-m", "analysis.reference", *session.posargs)


@nox.session(default=False)
def userland(session: nox.Session) -> None:
    """
    Build the root file system of all variants, unless it is cached; root.
    """
    install(session, "host")
    session.run(*experiments("userland"), *session.posargs)


@nox.session(default=False)
def lab(session: nox.Session) -> None:
    """
    Run a command (default: a shell) inside the sealed lab; root.
    """
    install(session, "host")
    session.run(*experiments("lab"), *session.posargs)


def machine_session(name: str, text: str) -> Callable[[nox.Session], None]:
    """
    Make a session that manages the VM or its box.
    """

    def run(session: nox.Session) -> None:
        install(session, "host")
        run_orderly(session, *experiments(name), *session.posargs)

    run.__name__ = name
    run.__doc__ = text
    return nox.session(name=name, default=False)(run)


box = machine_session("box", "Build the VM's box, unless it is cached; a minute; root.")
up = machine_session("up", "Start the VM, unless it is up; builds its box first; root.")
pull = machine_session("pull", "Fetch aborted runs that are still in the VM; root.")
halt = machine_session("halt", "Shut down the VM and keep its disk; root.")
destroy = machine_session("destroy", "Remove the VM and everything made for it; root.")


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
    Run the unit tests; two minutes; no root.
    """
    install(session, "dev")
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """
    Test report.html in Chromium; a minute; root, if Chromium must be installed.
    """
    install(session, "dev")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """
    Fuzz everything that reads other people's data; 10 minutes, or --minutes M; no root.
    """
    install(session, "dev")
    install(session, "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@contextmanager
def building(session: nox.Session) -> Iterator[None]:
    """
    Build the userland meanwhile, and the VM's box where its tests follow; none of it is measured.

    A build that fails is no error here: whoever needs it builds it again, and says why it fails.
    """
    command = experiments("box" if "tests_vm" in sys.argv else "userland")
    path = os.pathsep.join([*(session.bin_paths or []), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONSAFEPATH": ""}
    with tempfile.TemporaryFile("w+") as said:
        build = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        try:
            yield
        except BaseException:
            build.terminate()
            raise
        finally:
            build.wait()
            said.seek(0)
            print(said.read(), end="")


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """
    Run all checks and tests except the VM's, also from a clean clone; 25 minutes; root.
    """
    install(session, "dev")
    for_the_lab = sys.platform.startswith("linux") and os.geteuid() == 0
    with building(session) if for_the_lab else nullcontext():
        session.run("ruff", "check")
        session.run("ruff", "format", "--check")
        session.run("mypy")
        session.run("pytest", "tests/unit")
    if not for_the_lab:
        session.error("the lab's tests need root on Linux; `nox -s lint unit` needs neither")
    session.run("pytest", "tests/browser")
    session.run(*experiments("userland"))
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
    # Repeat what depends on control groups with cgroup v2 alone; the VM has its controllers too.
    session.run(
        *("unshare", "--mount", "--propagation", "private", "sh", "-euc", ONLY_V2, "v2", *inside),
        *("-k", "test_freezer or (test_block and (side_by_side or signal))"),
        external=True,
    )
    session.run("pytest", "tests/end_to_end")


@nox.session(default=False)
def tests_vm(session: nox.Session) -> None:
    """
    Test a real VM: build, up, measure, pull, halt, up, destroy; 20 to 35 minutes; root.
    """
    install(session, "dev")
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        session.error("the VM's tests need root on Linux")
    run_orderly(session, "pytest", "tests/vm", "-s", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """
    Kill runs at random, or endure --blocks N; 100 kills in 20 minutes; root.
    """
    install(session, "dev")
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        session.error("the soak needs root on Linux")
    run_orderly(session, *experiments("userland"))
    run_orderly(session, "python", "-m", "tests.soak", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """
    Time every phase against its target; 30 minutes; root.
    """
    install(session, "host")
    # The bench starts nox, which is not installed in the session's environment.
    environment = {"BRIDGETOLL_NOX_PYTHON": sys.executable}
    session.run(*experiments("bench"), *session.posargs, env=environment)


if __name__ == "__main__":
    nox.main()
