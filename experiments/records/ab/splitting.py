"""
The lines of a text, split into outputs of ab.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from typing import TYPE_CHECKING

from experiments.records.ab.fields import values
from experiments.records.ab.output import PLACES, put_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from experiments.records.ab.fields import Value
    from experiments.records.ab.output import AbOutput

    Key = tuple[str, int | str | None]
    """A field and, of a table, the row."""

VERSION = ("version", None)
ROWS = {"connect": 0, "processing": 1, "waiting": 2, "total": 3}


class _Part:
    """
    The lines of one output, as far as they are known.
    """

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.keys: set[Key] = set()

    @property
    def fields(self) -> set[str]:
        return {value.field for value in self.values}

    @property
    def is_headline(self) -> bool:
        """
        Whether ab says that it runs, and neither that it gave up nor anything else.
        """
        return self.keys == {VERSION} and "faults" not in self.fields

    def taken_faults(self) -> list[Value]:
        """
        Take away the reasons after the report, or those that stand alone.
        """
        fields = [value.field for value in self.values]
        report = "requests_completed" in fields
        if self.keys and not report:
            return []
        start = fields.index("requests_completed") if report else 0
        before, after = self.values[:start], self.values[start:]
        self.values = before + [value for value in after if value.field != "faults"]
        return [value for value in after if value.field == "faults"]

    def add(self, values: Iterable[Value]) -> None:
        self.values += values
        self.keys |= _keys(values)


def pieces_per_output(lines: Iterable[str]) -> float:
    """
    1 if outputs follow each other; more if their lines alternate.
    """
    pieces = [part.keys for part in _parts(lines) if part.keys]
    outputs = max(Counter(itertools.chain(*pieces)).values(), default=0)
    return len(pieces) / outputs if outputs > 1 else 1.0


def read_outputs(lines: Iterable[str]) -> Iterator[AbOutput]:
    """
    Every output of ab in clean lines, in order; lines before the first are an output of nothing.

    A line that repeats begins another output. So does a return to an earlier line of ab's order
    after lines that are not ab's, unless no line repeats in the whole text.
    """
    parts = _parts(lines)
    keys = [key for part in parts for key in part.keys]
    if len(set(keys)) == len(keys):
        whole = _Part()
        for part in parts:
            whole.add(part.values)
        parts = [whole]
    return (put_together(part.values) for part in _give_back(parts))


def _parts(lines: Iterable[str]) -> list[_Part]:
    parts = [_Part()]
    last, after_others = _place(()), False
    for line in lines:
        held = values(line)
        keys = _keys(held)
        if keys:
            place = _place(keys)
            returns = after_others and place < last
            if VERSION in keys or returns or keys & parts[-1].keys:
                parts.append(_Part())
            last = place
        after_others = not held or (after_others and not keys)
        parts[-1].add(held)
    return parts


def _keys(values: Iterable[Value]) -> set[Key]:
    """
    The values that an output has once.
    """
    return {(value.field, value.key) for value in values if value.field in PLACES}


def _place(keys: Iterable[Key]) -> tuple[int, int]:
    """
    The first place in ab's order.
    """
    rows = [(PLACES[field], ROWS[row] if isinstance(row, str) else row or 0) for field, row in keys]
    return min(rows, default=(-1, 0))


def _give_back(parts: list[_Part]) -> list[_Part]:
    """
    Put together what buffers have torn apart.

    Of several instances of ab at once, all headlines may stand before all reports. Where standard
    output was written before standard error, a reason stands after the report of an earlier run.
    """
    for part, following in itertools.pairwise(parts):
        if not following.fields & {"requests_completed", "faults"}:
            following.values += part.taken_faults()
    headlines: deque[_Part] = deque()
    for part in parts:
        if part.is_headline:
            headlines.append(part)
        elif part.keys and VERSION not in part.keys and headlines:
            headline = headlines.popleft()
            part.values = headline.values + part.values
            headline.values = []
    return [part for part in parts if part.values] or parts[:1]
