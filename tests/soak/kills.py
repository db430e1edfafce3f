"""
Kills one after another, and whether the host still works after them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from experiments.machines.lock import is_free
from experiments.paths import PROJECT
from experiments.processes import Process
from tests.soak.builds import Builds
from tests.soak.plans import PHASES, Outcome
from tests.soak.session import BEGINS_WITHIN_S, ROUNDS, TINY, Session

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.plans import Plan


class Soak:
    """
    Kills one after another, in as few runs as they allow.
    """

    def __init__(self, folder: Path, cache: Path, scratch: Path, variants: str) -> None:
        """
        ``folder`` gets the runs, and ``scratch`` the builds.
        """
        self.folder = folder
        self.cache = cache
        self.builds = Builds(cache, scratch)
        self.variants = variants
        self.session: Session | None = None
        self.told: set[str] = set()

    def kill(self, plan: Plan) -> Outcome:
        """
        Carry out one plan.
        """
        outcome = Outcome(plan.seed, plan.phase)
        kind = PHASES[plan.phase].command
        fresh = PHASES[plan.phase].own
        if self.session is not None and (fresh or self.session.is_spent):
            self.finish(outcome)
        if self.session is None:
            await_free()
            cache = self.cache if kind == "measure" else self.builds.begin(kind)
            self.session = Session(self.folder, cache, plan, self.told, self.variants)
        session = self.session
        if not session.reach(plan.phase):
            session.end()
            said = " | ".join(session.lines[-5:])
            outcome.faults.append(f"the run did not reach the phase: {said}")
            self._close(outcome, time.monotonic())
            return outcome
        if kind != "measure":
            outcome.faults += self.builds.stale()
        started = time.monotonic()
        session.strike(plan, outcome)
        session.judge(outcome, started)
        if kind != "measure":
            unfinished = bool(session.killed("host command"))
            outcome.faults += self.builds.faults(kind, outcome.status, unfinished=unfinished)
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


def completes(folder: Path, cache: Path, variants: str) -> list[str]:
    """
    Whether a run of one block still completes on this host; what is wrong otherwise.
    """
    await_free()
    results = folder / "last"
    command = [sys.executable, "-m", "experiments", "--owner", str(Process.of(os.getpid()))]
    done = subprocess.run(
        [
            *(*command, "measure", "--results", str(results), *TINY),
            *("--variants", variants, "--rounds", str(ROUNDS), "--blocks", "1"),
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
