"""
What an interrupted session left unfinished: it is set aside, and the next session does it again.

A block is whole, or it is done again: a comparison is between loads that lie seconds apart, and a
block with a pause in it would be half of one session and half of another. So the trials of the last
block are set aside unless all of them ended by themselves, with their raw data. So are the records
of a pilot, a search, a length artefact and a repetition of the agreement without a result, and raw
data that no record names.

It is moved to ``aside/<session>/`` in the run; nothing is deleted. If this process is killed
meanwhile, doing it again does the rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.declare.profiles import AGREEMENT_LOADS as LOADS_OF_REPETITION
from experiments.errors import ResultsError
from experiments.records.files import (
    AGREEMENT_LOADS,
    ARTEFACT_TRIALS,
    ASIDE,
    PILOT_TRIALS,
    RAW,
    SEARCH_TRIALS,
    TRIALS,
)
from experiments.records.folder import move, opened, unwritable, write
from experiments.records.manifest import RATE_WANTED, ROUNDS_WANTED
from experiments.records.raw import check_raw, raw_folder
from experiments.records.store import read_agreement, read_trials
from experiments.records.trials import STOPPED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

TRIALS_OF_ARTEFACT = 2

FILES = {PILOT_TRIALS: "pilot", SEARCH_TRIALS: "search", ARTEFACT_TRIALS: "artefact"}
"""Files of trials that do not count, and their kind, as in the names of raw folders."""


def set_aside_unfinished(run: Path, manifest: Manifest) -> tuple[Manifest, Counter[str]]:
    """
    The manifest without the unfinished block, and how many things of each kind were set aside.

    The caller writes the manifest. Raises ResultsError for a run with a record at fault, for a link
    in the way, and if nothing can be moved.
    """
    trials, loads = read_trials(run), read_agreement(run)
    order = list(manifest.order)
    while order and not is_whole(run, len(order), order[-1], trials):
        order.pop()
    stays = [trial.block <= len(order) for trial in trials]
    kept = [trial for trial in trials if trial.block <= len(order)]
    whole = _whole_kinds(run, manifest)
    repetitions = len(order)
    if sum(load.repetition == repetitions for load in loads) < LOADS_OF_REPETITION:
        repetitions -= 1
    folders = {raw_folder(trial).partition("/")[2] for trial in kept}
    last = max((trial.number for trial in kept), default=0)

    def is_kept(folder: str) -> bool:
        kind, _, rest = folder.partition("-")
        if kind == "agreement":
            # Those of the last block have higher numbers than its trials.
            return repetitions == len(order) or rest.partition("-")[0] < f"{last:03}"
        return whole.get(kind, folder in folders)

    aside = f"{ASIDE}/{len(manifest.sessions)}"
    counts = Counter[str]()
    try:
        for name in sorted(path.name for path in (run / RAW).glob("*")):
            if not is_kept(name):
                move(run, f"{RAW}/{name}", f"{aside}/{RAW}/{name}")
                counts["raw folders"] += 1
        counts["trials"] += _keep(run, TRIALS, stays, aside)
        for name, kind in FILES.items():
            stays = [whole[kind] for _ in read_trials(run, name)]
            counts[f"trials of the {kind}"] += _keep(run, name, stays, aside)
        stays = [load.repetition <= repetitions for load in loads]
        counts["loads of the agreement"] += _keep(run, AGREEMENT_LOADS, stays, aside)
    except OSError as error:
        raise ResultsError(unwritable(error, run)) from error
    return replace(manifest, order=order), +counts


def is_whole(
    run: Path, number: int, parts: Sequence[Sequence[str]], trials: Sequence[TrialRecord]
) -> bool:
    """
    Whether a block ended by itself: each of its trials has a record, and none was stopped.

    A crash of the machine may also take raw data that were not on the disk yet.
    """
    own = [trial for trial in trials if trial.block == number and trial.failed_phase != STOPPED]
    try:
        check_raw(run, own)
    except ResultsError:
        return False
    ended = {(trial.part, trial.variant) for trial in own}
    return {(part, name) for part, names in enumerate(parts, start=1) for name in names} <= ended


def _whole_kinds(run: Path, manifest: Manifest) -> dict[str, bool]:
    """
    Which of the measurements beside the blocks have a result.
    """
    pilot = manifest.pilot
    results = {ROUNDS_WANTED: pilot.rounds, RATE_WANTED: pilot.capacities_per_s}
    return {
        "pilot": bool(results.get(pilot.wanted, True)),
        "rehearsal": manifest.environment.memory is not None,
        "search": manifest.found is not None,
        "artefact": len(read_trials(run, ARTEFACT_TRIALS)) >= TRIALS_OF_ARTEFACT,
    }


def _keep(run: Path, name: str, stays: Sequence[bool], aside: str) -> int:
    """
    Move the other lines of a file, and a torn last one; return their number.
    """
    if not (run / name).exists():
        return 0
    known = iter(stays)
    with opened(run, name) as content:
        # A torn line is no record, so it has no entry.
        lines = [(line, next(known, False)) for line in content]
    moved = b"".join(line for line, stay in lines if not stay)
    if moved:
        write(run, f"{aside}/{name}", moved)
        write(run, name, b"".join(line for line, stay in lines if stay))
    return sum(not stay for _, stay in lines)
