"""
Store a run, small enough to commit, as the reference: ``python -m analysis.reference RUN``.

Records and raw data are compressed with xz; the manifest stays readable. The report with its
figures and tables is written from the compressed copy.
"""

from __future__ import annotations

import argparse
import io
import lzma
import shutil
import sys
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from analysis.__main__ import make
from analysis.folders import REFERENCE, REPORT, RESULTS, VALUE_AT_FAULT
from experiments.declare.reading import VARIANTS_FILE
from experiments.errors import ResultsError
from experiments.output import run_command_line
from experiments.records.files import (
    AGREEMENT_LOADS,
    ARTEFACT_TRIALS,
    COMPRESSED,
    MANIFEST,
    PILOT_TRIALS,
    RAW,
    SEARCH_TRIALS,
    TRIALS,
)
from experiments.records.folder import files, opened, unwritable, write
from experiments.records.manifest import COMPLETE
from experiments.records.raw import check_raw
from experiments.records.store import (
    checked_agreement,
    checked_trials,
    read_manifest,
    read_trials,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest

RAW_ARCHIVE = f"{RAW}.tar{COMPRESSED}"
TRIAL_FILES = (TRIALS, PILOT_TRIALS, SEARCH_TRIALS, ARTEFACT_TRIALS)
RECORDS = (*TRIAL_FILES, AGREEMENT_LOADS)
MOST_BYTES = 20_000_000
"""The most that a repository should carry for one run."""


def parser() -> argparse.ArgumentParser:
    """
    The options of ``nox -s reference``.
    """
    made = argparse.ArgumentParser(
        prog="nox -s reference",
        usage="nox -s reference -- RUN [--to DIR]",
        description="Store a complete run with its raw data, compressed, as the reference that "
        "`nox -s verify` compares other runs with, and write its report there. Replaces the "
        "previous reference. Needs no root and no lab.",
    )
    made.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    made.add_argument(
        "--to",
        type=Path,
        default=RESULTS / REFERENCE,
        metavar="DIR",
        help="where to store it. Default: results/reference/",
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """
    Store the run; print its folder and size.
    """
    options = parser().parse_args(arguments)
    try:
        kept = keep(options.run, options.to)
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except VALUE_AT_FAULT as error:
        print(f"error: {options.run} contains an invalid value: {error!r}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {unwritable(error, options.to)}", file=sys.stderr)
        return 1
    print(f"kept: {options.run} in {kept}, {bytes_of(kept) / 1e6:.1f} MB")
    return 0


def keep(run: Path, target: Path) -> Path:
    """
    Store a run and its report in ``target`` and return that folder.

    A run that is kept there already is replaced once the new copy is complete. Raises ResultsError
    for a run that is incomplete, unreadable, loaded by schedule, or larger than ``MOST_BYTES``
    when compressed, and for a target that holds anything but a kept run. Raises OSError for
    folders that cannot be written.
    """
    run, target = run.resolve(), target.resolve()
    _refuse(run, target)
    partial, before = (target.with_name(f"{target.name}.{word}") for word in ("partial", "before"))
    for leftover in (partial, before):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        _copy(run, partial)
        make([partial], partial / REPORT)
        size = bytes_of(partial)
        if size > MOST_BYTES:
            msg = f"{run} would take {size / 1e6:.1f} MB; the limit is {MOST_BYTES / 1e6:g} MB"
            raise ResultsError(msg)
        if target.exists():
            target.rename(before)
        partial.rename(target)
    shutil.rmtree(before, ignore_errors=True)
    return target


def _copy(run: Path, folder: Path) -> None:
    """
    Copy everything that a run measured, and nothing derived from it.
    """
    for name in files(run):
        if name in RECORDS:
            write(folder, f"{name}{COMPRESSED}", lzma.compress(_content(run, name)))
        elif name in {MANIFEST, VARIANTS_FILE.name} or name.startswith("overlays/"):
            write(folder, name, _content(run, name))
    write(folder, RAW_ARCHIVE, lzma.compress(archive(run)))


def _content(run: Path, name: str) -> bytes:
    with opened(run, name) as file:
        return file.read()


def _refuse(run: Path, target: Path) -> None:
    if run == target:
        msg = f"{run} is kept already; write its report again with `nox -s report -- {run}`"
        raise ResultsError(msg)
    if target.exists() and any(target.iterdir()) and not (target / RAW_ARCHIVE).exists():
        msg = f"{target} holds something else than a kept run; name another folder with --to"
        raise ResultsError(msg)
    manifest = read_manifest(run)
    if manifest.state != COMPLETE:
        msg = f"{run} is {manifest.state}; only a complete run can be a reference"
        raise ResultsError(msg)
    if not (run / TRIALS).exists() or not (run / RAW).is_dir():
        msg = f"{run} lacks {TRIALS} or {RAW}/, so it is not as a run left it"
        raise ResultsError(msg)
    _refuse_faulty(run, manifest)
    if any(trial.open_loads for trial in read_trials(run)):
        msg = (
            f"{run} was loaded by schedule, and its report needs the log of every request, which "
            "is too large to keep; choose a run without --open-loop"
        )
        raise ResultsError(msg)


def _refuse_faulty(run: Path, manifest: Manifest) -> None:
    """
    What is set aside in a report is no part of a reference.
    """
    faulty = [each for name in TRIAL_FILES for each in checked_trials(run, manifest, name)[1]]
    faulty += checked_agreement(run, manifest)[1]
    if faulty:
        more = f" (and {len(faulty) - 1} more)" if len(faulty) > 1 else ""
        msg = f"{run}/{faulty[0]}{more}; a reference has no record at fault"
        raise ResultsError(msg)
    check_raw(run, read_trials(run))


def archive(run: Path) -> bytes:
    """
    A reproducible tar of a run's raw data: without owners and times.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in files(run, RAW):
            content = _content(run, name)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def bytes_of(folder: Path) -> int:
    """
    The total size of all files below a folder.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    run_command_line(main)
