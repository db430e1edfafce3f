"""
Make the report of a run, or of several as one: ``python -m analysis [RUN …]``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.figures.figure import DIRECTORY, write
from analysis.figures.gallery import figures
from analysis.folders import POOLED_REPORT, REPORT, RESULTS, TRIALS_CSV, VALUE_AT_FAULT
from analysis.histograms import write_histograms
from analysis.pooling import pool
from analysis.report import render
from analysis.sections.sources import CODE
from analysis.sections.summary import UNSAID
from analysis.trials_csv import trials_csv
from experiments.errors import ResultsError
from experiments.records.files import ARTEFACT_TRIALS, latest_run
from experiments.records.store import read_agreement, read_manifest, read_trials

if TYPE_CHECKING:
    from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    """
    The options of the report session.
    """
    made = argparse.ArgumentParser(
        prog="nox -s report",
        usage="nox -s report -- [RUN …] [--output FILE] [--results DIR]",
        description="Make the report of a run again from its records; needs no root and no lab.",
    )
    made.add_argument(
        "runs",
        type=Path,
        nargs="*",
        metavar="RUN",
        help="the run's folder, or several that were made in the same way on the same machine, "
        "which are then one report. Default: the latest in the results folder",
    )
    made.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where the report is written. Default: report.md in the run's folder, or "
        "pooled-report.md in that of the last of several",
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
    Write ``report.md`` into the run's folder and say where it is.
    """
    options = parser().parse_args(arguments)
    try:
        runs = options.runs or [latest_run(options.results)]
        output = options.output or runs[-1] / (REPORT if len(runs) == 1 else POOLED_REPORT)
        text = make(runs, output)
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except VALUE_AT_FAULT as error:
        names = ", ".join(map(str, runs))
        print(f"error: {names} holds a value that no run has: {error!r}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    verdicts = text.partition("## Conclusions")[2].partition(UNSAID)[0]
    print("\n".join(line for line in verdicts.splitlines() if line.startswith("- ")))
    print(f"report: {output}")
    return 0


def make(runs: Sequence[Path], output: Path) -> str:
    """
    Write the report of the runs, and the figures and data that belong to it; its text.

    Raises ResultsError for what cannot be read, and OSError for a report that cannot be written.
    """
    manifest, trials = pool([(read_manifest(run), read_trials(run)) for run in runs])
    # The logs of single requests are in the folder of one run, and so are loads of the agreement.
    own = runs[0] if len(runs) == 1 else None
    directory = DIRECTORY if own is not None else f"pooled-{DIRECTORY}"
    drawn = figures(manifest, trials, own)
    text = render(
        manifest,
        trials,
        own,
        cold_starts=[trial for run in runs for trial in read_trials(run, ARTEFACT_TRIALS)],
        agreement=read_agreement(own) if own is not None else (),
        drawn=drawn,
        directory=directory,
    )
    output.write_text(text, encoding="utf-8")
    # What else lies beside a report that a user put elsewhere is not ours.
    known = CODE if output.parent == runs[-1] else ()
    write(drawn, output.parent / directory, known)
    if own is not None:
        (output.parent / TRIALS_CSV).write_text(trials_csv(manifest, trials), encoding="utf-8")
        write_histograms(trials, own)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
