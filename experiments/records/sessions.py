"""
The sessions of a run: which run can be resumed, how, and whether somebody still measures it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import ResultsError
from experiments.records.failures import FAILURES_IN_A_ROW, Failures
from experiments.records.files import MANIFEST, runs_in
from experiments.records.manifest import COMPLETE, RUNNING
from experiments.records.store import read_manifest, read_trials

if TYPE_CHECKING:
    from collections.abc import Iterable

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


def outcome(run: Path, manifest: Manifest, trials: Iterable[TrialRecord]) -> str:
    """
    How far a run is that is not complete, and what continues it; empty if nothing can.

    Older runs have no sessions, and cannot be resumed.
    """
    if manifest.state == COMPLETE or not manifest.sessions or is_spent(manifest, trials):
        return ""
    if is_measured(manifest):
        pid = manifest.sessions[-1].owner.partition(":")[0]
        return f"the run is still being measured, by process {pid}"
    how = "was killed" if manifest.state == RUNNING else f"is {manifest.state}"
    return f"the run {how}; `nox -s measure -- --resume {run}` continues it"


def is_spent(manifest: Manifest, trials: Iterable[TrialRecord]) -> bool:
    """
    Whether all variants of a run failed so often that another session would set all of them aside.
    """
    return {variant.name for variant in manifest.variants} <= Failures(trials).set_aside().keys()


def is_measured(manifest: Manifest) -> bool:
    """
    Whether the process that measures a run still lives, as this system sees it.
    """
    if manifest.state != RUNNING or not sys.platform.startswith("linux"):
        return False
    # Imported here, because it exists on Linux only, and reports are made elsewhere too.
    from experiments.processes import Process  # noqa: PLC0415

    try:
        return Process.parse(manifest.sessions[-1].owner).is_alive()
    except (ValueError, IndexError, OSError):
        return False


def run_to_resume(results: Path, named: str) -> Path:
    """
    The run of this name or path; without a name, the newest one that can be resumed.

    Raises ResultsError if there is none.
    """
    if named:
        return _named(results, named)
    for run in reversed(runs_in(results)):
        try:
            found, trials = read_manifest(run), read_trials(run)
        except ResultsError as error:
            print(f"warning: passed over, because it cannot be read: {error}", file=sys.stderr)
            continue
        if found.state != COMPLETE and found.sessions and not is_spent(found, trials):
            return run
    msg = f"{results} contains no run that can be resumed; `nox -s netns docker` makes a new one"
    raise ResultsError(msg)


def _named(results: Path, named: str) -> Path:
    found = [run for run in (results / named, Path(named)) if (run / MANIFEST).exists()]
    if not found:
        msg = f"there is no run {named} to resume: neither {results / named} nor {named} holds one"
        raise ResultsError(msg)
    manifest = read_manifest(found[0])
    if manifest.state == COMPLETE:
        msg = f"the run {named} is complete; there is nothing to resume"
        raise ResultsError(msg)
    if not manifest.sessions:
        msg = f"the run {named} was made by an older version, which did not record its sessions"
        raise ResultsError(msg)
    if is_spent(manifest, read_trials(found[0])):
        msg = (
            f"every variant of the run {named} failed {FAILURES_IN_A_ROW} times in a row, so there "
            "is nothing to go on with; its report names the causes: mend them and begin a new run"
        )
        raise ResultsError(msg)
    return found[0]
