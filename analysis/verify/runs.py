"""
The two runs of a verification: this run, and the reference that matches it best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.run import read_run
from analysis.topics.comparisons.findings import is_control
from experiments.errors import ResultsError
from experiments.records.files import MANIFEST, runs_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis.run import Run
    from experiments.records.manifest import Manifest

Pair = tuple[str, str]
"""Baseline and treatment, or the lower and the upper variant of a ladder's step."""


def pairs(manifest: Manifest) -> dict[Pair, str]:
    """
    The effects that a run declares, with their names: comparisons, then steps of ladders.

    A/A comparisons are not effects.
    """
    found = {
        (each.baseline, each.treatment): each.name
        for each in manifest.comparisons
        if not is_control(manifest, each.baseline, each.treatment)
    }
    for ladder in manifest.ladders:
        for lower, upper in ladder.pairs():
            found.setdefault((lower, upper), f"{lower} → {upper}")
    return found


def focal_pairs(manifest: Manifest) -> list[Pair]:
    """
    The effects that a run was made for; all declared effects if it names none.
    """
    declared = pairs(manifest)
    return [pair for pair in manifest.focal if pair in declared] or list(declared)


def read_reference(folder: Path, here: Run, comparable: Callable[[Run], bool]) -> Run:
    """
    The reference: the run in this folder, or of several runs in it the best match for this run.

    Comparable runs come first, then those with the most focal effects in common, then the latest.
    Raises ResultsError if there is none, or if it is this run itself.
    """
    if (folder / MANIFEST).exists():
        return _another(read_run(folder), here)
    folders = runs_in(folder, "*")
    if not folders:
        msg = f"{folder} contains no run to compare with; name one with --reference DIR"
        raise ResultsError(msg)
    own = pairs(here.manifest)

    def suits(run: Run) -> tuple[bool, int, str]:
        shared = sum(pair in own for pair in focal_pairs(run.manifest))
        return comparable(run), shared, run.name

    return _another(max(map(read_run, folders), key=suits), here)


def _another(reference: Run, here: Run) -> Run:
    identities = [(run.name, run.manifest.created_at) for run in (reference, here)]
    if identities[0] == identities[1]:
        msg = (
            f"run {here.name} is the reference itself; name another run, or another reference "
            "with --reference DIR"
        )
        raise ResultsError(msg)
    return reference
