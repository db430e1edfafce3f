"""
A figure with its data (CSV) and its text alternative.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.errors import ResultsError
from experiments.records import folder

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from analysis.statistics.intervals import Interval

DIRECTORY = "figures"
"""The folder of figures, below a run's folder."""


@dataclass(frozen=True)
class Figure:
    """
    One figure of a report.

    ``name`` is the name of its files without a suffix; ``svg`` and ``csv`` are their contents.
    ``alternative`` is the text alternative: what the figure shows, in a sentence or two made from
    the data. ``caption`` says how to read it.
    """

    name: str
    title: str
    svg: str
    csv: str
    alternative: str
    caption: str


def write(
    figures: Sequence[Figure], run: Path, directory: str, known: Collection[str] = ()
) -> list[Path]:
    """
    Write each figure's SVG and CSV into a directory of the run and return their paths.

    Creates the directory. Removes the files of ``known`` figures that an earlier report left.
    Raises ResultsError when the directory cannot be written.
    """
    written = []
    try:
        for name in known:
            for suffix in (".svg", ".csv"):
                folder.remove(run, f"{directory}/{name}{suffix}")
        for figure in figures:
            for suffix, text in ((".svg", figure.svg), (".csv", figure.csv)):
                name = f"{directory}/{figure.name}{suffix}"
                folder.write(run, name, text.encode())
                written.append(run / name)
    except OSError as error:
        raise ResultsError(folder.unwritable(error, run)) from error
    return written


def csv_text(headers: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    """
    A CSV file: numbers have six significant digits, None is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def limits_of(interval: Interval | None, scale: float = 1.0) -> list[float | None]:
    """
    An interval as three cells: estimate, lower limit, upper limit, each times ``scale``.
    """
    if interval is None:
        return [None] * 3
    values = (interval.estimate, interval.low, interval.high)
    return [None if value is None else value * scale for value in values]


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    # The rounding residue of a sum that should be zero differs between machines.
    return f"{round(value, 9) + 0.0:.6g}"
