"""
One run, or one build, that suffers kills until it ends, and is judged by what it leaves and loses.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from experiments.errors import INTERRUPTED_STATUS
from experiments.machines.lock import is_free
from experiments.paths import PROJECT, PROJECT_IN_LAB
from experiments.processes import Process
from experiments.records.files import MANIFEST, RAW
from tests.soak.host import ENDS_WITHIN_S, Before, await_clean, groups, record_faults
from tests.soak.plans import PHASES, Outcome, ends, kills
from tests.soak.processes import BUILD_STEP, LOOK_S, OWNERS, Seen, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.soak.plans import Plan

BEGINS_WITHIN_S = 300.0
"""In which a run reaches the phase of its next kill, or its next block; also on a busy machine."""

POLL_S = 0.1

MOST_NAMED = 5
"""Of what is left, in the results."""

ROUNDS = 2
VARIANTS = "netns,docker-as-published"
"""One of each runtime; the second has a docker-proxy in the path."""

TINY = (
    *("--requests", "20", "--warmup-requests", "20", "--workload", "fixed", "--minutes", "60"),
    *("--machine", "local"),
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


class Session:
    """
    One run that suffers kills until it ends.
    """

    def __init__(
        self, folder: Path, cache: Path, plan: Plan, excused: set[str], variants: str
    ) -> None:
        """
        Start the command; ``excused`` are control groups that were told to be left before.
        """
        self.results = folder / f"run-{plan.seed}"
        self.results.mkdir(parents=True)
        self.cache = cache
        self.excused = excused
        self.variants = variants
        self.before = Before.now(cache)
        self.lines: list[str] = []
        self.roles: list[tuple[str, str]] = []
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            # Under `nohup` runs would ignore SIGHUP too, as they should.
            ["env", "--default-signal=HUP", *self._command(plan)],
            cwd=PROJECT,
            env={
                **{n: v for n, v in os.environ.items() if n != "NOX_CURRENT_SESSION"},
                "BRIDGETOLL_CACHE": str(cache),
                # A build says by which step it is, and nox gives it no terminal.
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.tree = Tree(self.process.pid)
        self._next_look = 0.0
        self._judged = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _command(self, plan: Plan) -> list[str]:
        command = PHASES[plan.phase].command
        arguments = self._arguments(plan) if command == "measure" else []
        if plan.nox or plan.phase == "report":
            return [sys.executable, "-m", "nox", "-s", command, "--", *arguments]
        own = ("--owner", str(Process.of(os.getpid())))
        return [sys.executable, "-m", "experiments", *own, command, *arguments]

    def _arguments(self, plan: Plan) -> list[str]:
        arguments = ["--results", str(self.results), *TINY, "--variants", self.variants]
        if plan.phase == "search":
            file = self.results / "search.toml"
            file.write_text(SEARCH)
            arguments += ["--variants-file", str(file), "--variants", "netns,quiet,best"]
        if plan.phase == "pilot":
            arguments += ["--half-width", "5"]
        else:
            arguments += ["--rounds", str(ROUNDS)]
            arguments += ["--blocks", "1" if plan.phase == "report" else "500"]
        return arguments

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
        return self.has_said("is set aside after") or self.process.poll() is not None

    def has_said(self, text: str) -> bool:
        """
        Whether a line that it printed contains this text.
        """
        return any(text in line for line in list(self.lines))

    def blocks(self) -> int:
        """
        The number of blocks that have begun.
        """
        return sum(line.startswith("block ") for line in list(self.lines))

    def living(self) -> list[Seen]:
        """
        The processes of the run now.
        """
        began = time.monotonic()
        found = self.tree.look()
        # A slow machine, such as an emulated one, is not kept busy by looking at it.
        ended = time.monotonic()
        self._next_look = ended + max(LOOK_S, 4 * (ended - began))
        return found

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
            if time.monotonic() > self._next_look:
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
            "report": lambda: self.has_said("-m analysis"),
            "userland": lambda: self.has_said("userland: installing"),
            "image": lambda: self.has_said("userland: making"),
            "box": lambda: self.has_said("box: installing"),
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
            if BUILD_STEP in found:
                found[BUILD_STEP] = [s for s in living if s.role == "other"]
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
        How many of these roles were killed without an order so far.
        """
        return sum(role in roles and kills(role, name) for role, name in self.roles)

    def judge(self, outcome: Outcome, struck: float) -> None:
        """
        Wait until the run has gone on to a further block, or has ended, and say what is wrong.
        """
        block = self.blocks()
        ending = any(map(ends, outcome.roles, outcome.signals))
        if not ending and not PHASES[outcome.phase].role:
            # The rest of the struck block and the beginning of the next one.
            self.wait(lambda: self.blocks() > block, BEGINS_WITHIN_S)
            if self.blocks() > block and self.process.poll() is None:
                outcome.went_on = True
                outcome.faults += self._untyped()
                return
        is_build = PHASES[outcome.phase].role == BUILD_STEP
        if not self.await_end(ENDS_WITHIN_S if ending or is_build else BEGINS_WITHIN_S):
            if outcome.phase == "report" or ending:
                outcome.faults.append(f"it did not end within {ENDS_WITHIN_S:g} s")
            self.end()
        self._after(outcome, struck)

    def _after(self, outcome: Outcome, struck: float) -> None:
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        outcome.status = self.process.wait()
        given_up = self.has_said("times in a row")
        if not (outcome.roles or given_up or outcome.status in {0, INTERRUPTED_STATUS}):
            said = " | ".join(self.lines[-5:])
            outcome.faults.append(f"it ended by itself with status {outcome.status}: {said}")
        outcome.ended_s = round(time.monotonic() - struck, 2)
        both = self.killed("keeper") and self.killed("host command")
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
        A traceback of the project in what the command printed.
        """
        lines = self.lines[self._judged :]
        self._judged += len(lines)
        found = own_traceback(lines)
        return [f"a traceback: {found}"] if found else []

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


def own_traceback(lines: Sequence[str]) -> str:
    """
    The last line of the first traceback through the project's code; empty without one.

    Others are nox's own, or an error quotes them: of a service, or of a tool of a build.
    """
    own = False
    for line in lines:
        if line.startswith("Traceback"):
            own = False
        elif line.startswith("  "):
            path = line.partition('"')[2].partition('"')[0]
            place = path.removeprefix(f"{PROJECT}/").removeprefix(f"{PROJECT_IN_LAB}/")
            own = own or (place != path and not place.startswith(("services/", ".nox/")))
        elif own and line.strip():
            return line
    return ""
