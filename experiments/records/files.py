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


def runs_in(folder: Path, names: str = "[0-9]*") -> list[Path]:
    """
    The runs in a folder, by their names; a folder that is not there has none.

    Raises ResultsError for a folder that cannot be read, which globbing would pass over.
    """
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError:
        return []
    except OSError as error:
        msg = f"cannot look for runs in {folder}: {error.strerror}"
        raise ResultsError(msg) from error
    return sorted(path.parent for path in folder.glob(f"{names}/{MANIFEST}"))


def latest_run(results: Path) -> Path:
    """
    The latest run by its name, which begins with date and time.

    Raises ResultsError if there is no run.
    """
    runs = runs_in(results)
    if not runs:
        msg = f"{results} contains no run yet; `nox -s netns docker` makes one"
        raise ResultsError(msg)
    return runs[-1]
