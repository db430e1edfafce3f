"""
The sessions of a run: which run can be resumed, how, and whether somebody still measures it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import ResultsError
from experiments.records.files import MANIFEST
from experiments.records.manifest import COMPLETE, RUNNING
from experiments.records.store import read_manifest

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest


def outcome(run: Path, manifest: Manifest) -> str:
    """
    How far a run is that is not complete, and what continues it; empty for any other run.

    Older runs have no sessions, and cannot be resumed.
    """
    if manifest.state == COMPLETE or not manifest.sessions:
        return ""
    if is_measured(manifest):
        pid = manifest.sessions[-1].owner.partition(":")[0]
        return f"the run is still being measured, by process {pid}"
    how = "was killed" if manifest.state == RUNNING else f"is {manifest.state}"
    return f"the run {how}; `nox -s measure -- --resume {run}` continues it"


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
    for manifest in sorted(results.glob(f"[0-9]*/{MANIFEST}"), reverse=True):
        run = manifest.parent
        try:
            found = read_manifest(run)
        except ResultsError as error:
            print(f"warning: passed over, because it cannot be read: {error}", file=sys.stderr)
            continue
        if found.state != COMPLETE and found.sessions:
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
    return found[0]
