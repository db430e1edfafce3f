"""
Random kills: planned from a seed, carried out in tiny runs, judged by what they leave and lose.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.errors import INTERRUPTED_STATUS
from experiments.machines.lock import is_free
from experiments.paths import PROJECT
from experiments.processes import Process
from experiments.records.files import MANIFEST, RAW
from tests.soak.host import ENDS_WITHIN_S, Before, await_clean, groups, record_faults
from tests.soak.processes import IN_A_TRIAL, OWNERS, Seen, Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEGINS_WITHIN_S = 120.0
"""In which a run reaches the phase of its next kill, or its next block."""

POLL_S = 0.02
LOOK_S = 0.2

ROUNDS = 2
VARIANTS = ("netns", "docker-as-published")
"""One of each runtime; the second has a docker-proxy in the path."""

TINY = (
    *("--requests", "20", "--warmup-requests", "20", "--workload", "fixed", "--minutes", "60"),
    *("--machine", "local", "--variants", ",".join(VARIANTS)),
)

SEARCH = """\
[variants.netns]
about = "raw namespaces"
runtime = "process"
network = "bridge"
entry = "direct"
discovery = "addresses"

[variants.quiet]
about = "without a log of requests"
like = "netns"
request_log = "off"

[search]
name = "best"
about = "the better one"
start = "netns"
blocks = 1
rounds = 2
changes = [{request_log = "off"}]
"""
"""A variants file with the smallest search."""


@dataclass(frozen=True)
class Phase:
    """
    A phase in which a kill falls, up to ``within_s`` seconds after its beginning.

    ``own`` says that a run has it once, so that each kill in it needs a run of its own.
    """

    within_s: float
    own: bool = False


PHASES = {
    "start": Phase(4.0, own=True),
    "pilot": Phase(8.0, own=True),
    "search": Phase(6.0, own=True),
    "report": Phase(2.5, own=True),
    "build": Phase(25.0, own=True),
    "bring up": Phase(4.0),
    "warm-up": Phase(0.6),
    "loading": Phase(0.6),
    "frozen": Phase(0.6),
    "taking down": Phase(0.6),
}

SIGNALS = ("SIGKILL",) * 7 + ("SIGTERM", "SIGINT", "SIGHUP")
MOST_NAMED = 5
"""Of what is left, in the results."""

PAIR_S = 2.0
"""The longest time between the two kills of a pair."""


@dataclass(frozen=True)
class Plan:
    """
    One kill or a pair of kills: the phase, the delay in it, and the targets in order of preference.

    A target that does not live at that moment is replaced by the next one.
    """

    seed: str
    phase: str
    delay_s: float
    targets: tuple[tuple[str, ...], ...]
    signals: tuple[str, ...]
    pair_s: float
    nox: bool
    pick: int

    @classmethod
    def of(cls, seed: str, *, cheap: bool = False) -> Plan:
        """
        The plan of a seed; ``cheap`` ones mostly leave their run alive.
        """
        drawn = random.Random(seed)  # noqa: S311 - no secret
        names = [name for name, phase in PHASES.items() if not (cheap and phase.own)]
        phase = drawn.choice(names)
        count = drawn.choice((1, 2))
        targets = []
        for _ in range(count):
            ending = drawn.random() < (0.12 if cheap else 0.5)
            first, then = (OWNERS, IN_A_TRIAL) if ending else (IN_A_TRIAL, OWNERS)
            targets.append((*drawn.sample(first, len(first)), *drawn.sample(then, len(then))))
        return cls(
            seed=seed,
            phase=phase,
            delay_s=drawn.uniform(0, PHASES[phase].within_s),
            targets=tuple(targets),
            signals=tuple(drawn.choice(SIGNALS) for _ in range(count)),
            pair_s=drawn.uniform(0, PAIR_S) if count == 2 else 0.0,
            nox=drawn.random() < 0.5,
            pick=drawn.randrange(1000),
        )


@dataclass
class Outcome:
    """
    What one kill did; ``faults`` is empty if every promise held.

    ``ended_s`` are the seconds from the kill to the end of the run, if it ended by it, and
    ``clean_s`` from then on until nothing of it was left.
    """

    seed: str
    phase: str
    roles: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    pair_s: float = 0.0
    went_on: bool = False
    ended_s: float | None = None
    clean_s: float | None = None
    status: int | None = None
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """
        One line of the results.
        """
        return asdict(self)


def ends(role: str, signal_name: str) -> bool:
    """
    Whether this signal to a process of this role has to end the run.

    The process that made the PID namespace only waits in it, and leaves requests to others.
    """
    return role not in IN_A_TRIAL and (role != "unshare" or signal_name == "SIGKILL")


class Session:
    """
    One run that suffers kills until it ends.
    """

    def __init__(self, folder: Path, cache: Path, plan: Plan, excused: set[str]) -> None:
        """
        Start the command; ``excused`` are control groups that were told to be left before.
        """
        self.results = folder / f"run-{plan.seed}"
        self.results.mkdir(parents=True)
        self.cache = cache
        self.excused = excused
        self.before = Before.now(cache)
        self.lines: list[str] = []
        self.roles: list[tuple[str, str]] = []
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            self._command(plan),
            cwd=PROJECT,
            env={
                **{n: v for n, v in os.environ.items() if n != "NOX_CURRENT_SESSION"},
                "BRIDGETOLL_CACHE": str(cache),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.tree = Tree(self.process.pid)
        self._looked = 0.0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _command(self, plan: Plan) -> list[str]:
        own = ("--owner", str(Process.of(os.getpid())))
        if plan.phase == "build":
            return [sys.executable, "-u", "-m", "experiments", *own, "userland"]
        arguments = ["--results", str(self.results), *TINY]
        if plan.phase == "search":
            file = self.results / "search.toml"
            file.write_text(SEARCH)
            arguments += ["--variants-file", str(file), "--variants", "netns,quiet,best"]
        if plan.phase == "pilot":
            arguments += ["--half-width", "5"]
        else:
            arguments += ["--rounds", str(ROUNDS)]
            arguments += ["--blocks", "1" if plan.phase == "report" else "500"]
        if plan.nox or plan.phase == "report":
            return [sys.executable, "-u", "-m", "nox", "-s", "measure", "--", *arguments]
        return [sys.executable, "-u", "-m", "experiments", *own, "measure", *arguments]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def run(self) -> Path | None:
        """
        The folder of the run, once there is one.
        """
        return next((path.parent for path in self.results.glob(f"*/{MANIFEST}")), None)

    @property
    def is_spent(self) -> bool:
        """
        Whether it has ended, or goes on without one of its runtimes.
        """
        aside = any("is set aside after" in line for line in list(self.lines))
        return aside or self.process.poll() is not None

    def blocks(self) -> int:
        """
        The number of blocks that have begun.
        """
        return sum(line.startswith("block ") for line in list(self.lines))

    def living(self) -> list[Seen]:
        """
        The processes of the run now.
        """
        self._looked = time.monotonic()
        return self.tree.look()

    def has_ended(self) -> bool:
        """
        Whether nothing of the run lives: neither the command nor what it left to a keeper.
        """
        return self.process.poll() is not None and not self.living() and is_free()

    def wait(self, condition: Callable[[], object], limit_s: float) -> bool:
        """
        Wait for a condition, or for the end of the command, or for the limit.
        """
        deadline = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            if time.monotonic() - self._looked > LOOK_S:
                self.living()
                if self.process.poll() is not None:
                    return bool(condition())
            time.sleep(POLL_S)
        return True

    def await_end(self, limit_s: float) -> bool:
        """
        Wait until nothing of the run lives.
        """
        deadline = time.monotonic() + limit_s
        while not self.has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def raw(self, pattern: str) -> set[str]:
        """
        Paths in the raw data.
        """
        return set() if self.run is None else {str(p) for p in (self.run / RAW).glob(pattern)}

    def reach(self, phase: str) -> bool:
        """
        Wait for the beginning of a phase of the next block, or of the run.
        """
        block = self.blocks()
        seen = self.raw("[0-9]*/*")
        conditions: dict[str, Callable[[], object]] = {
            "start": lambda: True,
            "pilot": lambda: self.raw("pilot*"),
            "search": lambda: self.raw("search*"),
            "report": lambda: any("-m analysis" in line for line in list(self.lines)),
            "build": lambda: any("installing" in line for line in list(self.lines)),
            "bring up": lambda: self.blocks() > block,
            "warm-up": lambda: self.raw("[0-9]*/cold") - seen,
            "loading": lambda: self.raw("[0-9]*/round-01") - seen,
            "frozen": lambda: self.raw("[0-9]*/round-01") - seen,
            "taking down": lambda: self.raw(f"[0-9]*/round-{ROUNDS:02}") - seen,
        }
        return self.wait(conditions[phase], BEGINS_WITHIN_S)

    def strike(self, plan: Plan, outcome: Outcome) -> None:
        """
        Send the signals of a plan to what lives of its targets.
        """
        for number, (wanted, name) in enumerate(zip(plan.targets, plan.signals, strict=True)):
            time.sleep(plan.pair_s if number else plan.delay_s)
            living = self.living()
            if plan.phase == "frozen":
                living.sort(key=lambda seen: not seen.frozen)
            found = {role: [s for s in living if s.role == role] for role in wanted}
            if plan.phase in {"report", "build"} and number == 0:
                own = "report" if plan.phase == "report" else "build step"
                found = {own: [s for s in living if s.role == own], **found}
            for role, candidates in found.items():
                if candidates:
                    frozen = [s for s in candidates if s.frozen] if plan.phase == "frozen" else []
                    chosen = (frozen or candidates)[plan.pick % len(frozen or candidates)]
                    with suppress(ProcessLookupError):
                        os.kill(chosen.process.pid, signal.Signals[name])
                    outcome.roles.append(role)
                    outcome.signals.append(name)
                    self.roles.append((role, name))
                    break
        outcome.pair_s = round(plan.pair_s, 3)

    def killed(self, *roles: str) -> int:
        """
        How many of these roles were killed by SIGKILL so far.
        """
        return sum(role in roles and name == "SIGKILL" for role, name in self.roles)

    def judge(self, outcome: Outcome, struck: float) -> None:
        """
        Wait until the run has gone on to a further block, or has ended, and say what is wrong.
        """
        block = self.blocks()
        ending = any(map(ends, outcome.roles, outcome.signals))
        if not ending and outcome.phase not in {"report", "build"}:
            # The rest of the struck block and the beginning of the next one.
            self.wait(lambda: self.blocks() > block, BEGINS_WITHIN_S)
            if self.blocks() > block and self.process.poll() is None:
                outcome.went_on = True
                outcome.faults += self._untyped()
                return
        if not self.await_end(ENDS_WITHIN_S if ending else BEGINS_WITHIN_S):
            if outcome.phase == "report" or ending:
                outcome.faults.append(f"it did not end within {ENDS_WITHIN_S:g} s")
            self.end()
        self._after(outcome, struck)

    def _after(self, outcome: Outcome, struck: float) -> None:
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        outcome.status = self.process.wait()
        given_up = any("times in a row" in line for line in self.lines)
        if not (outcome.roles or given_up or outcome.status in {0, INTERRUPTED_STATUS}):
            said = " | ".join(self.lines[-5:])
            outcome.faults.append(f"it ended by itself with status {outcome.status}: {said}")
        outcome.ended_s = round(time.monotonic() - struck, 2)
        both = self.killed("keeper") and self.killed("host command", "nox")
        excused = groups() if both else self.excused
        clean_s, found = await_clean(self.before, self.tree, self.cache, excused)
        if both:
            found = [each for each in found if not each.startswith(f"file {self.cache}/labs/")]
        outcome.clean_s = round(clean_s, 2)
        outcome.faults += [f"left: {each}" for each in found[:MOST_NAMED]]
        if found[MOST_NAMED:]:
            outcome.faults.append(f"left: {len(found) - MOST_NAMED} more")
        if found:
            # Once is enough.
            self.excused |= groups()
        outcome.faults += self._untyped()
        if self.run is not None:
            hard = bool(self.killed("keeper", "unshare", "init", "runner"))
            begun = bool(self.raw("*"))
            orphaned = bool(self.killed("host command")) and (not begun or self.killed(*OWNERS) > 1)
            outcome.faults += record_faults(self.run, hard=hard, orphaned=orphaned)

    def _untyped(self) -> list[str]:
        """
        A traceback in what the command printed.
        """
        lines = list(self.lines)
        for number, line in enumerate(lines):
            if line.startswith("Traceback"):
                rest = [each for each in lines[number:] if each and not each.startswith(" ")]
                del self.lines[: number + 1]
                return [f"a traceback: {' | '.join(rest[:3])}"]
        return []

    def end(self) -> None:
        """
        Stop the run in order, and at the last by force.
        """
        for name in ("SIGTERM", "SIGKILL"):
            for seen in self.living():
                if seen.role in {"host command", "nox"} or name == "SIGKILL":
                    with suppress(ProcessLookupError):
                        os.kill(seen.process.pid, signal.Signals[name])
            if self.await_end(ENDS_WITHIN_S):
                return


class Soak:
    """
    Kills one after another, in as few runs as they allow.
    """

    def __init__(self, folder: Path, cache: Path, build_cache: Path) -> None:
        """
        ``folder`` gets the runs; ``build_cache`` has the wheels and no userland.
        """
        self.folder = folder
        self.cache = cache
        self.build_cache = build_cache
        self.session: Session | None = None
        self.told: set[str] = set()

    def kill(self, plan: Plan) -> Outcome:
        """
        Carry out one plan.
        """
        outcome = Outcome(plan.seed, plan.phase)
        fresh = PHASES[plan.phase].own
        if self.session is not None and (fresh or self.session.is_spent):
            self.finish(outcome)
        if self.session is None:
            await_free()
            cache = self.build_cache if plan.phase == "build" else self.cache
            self.session = Session(self.folder, cache, plan, self.told)
        session = self.session
        if not session.reach(plan.phase):
            session.end()
            said = " | ".join(session.lines[-5:])
            outcome.faults.append(f"the run did not reach the phase: {said}")
            self._close(outcome, time.monotonic())
            return outcome
        started = time.monotonic()
        session.strike(plan, outcome)
        session.judge(outcome, started)
        if not outcome.went_on:
            self._forget(keep=bool(outcome.faults))
        return outcome

    def finish(self, outcome: Outcome) -> None:
        """
        End the run of the last kill in order; what it then leaves or loses is the outcome's.
        """
        if self.session is not None:
            self.session.end()
            self._close(outcome, time.monotonic())

    def _close(self, outcome: Outcome, struck: float) -> None:
        assert self.session is not None
        closing = Outcome(outcome.seed, outcome.phase)
        self.session._after(closing, struck)
        outcome.faults += closing.faults
        self._forget(keep=bool(closing.faults))

    def _forget(self, *, keep: bool) -> None:
        """
        Remove the run's folder, unless it is evidence.
        """
        assert self.session is not None
        if not keep:
            shutil.rmtree(self.session.results, ignore_errors=True)
        else:
            (self.session.results / "printed.txt").write_text("\n".join(self.session.lines))
        self.session = None


def await_free() -> None:
    """
    Wait while another run holds the machine: it is not this soak's.
    """
    deadline = time.monotonic() + BEGINS_WITHIN_S
    while not is_free() and time.monotonic() < deadline:
        time.sleep(1)


def completes(folder: Path, cache: Path) -> list[str]:
    """
    Whether a run of one block still completes on this host; what is wrong otherwise.
    """
    await_free()
    results = folder / "last"
    command = [sys.executable, "-m", "experiments", "--owner", str(Process.of(os.getpid()))]
    done = subprocess.run(
        [
            *(*command, "measure", "--results", str(results), *TINY),
            *("--rounds", str(ROUNDS), "--blocks", "1"),
        ],
        cwd=PROJECT,
        env={**os.environ, "BRIDGETOLL_CACHE": str(cache)},
        check=False,
        capture_output=True,
        text=True,
        timeout=BEGINS_WITHIN_S,
    )
    if done.returncode == 0:
        shutil.rmtree(results)
        with suppress(OSError):
            folder.rmdir()
        return []
    return [f"the last run ended with status {done.returncode}: {done.stdout}{done.stderr}"]
