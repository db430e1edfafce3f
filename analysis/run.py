"""
A run with all of its records, or several runs pooled into one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from analysis.pooling import pool
from experiments.records.files import ARTEFACT_TRIALS
from experiments.records.store import checked_agreement, checked_trials, read_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.records.manifest import Manifest
    from experiments.records.trials import AgreementLoad, TrialRecord


@dataclass(frozen=True)
class Run:
    """
    The records of one run, or of several pooled runs.

    ``folder`` holds the logs of single requests. Pooled runs have neither a folder nor
    ``agreement`` loads; the reports of the single runs show these. ``cold_starts`` are loads of a
    stack that was still starting. ``set_aside`` are the places of faulty records, with the reasons;
    none of them is in the other fields.
    """

    manifest: Manifest
    trials: Sequence[TrialRecord]
    folder: Path | None = None
    cold_starts: Sequence[TrialRecord] = ()
    agreement: Sequence[AgreementLoad] = ()
    set_aside: Sequence[str] = ()

    @property
    def name(self) -> str:
        """
        The run's identifier from its manifest.
        """
        return self.manifest.run


def read_run(folder: Path) -> Run:
    """
    Read a run's folder.

    A record at fault is set aside (see ``checked_trials``). Raises ResultsError for a folder
    without a run, with another schema version, or whose files are not what a run wrote.
    """
    manifest = read_manifest(folder)
    trials, faulty = checked_trials(folder, manifest, slim=_slim)
    cold_starts, faulty_starts = checked_trials(folder, manifest, ARTEFACT_TRIALS)
    agreement, faulty_loads = checked_agreement(folder, manifest)
    return Run(
        manifest=manifest,
        trials=trials,
        folder=folder,
        cold_starts=cold_starts,
        agreement=agreement,
        set_aside=[str(each) for each in (*faulty, *faulty_starts, *faulty_loads)],
    )


def _slim(trial: TrialRecord) -> TrialRecord:
    """
    The trial without what no topic reads, and words that many trials have kept once.

    That is half of a long run's memory.
    """
    for load in (trial.load, trial.at_once):
        if load is not None:
            load.command[:] = map(sys.intern, load.command)
    cold = trial.cold and replace(trial.cold, command=[], details=None)
    return replace(trial, cold=cold, path=None)


def read_runs(folders: Sequence[Path]) -> Run:
    """
    Read one run, or several and pool them.

    Raises ResultsError as read_run does, and for runs that cannot be pooled.
    """
    runs = [read_run(folder) for folder in folders]
    if len(runs) == 1:
        return runs[0]
    manifest, trials = pool([(run.manifest, run.trials) for run in runs])
    cold_starts = [trial for run in runs for trial in run.cold_starts]
    set_aside = [f"{run.name}/{each}" for run in runs for each in run.set_aside]
    return Run(manifest, trials, cold_starts=cold_starts, set_aside=set_aside)
