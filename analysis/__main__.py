"""
Write the report of one run, or of several runs pooled: ``python -m analysis [RUN …]``.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from analysis.curve import known_curve
from analysis.drawing.figure import DIRECTORY
from analysis.drawing.figure import write as write_figures
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
from experiments.output import run_command_line
from experiments.records.files import latest_run
from experiments.records.folder import unwritable, write
from experiments.records.sessions import outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.topics.sweep.findings import Curve


def parser() -> argparse.ArgumentParser:
    """
    The options of ``nox -s report``.
    """
    made = argparse.ArgumentParser(
        prog="nox -s report",
        usage="nox -s report -- [RUN …] [--output FILE] [--results DIR] [--curve RUN]",
        description="Write a run's report again from its records. Needs no root and no lab.",
    )
    made.add_argument(
        "runs",
        type=Path,
        nargs="*",
        metavar="RUN",
        help="the run's folder; several runs with the same settings on the same machine are pooled "
        "into one report. Default: the latest run in the results folder",
    )
    made.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write the report, and beside it the same as FILE.html. Default: report.md "
        "in the run's folder; for several runs, pooled-report.md in the last one's folder",
    )
    made.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="where to look for the latest run. Default: results/",
    )
    made.add_argument(
        "--curve",
        type=Path,
        metavar="RUN",
        help="the folder of a run with a sweep (`nox -s sweep`); the report says where the matched "
        "pair lies on its curve. Default: results/reference/, if that run has one",
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """
    Write the report into the run's folder; print the verdicts and where the report is.
    """
    options = parser().parse_args(arguments)
    try:
        runs = options.runs or [latest_run(options.results)]
        output = options.output or runs[-1] / (REPORT if len(runs) == 1 else POOLED_REPORT)
        findings = make(runs, output, known_curve(options.curve))
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except VALUE_AT_FAULT as error:
        names = ", ".join(map(str, runs))
        print(f"error: {names} contains an invalid value: {error!r}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {unwritable(error, output.parent)}", file=sys.stderr)
        return 1
    for place in findings.run.set_aside:
        print(f"warning: a record was set aside: {place}", file=sys.stderr)
    for line in verdict_lines(findings):
        print(f"- {line}")
    print(f"report: {output}")
    print(f"the same for a browser: {output.with_suffix(PAGE_SUFFIX)}")
    if len(runs) == 1 and (words := outcome(runs[0], findings.manifest, findings.run.trials)):
        print(words)
    return 0


def make(runs: Sequence[Path], output: Path, curve: Curve | None = None) -> Findings:
    """
    Write the report with its figures and data files; return the findings.

    A run without a sweep is placed on this ``curve`` of another run.

    Raises ResultsError for records that cannot be read and for an output that is to be HTML, and
    OSError for a report that cannot be written.
    """
    if output.suffix == PAGE_SUFFIX:
        msg = f"--output names the Markdown, and {output} comes beside it; end its name in .md"
        raise ResultsError(msg)
    if output.is_dir():
        msg = f"--output names a file, and {output} is a folder"
        raise ResultsError(msg)
    run = read_runs(runs)
    findings = Findings.of(run, curve)
    directory = DIRECTORY if len(runs) == 1 else f"pooled-{DIRECTORY}"
    drawn = figures(findings)
    text = render(findings, drawn, directory)
    write(output.parent, output.name, text.encode())
    drawings = {f"{directory}/{figure.name}.svg": figure.svg for figure in drawn}
    name = output.with_suffix(PAGE_SUFFIX).name
    write(output.parent, name, page(text, drawings).encode())
    # Stale figures are removed only from a run's folder: another folder is the user's.
    known = FIGURES if output.parent == runs[-1] else ()
    write_figures(drawn, output.parent, directory, known)
    # verdicts.json beside report.md, pooled-verdicts.json, and mine-verdicts.json beside mine.md.
    prefix = output.stem.removesuffix(Path(REPORT).stem)
    separator = "" if prefix != output.stem else "-"
    name = f"{prefix}{separator}{VERDICTS}"
    write(output.parent, name, verdicts_json(findings).encode())
    if run.folder is not None:
        csv = trials_csv(run.manifest, run.trials)
        write(output.parent, TRIALS_CSV, csv.encode())
        write_histograms(run.trials, run.folder)
    return findings


if __name__ == "__main__":
    # Records are never garbage here, and every collection would walk through all of them.
    gc.disable()
    run_command_line(main)
