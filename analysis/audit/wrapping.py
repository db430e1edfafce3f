"""
Lines that a terminal of few columns has cut, put together again.
"""

from __future__ import annotations

import re

from analysis.audit.decoration import LABEL
from experiments.records.ab.lines import LARGEST_LINE

LONG_LINES = (
    "Copyright 1996 Adam Twiss, Zeus Technology Ltd, http://www.zeustech.net/",
    "Copyright (c) 1996 Adam Twiss, Zeus Technology Ltd, http://www.zeustech.net/",
    "Licensed to The Apache Software Foundation, http://www.apache.org/",
    "Percentage of the requests served within a certain time (ms)",
    "ms] (mean, across all concurrent requests)",
)
"""Of what ab always prints in one line; where one is cut within a word, a terminal has done it."""

FEWEST_COLUMNS = 20

CUT = re.compile("|".join("\n?".join(map(re.escape, line)) for line in LONG_LINES), re.IGNORECASE)
BEGINS = re.compile(
    rf"\s*(?:{LABEL}|Connect|Processing|Waiting|Total|[0-9]{{1,3}}%|Completed |Finished |Conn"
    r"|\S+ kb/s |This is Apache|Copyright|Licensed|Benchmarking|Percentage of|min  |\(Connect)"
)
"""The beginning of a line of ab."""

ROW = re.compile(r"\s*(?:Connect|Processing|Waiting|Total):[0-9.\s]*$")
REST = re.compile(r"\s*[0-9.][0-9.\s]*$")


def unwrapped(text: str) -> tuple[str, list[str]]:
    """
    The text with the lines that were cut as one line each, and that in words.

    A line is cut if it fills all columns and the next is none that ab begins so. Of the rows of a
    table, a terminal may have dropped spaces at the cut.
    """
    columns = {
        columns
        for match in CUT.finditer(text)
        if "\n" in match[0]
        and (
            columns := match.start() + match[0].index("\n") - text.rfind("\n", 0, match.start()) - 1
        )
        >= FEWEST_COLUMNS
    }
    if len(columns) != 1:
        return text, []
    (width,) = columns
    lines: list[str] = []
    full = False
    for line in text.split("\n"):
        begins = BEGINS.match(line) or not line.strip()
        row = bool(lines) and ROW.match(lines[-1]) and REST.match(line)
        if begins or not (full or row) or len(lines[-1]) > LARGEST_LINE:
            lines.append(line)
        else:
            lines[-1] += line if full else f" {line}"
        full = len(line) == width
    return "\n".join(lines), [f"line breaks after {width} columns"]
