"""
The digest of a trial's raw data, by which a later change of them is seen.
"""

from __future__ import annotations

from hashlib import file_digest, sha256
from typing import TYPE_CHECKING

from experiments.errors import ResultsError
from experiments.records.files import RAW
from experiments.records.folder import files, opened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from experiments.records.trials import TrialRecord

DERIVED = ".hlog"
"""The suffix of files that a report adds to the raw data."""


def raw_digest(run: Path, folder: str) -> str:
    """
    The SHA-256 over the names and contents of all files below a folder of a run, sorted by name.

    Empty without a file. Raises ResultsError for a file that cannot be read.
    """
    digest = sha256()
    try:
        names = [name for name in files(run, folder) if not name.endswith(DERIVED)]
        for name in names:
            # The digest of each part has a fixed length, so that no two folders look the same.
            digest.update(sha256(name.removeprefix(f"{folder}/").encode()).digest())
            with opened(run, name) as file:
                digest.update(file_digest(file, "sha256").digest())
    except OSError as error:
        msg = f"cannot read {error.filename}: {error.strerror}"
        raise ResultsError(msg) from error
    return digest.hexdigest() if names else ""


def raw_folder(trial: TrialRecord) -> str:
    """
    The path of the raw data of a trial that counts, in its run.
    """
    return f"{RAW}/{trial.number:03}-{trial.variant}"


def check_raw(run: Path, trials: Iterable[TrialRecord]) -> None:
    """
    Refuse a run whose raw data are not as they were when its trials were recorded.

    Nothing is checked in a run whose raw data are elsewhere, and no content for a record without a
    digest. Raises ResultsError with the first folder that is missing or altered.
    """
    if not (run / RAW).is_dir():
        return
    for trial in trials:
        name = raw_folder(trial)
        if not (run / name).is_dir():
            msg = f"{run}: {name} is missing; fetch the original"
            raise ResultsError(msg)
        if trial.raw_sha256 and (found := raw_digest(run, name)) != trial.raw_sha256:
            msg = (
                f"{run}: {name} was altered after trial {trial.number}: raw_sha256 is "
                f"{trial.raw_sha256!r}, and that of the folder is {found!r}"
            )
            raise ResultsError(msg)
