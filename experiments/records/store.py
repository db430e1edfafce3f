"""
Reading and writing the records; the package describes the files of a run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from experiments.errors import ResultsError
from experiments.records.files import AGREEMENT_LOADS, COMPRESSED, MANIFEST, SCHEMA_VERSION, TRIALS
from experiments.records.manifest import Manifest
from experiments.records.trials import AgreementLoad, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


def write_manifest(run: Path, manifest: Manifest) -> None:
    """
    Replace the manifest in one step: a crash leaves the old or the new one.

    Raises ResultsError if the folder cannot be written.
    """
    partial = run / f"{MANIFEST}.partial"
    try:
        partial.write_bytes(msgspec.json.format(encoded(manifest), indent=1) + b"\n")
        partial.replace(run / MANIFEST)
    except OSError as error:
        msg = f"cannot write to {run}: {error.strerror}; free some space, or use --results"
        raise ResultsError(msg) from error


def read_manifest(run: Path) -> Manifest:
    """
    Read a run's manifest.

    Raises ResultsError if it is missing, invalid, or of an unknown schema version.
    """
    path = run / MANIFEST
    return decoded(Manifest, _read(path), str(path))


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
    return [decoded(TrialRecord, line, where) for where, line in _lines(run / file_name)]


def read_agreement(run: Path) -> list[AgreementLoad]:
    """
    Read a run's loads of the agreement, in the order in which they were made; see ``read_trials``.
    """
    return [decoded(AgreementLoad, line, where) for where, line in _lines(run / AGREEMENT_LOADS)]


@dataclass(frozen=True)
class _Versioned:
    schema_version: int


def decoded(kind: type[T], content: bytes, where: str) -> T:
    """
    A record of this kind from JSON; ``where`` says in messages where it stands.

    Raises ResultsError that names what is wrong, for a record of another version its version.
    """
    try:
        version = msgspec.json.decode(content, type=_Versioned).schema_version
        if version != SCHEMA_VERSION:
            msg = (
                f"{where}: schema version {version}, and this version of the project reads "
                f"{SCHEMA_VERSION}; check out the commit that the run was made with, or run again"
            )
            raise ResultsError(msg)
        record = msgspec.json.decode(content, type=kind, dec_hook=_decode_path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{where}: {error}"
        raise ResultsError(msg) from error
    # The decoder passes over fields that a dataclass does not have.
    unknown = list(_unknown_fields(msgspec.json.decode(content), _plain(record)))
    if unknown:
        msg = f"{where}: unknown fields {', '.join(unknown)}"
        raise ResultsError(msg)
    return record


def _unknown_fields(given: object, known: object, place: str = "$") -> Iterator[str]:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key in known:
                yield from _unknown_fields(value, known[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}"
    elif isinstance(given, list) and isinstance(known, list | tuple):
        for index, (one, other) in enumerate(zip(given, known, strict=True)):
            yield from _unknown_fields(one, other, f"{place}[{index}]")


def encoded(record: object) -> bytes:
    """
    A record as JSON, its fields sorted by their names.
    """
    return msgspec.json.encode(_plain(record), order="sorted")


def _plain(record: object) -> object:
    # Numbers as keys become text, because keys are sorted.
    plain: object = msgspec.to_builtins(record, enc_hook=str, str_keys=True)
    return plain


def _decode_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    msg = f"cannot read a {kind.__name__} from {value!r}"
    raise TypeError(msg)


def _append(path: Path, record: object) -> None:
    try:
        with path.open("ab") as file:
            file.write(encoded(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}; free some space"
        raise ResultsError(msg) from error


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """
    The complete lines of a record file with their places; none if there is no file.
    """
    if not path.exists():
        path = path.with_name(f"{path.name}{COMPRESSED}")
        if not path.exists():
            return
    for number, line in enumerate(_read(path).split(b"\n")[:-1], start=1):
        yield f"{path}, line {number}", line


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return _decompressed(content) if path.suffix == COMPRESSED else content
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise ResultsError(msg) from error


def _decompressed(content: bytes) -> bytes:
    # Imported on demand, because some interpreters are built without it.
    import lzma  # noqa: PLC0415

    try:
        return lzma.decompress(content)
    except lzma.LZMAError as error:
        raise OSError(*error.args) from error
