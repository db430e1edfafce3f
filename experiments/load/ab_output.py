"""
Strict reading of what this project's own ab printed: one whole report, or an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from experiments.errors import LoadError, NoAnswerError, TooSlowError
from experiments.records.ab.lines import clean_lines
from experiments.records.ab.numbers import Printed
from experiments.records.ab.report import AbReport
from experiments.records.ab.splitting import read_outputs

if TYPE_CHECKING:
    from experiments.records.ab.output import AbOutput

TIMED_OUT = "timeout specified has expired"
UNANSWERED = ("Connection reset by peer", "Connection refused", "End of file", "Broken pipe")
"""What ab gives up on: an answer that takes too long, or none."""


def parse(text: str) -> AbReport:
    """
    Read one report.

    Raises LoadError for a run that ab gave up, with ab's reason (TooSlowError or NoAnswerError if
    it was the service); for text that is not one whole
    report, with the first thing that is missing; and for a value that ab never prints.
    """
    outputs = list(read_outputs(clean_lines(text)))
    of_ab = [output for output in outputs if output.is_of_ab] or outputs[-1:]
    output = of_ab[0]
    if output.failure:
        raise _given_up(output.failure)
    if output.missing:
        shown = text.strip().splitlines()[0][:80] if text.strip() else ""
        msg = f"this is not a report of ab: no “{output.missing[0]}” in it; it begins {shown!r}"
        raise LoadError(msg)
    if len(of_ab) > 1:
        msg = f"ab printed {len(of_ab)} reports where one was expected"
        raise LoadError(msg)
    if output.unreadable:
        msg = f"ab printed no readable value after {', '.join(map(repr, output.unreadable))}"
        raise LoadError(msg)
    return _report(output)


def _given_up(failure: str) -> LoadError:
    """
    The error for ab's reason, which is that of the Apache Portable Runtime and the kernel.
    """
    if TIMED_OUT in failure:
        return TooSlowError(failure)
    return NoAnswerError(failure) if any(map(failure.count, UNANSWERED)) else LoadError(failure)


def _report(output: AbOutput) -> AbReport:
    found = {name: _stored(getattr(output, name)) for name in AbReport.__struct_fields__}
    # ab prints percentiles in whole milliseconds.
    found["percentiles_ms"] = {each: int(ms) for each, ms in found["percentiles_ms"].items()}
    return AbReport(**{name: value for name, value in found.items() if value is not None})


def _stored(value: Any) -> Any:  # noqa: ANN401 - a field of any type
    if isinstance(value, Printed):
        return value.value
    if isinstance(value, dict):
        return {key: _stored(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def parse_percentiles(text: str) -> dict[int, float]:
    """
    Read the file that ab writes with ``-e``: per cent to milliseconds, to the microsecond.

    Raises LoadError when it is not such a file.
    """
    header, *rows = text.splitlines() or [""]
    found: dict[int, float] = {}
    if header == "Percentage served,Time in ms":
        for row in rows:
            percent, _, value = row.partition(",")
            # ab's times are 64-bit microseconds. With few requests some are from beyond its table,
            # and may be any such number.
            if re.fullmatch(r"\d{1,3},-?\d{1,16}(?:\.\d{1,15})?", row, re.ASCII):
                found[int(percent)] = float(value)
    if len(found) < len(rows) or not {50, 90, 99} <= found.keys():
        msg = f"this is not a whole percentile file of ab; it begins {text[:80]!r}"
        raise LoadError(msg)
    return found
