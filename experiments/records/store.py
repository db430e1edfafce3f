"""
Reading and writing the records; the package describes the files of a run.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec

from experiments.errors import ResultsError
from experiments.records.checks import (
    agreement_faults,
    manifest_faults,
    placed_faults,
    trial_faults,
)
from experiments.records.decoding import Decoder, OtherVersionError, decoded, encoded
from experiments.records.files import AGREEMENT_LOADS, MANIFEST, TRIALS
from experiments.records.folder import append, unwritable, write
from experiments.records.manifest import Manifest
from experiments.records.streams import content, lines, stored_as
from experiments.records.trials import AgreementLoad, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")

MOST_SET_ASIDE = 100
"""With more faulty records than this, a file as a whole is not what a run wrote."""

REPEATED: dict[type, tuple[str, ...]] = {TrialRecord: ("check", "facts", "placement")}
"""Parts that are the same in many records."""

MOST_FAULTS = 3
"""Of one record in a message."""


def write_manifest(run: Path, manifest: Manifest) -> None:
    """
    Replace the manifest in one step: a crash leaves the old or the new one.

    Raises ResultsError if the folder cannot be written.
    """
    content = msgspec.json.format(encoded(manifest), indent=1) + b"\n"
    try:
        write(run, MANIFEST, content)
    except OSError as error:
        raise ResultsError(unwritable(error, run)) from error


def read_manifest(run: Path) -> Manifest:
    """
    Read a run's manifest.

    Raises ResultsError if it is missing, invalid, contradicts itself, or is of an unknown schema
    version.
    """
    path = run / MANIFEST
    manifest = decoded(Manifest, content(path), str(path))
    for fault in manifest_faults(manifest):
        msg = f"{path}: {fault}"
        raise ResultsError(msg)
    return manifest


def append_trial(run: Path, record: TrialRecord, file_name: str = TRIALS) -> None:
    """
    Append one record to a file of the run and flush it to disk.

    Raises ResultsError if it cannot be written.
    """
    _append(run / file_name, record)


def append_agreement(run: Path, load: AgreementLoad) -> None:
    """
    Append one load to the agreement's file, as ``append_trial`` does.
    """
    _append(run / AGREEMENT_LOADS, load)


def read_trials(run: Path, file_name: str = TRIALS) -> list[TrialRecord]:
    """
    Read a run's trials, in the order they ended; none when the run has not finished any.

    Those of another file are no part of the results. Where there is no such file, it is read
    compressed.

    A last line without its newline was cut off by a crash and is left out. Raises ResultsError for
    anything else that is not a record.
    """
    path = run / file_name
    return _refusing(_records(TrialRecord, path, trial_faults), path)


def read_agreement(run: Path) -> list[AgreementLoad]:
    """
    Read a run's loads of the agreement, in the order in which they were made; see ``read_trials``.
    """
    path = run / AGREEMENT_LOADS
    return _refusing(_records(AgreementLoad, path, lambda _: ()), path)


@dataclass(frozen=True)
class SetAside:
    """
    A record that is not used: the name of its file, its line, and why.

    ``torn`` is a last line without its newline, as a killed writer leaves it.
    """

    file: str
    line: int
    reason: str
    torn: bool = False

    def __str__(self) -> str:
        """
        The place and the reason.
        """
        return f"{self.file}, line {self.line}: {self.reason}"


def checked_trials(
    run: Path,
    manifest: Manifest,
    file_name: str = TRIALS,
    slim: Callable[[TrialRecord], TrialRecord] = lambda trial: trial,
) -> tuple[list[TrialRecord], list[SetAside]]:
    """
    Read a run's trials, checked against its manifest; and those that are set aside.

    ``slim`` takes from each trial what the caller does not need, before the next one is read.

    A torn last line, a line that is no record, and a record with an impossible value or a
    contradiction are set aside: each costs one trial, and the caller says so. Raises ResultsError
    where it is unclear which records are true: for a trial that is there twice, a record of
    another schema version, a file that cannot be read or is too large, and for more than
    MOST_SET_ASIDE faulty records.
    """

    def faults(trial: TrialRecord) -> Iterator[str]:
        yield from trial_faults(trial)
        if file_name == TRIALS:
            yield from placed_faults(trial, manifest)

    def keys(trial: TrialRecord) -> Iterator[tuple[str, object]]:
        yield f"trial {trial.number}", trial.number
        if file_name == TRIALS:
            yield f"{trial.variant} of block {trial.block}", (trial.block, trial.variant)

    path = run / file_name
    return _setting_aside(_records(TrialRecord, path, faults, slim), path, keys)


def checked_agreement(run: Path, manifest: Manifest) -> tuple[list[AgreementLoad], list[SetAside]]:
    """
    Read a run's loads of the agreement as ``checked_trials`` reads trials.
    """
    path = run / AGREEMENT_LOADS

    def keys(load: AgreementLoad) -> Iterator[tuple[str, object]]:
        yield f"the load of {load.variant} at {load.started_at}", (load.variant, load.started_at)

    def faults(load: AgreementLoad) -> Iterator[str]:
        return agreement_faults(load, manifest)

    return _setting_aside(_records(AgreementLoad, path, faults), path, keys)


def _refusing(records: Iterable[tuple[int, T] | SetAside], path: Path) -> list[T]:
    kept = []
    for each in records:
        if not isinstance(each, SetAside):
            kept.append(each[1])
        elif not each.torn:
            msg = f"{path.parent}/{each}"
            raise ResultsError(msg)
    return kept


def _setting_aside(
    records: Iterable[tuple[int, T] | SetAside],
    path: Path,
    keys: Callable[[T], Iterator[tuple[str, object]]],
) -> tuple[list[T], list[SetAside]]:
    kept: list[T] = []
    aside: list[SetAside] = []
    lines: dict[object, int] = {}
    with _without_garbage_collection():
        for each in records:
            if isinstance(each, SetAside):
                aside.append(each)
                if len(aside) > MOST_SET_ASIDE:
                    msg = (
                        f"{path}: more than {MOST_SET_ASIDE} records are at fault, so it is not "
                        f"what a run wrote; the first is: {aside[0]}"
                    )
                    raise ResultsError(msg)
                continue
            line, record = each
            for words, key in keys(record):
                before = lines.setdefault(key, line)
                if before != line:
                    msg = (
                        f"{path}, line {line}: {words} is in line {before} already; remove the "
                        "line that the run did not write"
                    )
                    raise ResultsError(msg)
            kept.append(record)
    return kept, aside


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """
    Nothing that is read is garbage; looking for it takes most of the time of a large file.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _append(path: Path, record: object) -> None:
    # Before the file is opened: a record that cannot be stored leaves no trace.
    line = encoded(record) + b"\n"
    try:
        append(path.parent, path.name, line)
    except OSError as error:
        raise ResultsError(unwritable(error, path.parent)) from error


def _records(
    kind: type[T],
    path: Path,
    faults: Callable[[T], Iterable[str]],
    slim: Callable[[T], T] = lambda record: record,
) -> Iterator[tuple[int, T] | SetAside]:
    """
    The records of a file with their lines, read one by one; none if there is no file.

    Raises ResultsError if the file cannot be read, exceeds a limit, or has another version.
    """
    file = stored_as(path)
    if file is None:
        return
    decode = Decoder(kind, REPEATED.get(kind, ()))
    for number, line in enumerate(lines(file), start=1):
        if not line.endswith(b"\n"):
            reason = "it was cut off, as by a crash while it was written"
            yield SetAside(file.name, number, reason, torn=True)
            return
        where = f"{file}, line {number}"
        try:
            record = decode(line, where)
        except OtherVersionError:
            raise
        except ResultsError as error:
            reason = str(error).removeprefix(f"{where}: ")
            yield SetAside(file.name, number, reason)
            continue
        reason = "; ".join(islice(faults(record), MOST_FAULTS))
        yield SetAside(file.name, number, reason) if reason else (number, slim(record))
