"""
A figure and what must be with it: its data as CSV, and its words for those who do not see it.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.errors import ResultsError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from analysis.statistics.intervals import Interval

DIRECTORY = "figures"
"""Below a run's folder."""


@dataclass(frozen=True)
class Figure:
    """
    One figure of a report.

    ``name`` is that of its files, without a suffix. ``svg`` and ``csv`` are their text,
    ``alternative`` is what there is to see, in a sentence or two made from the data, and
    ``caption`` says how to read it.
    """

    name: str
    title: str
    svg: str
    csv: str
    alternative: str
    caption: str


def write(figures: Sequence[Figure], directory: Path, known: Collection[str] = ()) -> list[Path]:
    """
    Write each figure's drawing and data into the directory, which is made; the files.

    What is there of a ``known`` figure that is not among them, from an earlier report, goes.
    Raises ResultsError when it cannot be written.
    """
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in known:
            for suffix in (".svg", ".csv"):
                (directory / f"{name}{suffix}").unlink(missing_ok=True)
        for figure in figures:
            for suffix, text in ((".svg", figure.svg), (".csv", figure.csv)):
                path = directory / f"{figure.name}{suffix}"
                # Bytes, so that no platform changes the ends of lines.
                path.write_bytes(text.encode())
                written.append(path)
    except OSError as error:
        msg = f"{directory} cannot be written: {error.strerror}; free space there"
        raise ResultsError(msg) from error
    return written


def csv_text(headers: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    """
    Rows under their headers, numbers to six significant digits; None is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def limits_of(interval: Interval | None, scale: float = 1.0) -> list[float | None]:
    """
    An interval as three cells: estimate, lower and upper limit, each multiplied.
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
    # What is left of a sum that should be none depends on the machine that adds it up.
    return f"{round(value, 9) + 0.0:.6g}"
