"""
Keep a run for others, small enough to be committed: ``python -m analysis.reference RUN``.

Records and raw data are compressed by xz, the manifest stays readable, and the report with its
figures and tables is made again beside them, from what was kept.
"""

from __future__ import annotations

import argparse
import io
import lzma
import shutil
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.__main__ import make
from analysis.folders import REFERENCE, REPORT, RESULTS
from experiments.records import (
    ARTEFACT_TRIALS,
    COMPLETE,
    COMPRESSED,
    MANIFEST,
    PILOT_TRIALS,
    RAW,
    SEARCH_TRIALS,
    TRIALS,
    ResultsError,
    latest_run,
    read_manifest,
    read_trials,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records import Manifest

RAW_ARCHIVE = f"{RAW}.tar{COMPRESSED}"
RECORDS = (TRIALS, PILOT_TRIALS, SEARCH_TRIALS, ARTEFACT_TRIALS)
MOST_BYTES = 20_000_000
"""What a repository can be asked to carry."""


def parser() -> argparse.ArgumentParser:
    """
    The options of the reference session.
    """
    made = argparse.ArgumentParser(
        prog="nox -s reference",
        usage="nox -s reference -- [RUN] [--to DIR] [--results DIR]",
        description="Keep a complete run with its raw data, compressed, as the reference that "
        "others are compared with (nox -s verify), and make its report there. What was the "
        "reference before is replaced. Needs no root and no lab.",
    )
    made.add_argument(
        "run",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="the run's folder. Default: the latest in the results folder",
    )
    made.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="where to keep it. Default: reference/ in the results folder",
    )
    made.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="where the latest run is looked for. Default: results/",
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """
    Keep the run and say what it takes.
    """
    options = parser().parse_args(arguments)
    try:
        run = options.run or latest_run(options.results)
        kept = keep(run, options.to or options.results / REFERENCE)
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}; nothing was replaced", file=sys.stderr)
        return 1
    print(f"kept: {run} in {kept}, {bytes_of(kept) / 1e6:.1f} MB")
    return 0


def keep(run: Path, target: Path) -> Path:
    """
    Put a run and its report into ``target``, in place of what is there; that folder.

    What was there stays until the new one is whole. Raises ResultsError for a run that is not
    complete, cannot be read, cannot be reported without its raw data, or is larger than
    ``MOST_BYTES`` all the same; and OSError for folders that cannot be written.
    """
    manifest = read_manifest(run)
    _refuse(run, target, manifest)
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shutil.copyfile(run / MANIFEST, partial / MANIFEST)
    for name in RECORDS:
        if (run / name).exists():
            (partial / f"{name}{COMPRESSED}").write_bytes(_compressed((run / name).read_bytes()))
    for path in sorted(run.glob("variants.toml")) + sorted(run.glob("overlays/*")):
        copy = partial / path.relative_to(run)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
    (partial / RAW_ARCHIVE).write_bytes(_compressed(archive(run / RAW)))
    make([partial], partial / REPORT)
    size = bytes_of(partial)
    if size > MOST_BYTES:
        shutil.rmtree(partial)
        msg = f"{run} would take {size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:g} MB is the most"
        raise ResultsError(msg)
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    return target


def _refuse(run: Path, target: Path, manifest: Manifest) -> None:
    if run.resolve() == target.resolve():
        msg = f"{run} is kept already; `nox -s report -- {run}` makes its report again"
        raise ResultsError(msg)
    if manifest.state != COMPLETE:
        msg = f"{run} is {manifest.state}; only a complete run can be a reference"
        raise ResultsError(msg)
    if not (run / TRIALS).exists() or not (run / RAW).is_dir():
        msg = f"{run} lacks {TRIALS} or {RAW}/; it is not as a run left it"
        raise ResultsError(msg)
    if any(trial.open_loads for trial in read_trials(run)):
        msg = (
            f"{run} was loaded by schedule, and its report needs the log of every request, which "
            "is too much to keep; keep a run without --open-loop"
        )
        raise ResultsError(msg)


def archive(folder: Path) -> bytes:
    """
    A tar of all files below a folder, the same for the same files: no owners, no times.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                entry = tarfile.TarInfo(str(Path(RAW) / path.relative_to(folder)))
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def bytes_of(folder: Path) -> int:
    """
    What the files below a folder take.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _compressed(content: bytes) -> bytes:
    return lzma.compress(content, preset=9)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
