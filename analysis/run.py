"""
A run with all of its records, or several runs pooled into one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.pooling import pool
from experiments.records.files import ARTEFACT_TRIALS
from experiments.records.store import read_agreement, read_manifest, read_trials

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
    stack that was still starting.
    """

    manifest: Manifest
    trials: Sequence[TrialRecord]
    folder: Path | None = None
    cold_starts: Sequence[TrialRecord] = ()
    agreement: Sequence[AgreementLoad] = ()

    @property
    def name(self) -> str:
        """
        The run's identifier from its manifest.
        """
        return self.manifest.run


def read_run(folder: Path) -> Run:
    """
    Read a run's folder.

    Raises ResultsError for a folder without a run, or with another schema version.
    """
    return Run(
        manifest=read_manifest(folder),
        trials=read_trials(folder),
        folder=folder,
        cold_starts=read_trials(folder, ARTEFACT_TRIALS),
        agreement=read_agreement(folder),
    )


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
    return Run(manifest, trials, cold_starts=cold_starts)
