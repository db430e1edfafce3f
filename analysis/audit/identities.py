"""
Identities among the numbers of one output: what ab computes from what, and whether it is so here.

A number stands for every value that is printed so; an identity fails only if none of them fits.
The formulas are those of ``output_results`` in ``support/ab.c``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity
from analysis.audit.reading import LABELS
from analysis.audit.rounding import Printed, Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.audit.reading import Reading


@dataclass(frozen=True)
class Formula:
    """
    A printed number that follows from others.
    """

    target: str
    words: str
    sources: tuple[str, ...]
    compute: Callable[..., Range]


FORMULAS = (
    Formula(
        "latency_mean_ms",
        "mean latency = concurrency × time / requests",
        ("concurrency", "duration_s", "requests_complete"),
        lambda concurrency, duration_s, requests: concurrency * duration_s * 1e3 / requests,
    ),
    Formula(
        "latency_across_ms",
        "mean across all concurrent requests = time / requests",
        ("duration_s", "requests_complete"),
        lambda duration_s, requests: duration_s * 1e3 / requests,
    ),
    Formula(
        "requests_per_s",
        "requests per second = requests / time",
        ("requests_complete", "duration_s"),
        lambda requests, duration_s: requests / duration_s,
    ),
    Formula(
        "requests_per_s",
        "requests per second = concurrency / mean latency",
        ("concurrency", "latency_mean_ms"),
        lambda concurrency, latency_ms: concurrency * 1e3 / latency_ms,
    ),
    Formula(
        "transfer_kib_per_s",
        "transfer rate = total transferred / time",
        ("transferred_bytes", "duration_s"),
        lambda transferred, duration_s: transferred / 1024 / duration_s,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """
    Whether one identity holds (None: it could not be looked at), with its numbers or what lacks.
    """

    words: str
    holds: bool | None
    detail: str


def identities(reading: Reading) -> list[Finding]:
    """
    One finding for all that holds, one for each identity that does not, one for what is missing.
    """
    outcomes = [_by_formula(reading, formula) for formula in FORMULAS]
    outcomes += [
        _failures(reading),
        _bodies(reading),
        _percentiles(reading),
        _median(reading),
        _longest(reading),
        _total(reading),
        _rows(reading),
    ]
    found = [
        Finding(
            "identity",
            Severity.ERROR,
            f"Does not hold: {outcome.words}; {outcome.detail}. The text was changed, or its "
            "numbers are of different runs.",
            {"identity": outcome.words},
        )
        for outcome in outcomes
        if outcome.holds is False
    ]
    holding = [outcome.words for outcome in outcomes if outcome.holds]
    if holding:
        text = f"{len(holding)} hold within the printed rounding: {'; '.join(holding)}."
        found.append(Finding("identities", Severity.OK, text, {"holding": holding}))
    lacking = {outcome.words: outcome.detail for outcome in outcomes if outcome.holds is None}
    if lacking:
        named = "; ".join(f"{words} ({detail})" for words, detail in lacking.items())
        text = f"{len(lacking)} could not be checked: {named}."
        found.append(Finding("identities_not_checked", Severity.NOTE, text, {"lacking": lacking}))
    return found


def _range(value: float | Printed) -> Range:
    return value.range if isinstance(value, Printed) else Range(value, value)


def _lacks(words: str, *labels: str) -> Outcome:
    return Outcome(words, None, "no " + ", no ".join(f"“{label}”" for label in labels))


def _by_formula(reading: Reading, formula: Formula) -> Outcome:
    names = (formula.target, *formula.sources)
    missing = [LABELS[name] for name in names if getattr(reading, name) is None]
    if missing:
        return _lacks(formula.words, *missing)
    printed = getattr(reading, formula.target)
    computed = formula.compute(*(_range(getattr(reading, name)) for name in formula.sources))
    detail = f"printed is {printed.value:g}, computed {computed}"
    return Outcome(formula.words, computed.overlaps(printed.range), detail)


def _failures(reading: Reading) -> Outcome:
    words = "failed = connect + receive + length + exceptions"
    kinds = {
        kind: getattr(reading, f"failed_{kind}")
        for kind in ("connect", "receive", "length", "exceptions")
    }
    missing = [f"failed: {kind}" for kind, number in kinds.items() if number is None]
    if reading.requests_failed is None:
        missing.append(LABELS["requests_failed"])
    if missing or reading.requests_failed is None:
        return _lacks(words, *missing)
    total = sum(kinds.values())
    # The trunk also counts requests as failed that could not be written.
    allowed = range(total, total + (reading.write_errors or 0) + 1)
    detail = f"printed is {reading.requests_failed}, the sum {total}"
    return Outcome(words, reading.requests_failed in allowed, detail)


def _bodies(reading: Reading) -> Outcome:
    words = "HTML transferred = document length × requests, where no length failed"
    if reading.document_length_variable:
        return Outcome(words, None, "the length may vary (-l)")
    names = ("document_length_bytes", "html_bytes", "requests_complete", "requests_failed")
    missing = [LABELS[name] for name in names if getattr(reading, name) is None]
    length, html = reading.document_length_bytes, reading.html_bytes
    requests = reading.requests_complete
    if length is None or html is None or requests is None or missing:
        return _lacks(words, *missing)
    if reading.requests_failed:
        return Outcome(words, None, "some requests failed")
    # When a time limit ends the run, the requests then under way have been read in part.
    under_way = length * (reading.concurrency or 0)
    computed = length * requests
    detail = f"printed is {html}, computed {computed}"
    return Outcome(words, computed <= html <= computed + under_way, detail)


def _percentiles(reading: Reading) -> Outcome:
    words = "percentiles rise"
    if len(reading.percentiles_ms) < 2:
        return _lacks(words, "Percentage of the requests")
    for (lower, low), (upper, high) in pairwise(sorted(reading.percentiles_ms.items())):
        if low.value > high.value:
            detail = f"{lower} % is {low.value:g} ms, {upper} % is {high.value:g} ms"
            return Outcome(words, holds=False, detail=detail)
    return Outcome(words, holds=True, detail="")


def _median(reading: Reading) -> Outcome:
    words = "median of the total times = 50 % line"
    median, line = reading.time_ms("total", "median"), reading.percentiles_ms.get(50)
    longest = reading.percentiles_ms.get(100)
    requests = reading.requests_complete
    if median is None or line is None or requests is None:
        needed = {"Total, median": median, "50%": line, LABELS["requests_complete"]: requests}
        return _lacks(words, *(name for name, value in needed.items() if value is None))
    # Of an odd number of requests ab takes the middle one and the next, and prints their mean.
    holds = median.same(line)
    if requests % 2:
        holds = holds or line.value <= median.value <= (longest or median).value
    return Outcome(words, holds, f"{median.value:g} and {line.value:g} ms")


def _longest(reading: Reading) -> Outcome:
    words = "longest request = 100 % line"
    longest, line = reading.time_ms("total", "max"), reading.percentiles_ms.get(100)
    if longest is None or line is None:
        needed = {"Total, max": longest, "100%": line}
        return _lacks(words, *(name for name, value in needed.items() if value is None))
    detail = f"{longest.value:g} and {line.value:g} ms"
    return Outcome(words, longest.same(line), detail)


def _total(reading: Reading) -> Outcome:
    words = "mean total = mean connect + mean processing"
    means = [reading.time_ms(row, "mean") for row in ("connect", "processing", "total")]
    connect, processing, total = means
    if connect is None or processing is None or total is None:
        return _lacks(words, "Connection Times")
    computed = connect.range + processing.range
    detail = f"{connect.value:g} + {processing.value:g} and {total.value:g} ms"
    return Outcome(words, computed.overlaps(total.range), detail)


def _rows(reading: Reading) -> Outcome:
    words = "min ≤ mean, median ≤ max in every row of times"
    if not reading.connection_times_ms:
        return _lacks(words, "Connection Times")
    for row, columns in reading.connection_times_ms.items():
        for middle in ("mean", "median"):
            values = [columns[name].value for name in ("min", middle, "max") if name in columns]
            if values != sorted(values):
                detail = f"{row}, min, {middle}, max: " + ", ".join(f"{ms:g}" for ms in values)
                return Outcome(words, holds=False, detail=detail)
    return Outcome(words, holds=True, detail="")
