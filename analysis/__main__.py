"""
Make the report of a run, or of several as one: ``python -m analysis [RUN …]``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.drawing.figure import DIRECTORY, write
from analysis.findings import Findings
from analysis.folders import (
    PAGE_SUFFIX,
    POOLED_REPORT,
    REPORT,
    RESULTS,
    TRIALS_CSV,
    VALUE_AT_FAULT,
    VERDICTS,
)
from analysis.report.gallery import FIGURES, figures
from analysis.report.markdown import render
from analysis.report.page import page
from analysis.report.trials_csv import trials_csv
from analysis.report.verdicts_json import verdicts_json
from analysis.run import read_runs
from analysis.topics.comparisons.section import verdict_lines
from analysis.topics.latency.histograms import write_histograms
from experiments.errors import ResultsError
from experiments.records.files import latest_run

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
        help="where the report is written, and beside it the same as FILE.html. Default: "
        "report.md in the run's folder, or pooled-report.md in that of the last of several",
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
    Write ``report.md`` and ``report.html`` into the run's folder and say where they are.
    """
    options = parser().parse_args(arguments)
    try:
        runs = options.runs or [latest_run(options.results)]
        output = options.output or runs[-1] / (REPORT if len(runs) == 1 else POOLED_REPORT)
        found = make(runs, output)
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
    for line in verdict_lines(found):
        print(f"- {line}")
    print(f"report: {output}")
    print(f"the same for a browser: {output.with_suffix(PAGE_SUFFIX)}")
    return 0


def make(runs: Sequence[Path], output: Path) -> Findings:
    """
    Write the report of the runs, and the figures and data that belong to it; what was found.

    Raises ResultsError for what cannot be read and for an output that is to be HTML, and OSError
    for a report that cannot be written.
    """
    if output.suffix == PAGE_SUFFIX:
        msg = f"--output names the Markdown, and {output} comes beside it; end its name in .md"
        raise ResultsError(msg)
    run = read_runs(runs)
    found = Findings.of(run)
    directory = DIRECTORY if len(runs) == 1 else f"pooled-{DIRECTORY}"
    drawn = figures(found)
    text = render(found, drawn, directory)
    output.write_text(text, encoding="utf-8")
    drawings = {f"{directory}/{figure.name}.svg": figure.svg for figure in drawn}
    output.with_suffix(PAGE_SUFFIX).write_text(page(text, drawings), encoding="utf-8")
    # What else lies beside a report that a user put elsewhere is not ours.
    known = FIGURES if output.parent == runs[-1] else ()
    write(drawn, output.parent / directory, known)
    verdicts = output.with_name(VERDICTS if len(runs) == 1 else f"pooled-{VERDICTS}")
    verdicts.write_text(verdicts_json(found), encoding="utf-8")
    if run.folder is not None:
        csv = trials_csv(run.manifest, run.trials)
        (output.parent / TRIALS_CSV).write_text(csv, encoding="utf-8")
        write_histograms(run.trials, run.folder)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
