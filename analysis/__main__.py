"""
Make the report of a run: ``python -m analysis [RUN]``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.report import render
from experiments.records import ResultsError, latest_run, read_manifest, read_trials

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parent.parent / "results"
REPORT = "report.md"


def parser() -> argparse.ArgumentParser:
    """
    The options of the report session.
    """
    made = argparse.ArgumentParser(
        prog="nox -s report",
        usage="nox -s report -- [RUN] [--results DIR]",
        description="Make the report of a run again from its records; needs no root and no lab.",
    )
    made.add_argument(
        "run",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="the run's folder. Default: the latest in the results folder",
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
        run = options.run or latest_run(options.results)
        text = render(read_manifest(run), read_trials(run))
        (run / REPORT).write_text(text, encoding="utf-8")
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except (TypeError, KeyError, AttributeError) as error:
        # Records that are whole JSON, but not as this version writes them.
        print(f"error: {run} holds a value that no run has: {error!r}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    overview = text.partition("## Overview")[2].partition("\n## ")[0]
    print("\n".join(line for line in overview.splitlines() if line.startswith("- ")))
    print(f"report: {run / REPORT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
