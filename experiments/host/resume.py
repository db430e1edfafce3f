"""
Resuming a run: checked, prepared, and carried out as the next session of the same plan.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.errors import ResultsError
from experiments.host.comparable import (
    Circumstances,
    code_digest,
    differences,
    refuse_incomparable,
)
from experiments.host.measure import carry_out, git_state, give_back, own_session
from experiments.host.stack import refuse_altered
from experiments.host.unfinished import set_aside_unfinished
from experiments.plan.resumed import altered_declarations
from experiments.records.files import ASIDE
from experiments.records.folder import opened
from experiments.records.manifest import FAILED, RUNNING
from experiments.records.store import read_manifest, read_trials, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from experiments.machines import Machine
    from experiments.records.manifest import Manifest, Session
    from experiments.records.trials import TrialRecord

KILLED = "it was killed; its last trial that counts ended then"


def resume(machine: Machine, run: Path, minutes: float | None) -> int:
    """
    Continue the plan of a run; return the exit status.

    ``minutes`` is a new time budget, instead of what is left of the plan's. Raises BridgetollError,
    and changes nothing of what the run has, if it cannot be continued here.
    """
    machine.up()
    machine.recover(run)
    manifest = read_manifest(run)
    refuse_altered_overlays(run, manifest)
    if manifest.stack:
        refuse_altered(machine, run, manifest.stack)
    machine_record, userland = machine.facts()
    now = Circumstances(machine_record, machine.environment(), userland, code_digest(), git_state())
    found = list(differences(manifest, now))
    refuse_incomparable(found)
    for words in [*found, *altered_declarations(manifest)]:
        print(f"warning: {words}; the run is continued as it was planned", file=sys.stderr)
    try:
        prepared = prepare(run, manifest, minutes)
        return carry_out(machine, run, prepared)
    finally:
        give_back(run)


def prepare(run: Path, manifest: Manifest, minutes: float | None) -> Manifest:
    """
    Set aside what is unfinished, and begin another session in the manifest.
    """
    manifest, aside = set_aside_unfinished(run, manifest)
    if aside:
        words = ", ".join(f"{number} {kind}" for kind, number in aside.items())
        where = run / ASIDE / str(len(manifest.sessions))
        print(f"unfinished, so set aside in {where} and done again: {words}", flush=True)
    sessions = closed(manifest.sessions, read_trials(run))
    left = manifest.minutes - sum(map(used_minutes, sessions))
    budget = max(0.0, left) if minutes is None else minutes
    session = own_session(budget, after_block=len(manifest.order))
    prepared = replace(
        manifest,
        state=RUNNING,
        note="",
        ending="",
        finished_at=None,
        sessions=[*sessions, session],
    )
    write_manifest(run, prepared)
    print(
        f"resuming run {manifest.run} after block {session.after_block}, "
        f"with {budget:.1f} minutes of its time budget",
        flush=True,
    )
    return prepared


def closed(sessions: Iterable[Session], trials: Iterable[TrialRecord]) -> list[Session]:
    """
    The sessions with an end: a session that was killed ended with the last trial that counts.
    """
    moments = [moment for trial in trials for moment in moments_of(trial)]
    found = []
    for each in sessions:
        if each.finished_at is None:
            last = max([each.started_at, *moments])
            state, note = (FAILED, KILLED) if each.state == RUNNING else (each.state, each.note)
            found.append(replace(each, finished_at=last, state=state, note=note))
        else:
            found.append(each)
    return found


def moments_of(trial: TrialRecord) -> list[float]:
    """
    The times at which a trial was under way: it has no phase while others are under load.
    """
    phases_s = sum(trial.phases_s.values())
    return [trial.started_at + phases_s, *(load.started_at for load in trial.loads)]


def used_minutes(session: Session) -> float:
    """
    The minutes that a session took of the time budget.
    """
    return max(0.0, (session.finished_at or session.started_at) - session.started_at) / 60


def refuse_altered_overlays(run: Path, manifest: Manifest) -> None:
    """
    Raise ResultsError for a Compose override file of the run that is no longer as it was.
    """
    for variant in manifest.variants:
        for name, digest in zip(variant.overlays, variant.overlays_sha256, strict=True):
            try:
                with opened(run, str(name)) as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                fault = "was altered since the run began" if found != digest else ""
            except OSError as error:
                fault = f"cannot be read: {error.strerror}"
            if fault:
                msg = f"{run / name} {fault}; restore it, or begin a new run"
                raise ResultsError(msg)
