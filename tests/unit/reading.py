"""
Reading what the project writes: the cells of a section's tables, and the data of a figure.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.drawing.figure import Figure

BETWEEN_CELLS = re.compile(r"(?<!\\)\|")


def tables_of(text: str) -> list[list[list[str]]]:
    """
    The cells of all tables in a text, each with its header first.
    """
    blocks = [part for part in text.split("\n\n") if part.startswith("|")]
    return [
        [
            [cell.strip() for cell in BETWEEN_CELLS.split(line)[1:-1]]
            for line in part.splitlines()
            if not line.startswith("|:-")
        ]
        for part in blocks
    ]


def rows_of(text: str, beginning: str = "") -> list[list[str]]:
    """
    The cells of all rows, without headers, whose first cell begins so.
    """
    rows = [row for _, *rows in tables_of(text) for row in rows]
    return [row for row in rows if row[0].startswith(beginning)]


def row_of(text: str, beginning: str) -> list[str]:
    """
    The cells of the one row whose first cell begins so.
    """
    (row,) = rows_of(text, beginning)
    return row


def columns_of(text: str, beginning: str) -> dict[str, str]:
    """
    The cells of the one row whose first cell begins so, by the names in its table's header.
    """
    (found,) = [
        dict(zip(header, row, strict=True))
        for header, *rows in tables_of(text)
        for row in rows
        if row[0].startswith(beginning)
    ]
    return found


def number_of(cell: str) -> float:
    """
    The number that a cell begins with.
    """
    return float(cell.partition(" ")[0])


def items_of(text: str) -> list[str]:
    """
    The items of the lists in a text, without their dashes.
    """
    return [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]


def shown(figure: Figure | None) -> Figure:
    """
    A figure that must be there.
    """
    assert figure is not None
    return figure


def data_of(figure: Figure | None) -> list[dict[str, str]]:
    """
    The data of a figure that must be there, row by row.
    """
    return list(csv.DictReader(io.StringIO(shown(figure).csv)))
