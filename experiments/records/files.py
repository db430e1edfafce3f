"""
The names of a run's files, and the version of their schema.
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
ASIDE = "aside"
REPORT = "report.md"

COMPRESSED = ".xz"
"""The suffix of a record file that is compressed by xz."""


def latest_run(results: Path) -> Path:
    """
    The latest run by its name, which begins with date and time.

    Raises ResultsError if there is no run.
    """
    runs = sorted(path.parent for path in results.glob(f"[0-9]*/{MANIFEST}"))
    if not runs:
        msg = f"{results} contains no run yet; `nox -s netns docker` makes one"
        raise ResultsError(msg)
    return runs[-1]
