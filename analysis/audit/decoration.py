"""
A line of ab as ab prints it, from a line in a list, a table or a string.
"""

from __future__ import annotations

import re

from analysis.audit.amounts import MARKS, in_cells, value_of, whole_number
from experiments.records.ab.fields import LABELLED, TEXTS

LABEL = "|".join(map(re.escape, sorted(LABELLED, key=len, reverse=True)))
CELLS = rf"(?:[ \t]+[0-9.,{MARKS}-]{{1,15}}){{3,5}}"

LABELLED_LINE = re.compile(rf"({LABEL})[*_]{{0,2}}[ \t]*[:|\t][ \t*_|]*(.*)")
IN_CELLS = re.compile(
    r"(?:Connect|Processing|Waiting|Total):?[*_]{0,2}[ \t]*\||[0-9]{1,3}%[ \t]*\|"
)
ROWS = re.compile(r"[0-9]{1,3}%[ \t]+[0-9.,]{1,15}(?: \((?:longest|last) request\))?")
PROSE = re.compile(r"[0-9]{1,3}%\s+\S+\s+(?!\((?:longest|last) request\))\S")
EMPHASISED = re.compile(
    r"^[\s*_=<>!#\N{RIGHTWARDS ARROW}\N{RIGHTWARDS DOUBLE ARROW}-]+(?=[0-9]{1,3}%\s)"
    r"|(?<=^Connect:)[*_]+|(?<=^Processing:)[*_]+|(?<=^Waiting:)[*_]+|(?<=^Total:)[*_]+"
)
PERCENT = re.compile(r"[0-9]{1,3}%\s+")
TIMES = re.compile(r"\(?(?:Connect|Processing|Waiting|Total):")
AFTER = " \t*_|\"',;\\│┃║"
"""What strings, lists and tables put after a line."""

NEXT_STRING = '","'
"""What separates a line from the next field of a record in JSON."""


def as_printed(line: str) -> list[str]:
    """
    The line without decoration; several if it holds the whole table of percentiles.
    """
    line = line.strip().partition(NEXT_STRING)[0]
    if match := LABELLED_LINE.match(line):
        label, value = match[1], match[2]
        if label in TEXTS:
            return [f"{label}: {value.rstrip()}"]
        return [f"{label}: {value_of(label, value.rstrip(AFTER))}"]
    if IN_CELLS.match(line):
        line = re.sub(r"[|*_]", " ", line)
    line = EMPHASISED.sub("", line)
    if match := PERCENT.match(line):
        line = match[0] + whole_number(line[match.end() :])
    if PROSE.match(line):
        return []
    line = line.rstrip(AFTER)
    if TIMES.match(line):
        line = in_cells(line)
    rows = ROWS.findall(line) if line.startswith("Percentage of the requests") else []
    return rows or [line]
