"""
Lines of ab without their stream's prefix, brought home to the stream that lacks them.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from analysis.audit.prefixes import pattern_of

if TYPE_CHECKING:
    from analysis.audit.prefixes import Line, Split

EMPHASIS = " \t*_=<>!#\N{RIGHTWARDS ARROW}\N{RIGHTWARDS DOUBLE ARROW}-"
"""What people put before the one line that matters to them."""

NAMED = re.compile(r"\w")
SIGNS = {"-", "+"}


def bring_home(found: Split) -> Split:
    """
    The same streams in the order of their lines, with those that were strangers.
    """
    _bring_runs(found)
    _bring_emphasised(found)
    found.streams.sort(key=lambda stream: stream.lines[0].place)
    return found


def _bring_runs(found: Split) -> None:
    """
    Give lines about a run, which only ab prints, to the one output that there is.

    A heading, a shell or a log of errors may stand before some of them.
    """
    reports = [stream for stream in found.streams if stream.has_report]
    homes = reports or found.streams
    if len(homes) != 1:
        return
    (home,) = homes
    for stream in found.streams:
        if stream is not home and stream.is_marks:
            home.lines += stream.lines
    found.streams = [stream for stream in found.streams if stream is home or not stream.is_marks]
    if home.is_marks:
        home.lines += [line for line in found.strangers if line.group == "run"]
        found.strangers = [line for line in found.strangers if line.group != "run"]
    home.lines.sort()


def _bring_emphasised(found: Split) -> None:
    """
    Give single lines, such as one in bold type, to the stream that has the rest and lacks them.

    It lacks as many of them as it has outputs.
    """
    reports = [stream for stream in found.streams if stream.has_report]
    marked = [stream for stream in reports if stream.is_marks]
    homes: dict[tuple[str, str], list[Line]] = {}
    for line in found.strangers:
        bare = line.prefix.rstrip(EMPHASIS) if NAMED.search(line.prefix) else ""
        own = {pattern_of(bare), pattern_of(bare, with_names=True)}
        fitting = [stream for stream in reports if stream.pattern in own] if bare else marked
        # The sign of a difference may stand before another output's line.
        if line.group in {"label", "table"} and len(fitting) == 1 and line.prefix not in SIGNS:
            homes.setdefault((fitting[0].pattern, _repeats(line)), []).append(line)
    for (pattern, label), lines in homes.items():
        (home,) = (stream for stream in reports if stream.pattern == pattern)
        kinds = {_repeats(line) for line in home.lines}
        labels = Counter(_repeats(line) for line in home.lines if line.group == "label")
        if label not in kinds and len(lines) in {1, max(labels.values(), default=1)}:
            home.lines = sorted([*home.lines, *lines])
            taken = set(lines)
            found.strangers = [line for line in found.strangers if line not in taken]


def _repeats(line: Line) -> str:
    """
    What an output has once.
    """
    return f"{line.kind} across" if "across" in line.text else line.kind
