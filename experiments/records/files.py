"""
The files of a run by their names, and the version of what is in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.errors import ResultsError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 7

MANIFEST = "manifest.json"
TRIALS = "trials.jsonl"
SEARCH_TRIALS = "search.jsonl"
PILOT_TRIALS = "pilot.jsonl"
ARTEFACT_TRIALS = "artefact.jsonl"
AGREEMENT_LOADS = "agreement.jsonl"
RAW = "raw"

COMPRESSED = ".xz"
"""What the names of a kept run's records end with: a record file may be compressed by xz."""


def latest_run(results: Path) -> Path:
    """
    The run that was begun last, by its name, which begins with its date and time.

    Raises ResultsError when there is none.
    """
    runs = sorted(path.parent for path in results.glob(f"[0-9]*/{MANIFEST}"))
    if not runs:
        msg = f"{results} holds no run yet; `nox -s netns docker` makes one"
        raise ResultsError(msg)
    return runs[-1]
