"""
Identities among the numbers of one output: the formulas by which ab computes one from others.

A printed number stands for every value that rounds to it. An identity fails only if none of them
fits. The formulas are those of ``output_results`` in ``support/ab.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity
from analysis.audit.ranges import Range, same

if TYPE_CHECKING:
    from experiments.records.ab.numbers import Printed
    from experiments.records.ab.output import AbOutput


Check = Callable[..., "tuple[bool | None, str]"]


@dataclass(frozen=True)
class Identity:
    """
    What must hold among the values of some labels.

    ``check`` takes the output and the values. It says whether they agree, None if that cannot be
    told, with the numbers or the reason.
    """

    words: str
    labels: tuple[str, ...]
    check: Check


def _formula(compute: Callable[..., Range]) -> Check:
    def check(_: AbOutput, printed: Printed, *sources: Printed | int) -> tuple[bool, str]:
        computed = compute(*map(Range.of, sources))
        detail = f"printed is {printed.value:g}, computed {computed}"
        return computed.overlaps(Range.of(printed)), detail

    return check


def _failures(output: AbOutput, failed: int, *kinds: int) -> tuple[bool, str]:
    total = sum(kinds)
    # The trunk also counts requests as failed that could not be written.
    allowed = range(total, total + (output.write_errors or 0) + 1)
    return failed in allowed, f"printed is {failed}, the sum {total}"


def _bodies(output: AbOutput, html: int, requests: int, failed: int) -> tuple[bool | None, str]:
    if output.document_length_variable:
        return None, "lengths may vary (-l)"
    if output.document_length is None:
        return None, "no “Document Length”"
    if failed:
        return None, "some requests failed"
    # If a time limit ends the run, the requests then under way are received in part.
    under_way = output.document_length * (output.concurrency or 0)
    computed = output.document_length * requests
    detail = f"printed is {html}, computed {computed}"
    return computed <= html <= computed + under_way, detail


def _percentiles(_: AbOutput, percentiles_ms: dict[int, Printed]) -> tuple[bool, str]:
    for (lower, low), (upper, high) in pairwise(sorted(percentiles_ms.items())):
        if low.value > high.value:
            return False, f"{lower} % is {low.value:g} ms, {upper} % is {high.value:g} ms"
    return True, ""


def _median(output: AbOutput, median: Printed, line: Printed, requests: int) -> tuple[bool, str]:
    # For an odd number of requests ab prints the mean of the middle one and the next.
    longest = output.percentiles_ms.get(100, median)
    between = requests % 2 == 1 and line.value <= median.value <= longest.value
    return same(median, line) or between, f"{median.value:g} and {line.value:g} ms"


def _longest(_: AbOutput, longest: Printed, line: Printed) -> tuple[bool, str]:
    return same(longest, line), f"{longest.value:g} and {line.value:g} ms"


def _rows(_: AbOutput, rows: dict[str, dict[str, Printed]]) -> tuple[bool, str]:
    for row, columns in rows.items():
        for middle in ("mean", "median"):
            values = [columns[name].value for name in ("min", middle, "max") if name in columns]
            if values != sorted(values):
                shown = ", ".join(f"{ms:g}" for ms in values)
                return False, f"{row}, min, {middle}, max: {shown}"
    return True, ""


IDENTITIES = (
    Identity(
        "mean latency = concurrency × time / requests",
        ("Time per request", "Concurrency Level", "Time taken for tests", "Complete requests"),
        _formula(lambda concurrency, seconds, requests: concurrency * seconds * 1e3 / requests),
    ),
    Identity(
        "mean across all concurrent requests = time / requests",
        ("Time per request (across)", "Time taken for tests", "Complete requests"),
        _formula(lambda seconds, requests: seconds * 1e3 / requests),
    ),
    Identity(
        "requests per second = requests / time",
        ("Requests per second", "Complete requests", "Time taken for tests"),
        _formula(lambda requests, seconds: requests / seconds),
    ),
    Identity(
        "requests per second = concurrency / mean latency",
        ("Requests per second", "Concurrency Level", "Time per request"),
        _formula(lambda concurrency, latency_ms: concurrency * 1e3 / latency_ms),
    ),
    Identity(
        "transfer rate = total transferred / time",
        ("Transfer rate", "Total transferred", "Time taken for tests"),
        _formula(lambda transferred, seconds: transferred / 1024 / seconds),
    ),
    Identity(
        "failed = connect + receive + length + exceptions",
        ("Failed requests", "Connect", "Receive", "Length", "Exceptions"),
        _failures,
    ),
    Identity(
        "HTML transferred = document length × requests, if no length failed",
        ("HTML transferred", "Complete requests", "Failed requests"),
        _bodies,
    ),
    Identity("percentiles rise", ("Percentage of the requests",), _percentiles),
    Identity(
        "median of the total times = 50 % line",
        ("Total, median", "50%", "Complete requests"),
        _median,
    ),
    Identity("longest request = 100 % line", ("Total, max", "100%"), _longest),
    Identity(
        "mean total = mean connect + mean processing",
        ("Total, mean", "Connect, mean", "Processing, mean"),
        _formula(lambda connect, processing: connect + processing),
    ),
    Identity("min ≤ mean, median ≤ max in every row of times", ("Connection Times",), _rows),
)


def identities(output: AbOutput) -> list[Finding]:
    """
    One finding for each identity that fails, one for all that hold, one for all not checked.
    """
    found: list[Finding] = []
    holding: list[str] = []
    lacking: dict[str, str] = {}
    for identity in IDENTITIES:
        values = [output.labelled(label) for label in identity.labels]
        pairs = zip(identity.labels, values, strict=True)
        missing = [f"no “{label}”" for label, value in pairs if value is None or value == {}]
        holds, detail = (None, ", ".join(missing)) if missing else identity.check(output, *values)
        if holds:
            holding.append(identity.words)
        elif holds is None:
            lacking[identity.words] = detail
        else:
            text = (
                f"Fails: {identity.words}; {detail}. The text was edited, or it mixes the numbers "
                "of different runs."
            )
            found.append(Finding("identity", Severity.ERROR, text, {"identity": identity.words}))
    if holding:
        text = f"{len(holding)} hold within the printed rounding: {'; '.join(holding)}."
        found.append(Finding("identities", Severity.OK, text, {"holding": holding}))
    if lacking:
        named = "; ".join(f"{words} ({detail})" for words, detail in lacking.items())
        text = f"{len(lacking)} not checked: {named}."
        found.append(Finding("identities_not_checked", Severity.NOTE, text, {"lacking": lacking}))
    return found
