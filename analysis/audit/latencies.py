"""
What the printed latencies support: their rounding, their percentiles, their tail.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made, share
from analysis.audit.ranges import plain
from analysis.audit.tails import Reading, Slow, Times, times_of, total_mean
from analysis.formatting import count, sentence

if TYPE_CHECKING:
    from analysis.audit.versions import Version
    from experiments.records.ab.output import AbOutput

TABLE = "Percentage of the requests"

COARSE_BELOW_MS = 20.0
COARSEST_BELOW_MS = 5.0
"""Below this, half a millisecond is more than 10 %."""

BEYOND = 10
"""Requests that must lie beyond a percentile; with fewer, single requests decide it."""

BIMODAL = 1.5
"""Ratio of mean to median above which a tail is a warning."""


def rounding(output: AbOutput, version: Version) -> Finding:
    """
    How large the rounding to whole milliseconds is against the percentiles.
    """
    lines = output.percentiles_ms
    coarse = {
        percent: value
        for percent, value in sorted(lines.items())
        if value.value < COARSE_BELOW_MS and value.half_unit >= 0.5
    }
    if not lines:
        return not_made("rounding", [TABLE])
    if not coarse:
        text = f"No percentile is below {COARSE_BELOW_MS:g} ms, so rounding is negligible."
        return Finding("rounding", Severity.OK, text, {"error_percent": {}})
    below, above = version.request
    errors = {
        percent: 100 * above / value.value if value.value else None
        for percent, value in coarse.items()
    }
    sign = "±" if below else "+"
    shown = ", ".join(
        f"{percent} % is {plain(coarse[percent].value)} ms "
        + ("(no significant digit)" if error is None else f"({sign}{error:.0f} %)")
        for percent, error in errors.items()
        if percent in {min(errors), 90, 99}
    )
    text = f"Percentiles are whole milliseconds ({sign}{above:g} ms): {shown}."
    if above < 1:
        text += " The percentile file (-e) has microseconds."
    worst = next(iter(coarse.values())).value
    severity = Severity.WARNING if worst < COARSEST_BELOW_MS else Severity.NOTE
    values = {"error_percent": {str(percent): error for percent, error in errors.items()}}
    return Finding("rounding", severity, text, values)


def percentiles(output: AbOutput, version: Version) -> Finding:
    """
    Which percentiles have enough requests beyond them.

    ab prints the sorted request at ``version.index``. For the percentile file (``-e``) it adds a
    half before rounding down, so that the index may lie beyond the last one.
    """
    requests = output.requests_completed
    printed = [percent for percent in sorted(output.percentiles_ms) if percent < 100]
    if not printed or not requests:
        return not_made("percentiles", output.lacking(TABLE, "Complete requests"))
    supported = [p for p in printed if requests * (100 - p) >= BEYOND * 100]
    unsupported = [p for p in printed if p not in supported]
    longest = [p for p in printed if version.index(requests, p) >= requests - 1]
    values = {"supported": supported, "unsupported": unsupported, "longest_request": longest}
    if not unsupported:
        text = (
            f"{requests} requests support {_named(supported)} (at least {BEYOND} requests at "
            "or beyond each); 100 % is a single request, the longest."
        )
        return Finding("percentiles", Severity.OK, text, values)
    enough = -(-BEYOND * 100 // (100 - unsupported[-1]))
    supports = (
        f"{_named(supported)}, but not {_named(unsupported)}"
        if supported
        else "none of the percentiles"
    )
    text = (
        f"{count(requests, 'request')} {'supports' if requests == 1 else 'support'} {supports}: "
        f"fewer than {BEYOND} lie beyond. {unsupported[-1]} % needs {enough} requests."
    )
    if longest:
        text += f" By ab's index, the longest request itself is {_named(longest)}."
    if int(0.5 + requests * 0.99) >= requests:
        text += " The percentile file (-e) reads 99 % beyond ab's table: that is no latency."
    return Finding("percentiles", Severity.WARNING, text, values)


def _named(percents: list[int]) -> str:
    return ", ".join(f"{percent} %" for percent in percents)


def tail(output: AbOutput, version: Version) -> Finding:
    """
    How much of the mean is a tail, and what explains it.
    """
    times = times_of(output, version)
    if times is None:
        return not_made("tail", output.lacking("Complete requests", "Concurrency Level", "50%"))
    if math.isinf(times.mean.high):
        return not_made("tail", output.lacking("Time per request", "Total, mean"))
    if reason := _no_distribution(output):
        text = f"Nothing can be said of a tail: {reason}."
        return Finding("tail", Severity.NOTE, text, {"reading": None})
    return _tail(output, version, times)


def _no_distribution(output: AbOutput) -> str | None:
    requests = output.requests_completed or 0
    if output.bytes_transferred == 0:
        return "no answer was received, so the times are those of failures"
    if requests < BEYOND:
        return f"only {count(requests, 'request')} {'was' if requests == 1 else 'were'} complete"
    if output.requests_asked is not None and output.requests_asked < requests:
        return "beyond “Number of requests” ab prints means of several requests"
    return None


def _tail(output: AbOutput, version: Version, times: Times) -> Finding:
    median = output.percentiles_ms.get(50) or output.labelled("Total, median")
    mean = total_mean(output, version)
    # Without its line, the mean is known from “Time per request”, which is at least as large.
    shown = mean or output.latency_mean_ms
    mean_ms = shown.value if shown else times.mean.high
    numbers = (
        f"median {plain(median.value)} ms, mean {'at most ' if mean is None else ''}"
        f"{plain(mean_ms, 3)} ms"
    )
    values = {"median_ms": median.value, "mean_ms": mean_ms, "share_in_tail": 0.0, "reading": None}
    slow = times.slow()
    if not times.skewed and (slow is None or not times.hides(slow)):
        if mean is None and mean_ms > BIMODAL * median.value:
            text = f"Whether there is a tail cannot be told without the line “Total”: {numbers}."
            return Finding("tail", Severity.NOTE, text, values)
        return Finding("tail", Severity.OK, f"Mean and median agree: {numbers}.", values)
    reading = times.reading(slow)
    least, most = times.above_median
    values |= {"share_in_tail": least, "reading": reading.value}
    text = f"{_explained(output, times, slow, reading)} {sentence(numbers)}"
    text += f": {_between(least, most)} of the mean is a tail above the median." if least else "."
    if slow is not None:
        values |= {
            "slow_from_ms": slow.from_ms,
            "slow_at_least": slow.sure,
            "slow_at_most": slow.most,
        }
    if output.failed_receive or output.failed_exceptions:
        text += " Times of failed requests are among them."
    severe = mean_ms > BIMODAL * median.value or not times.skewed
    return Finding("tail", Severity.WARNING if severe else Severity.NOTE, text, values)


def _between(least: float, most: float) -> str:
    shown = [share(each, 1) for each in (least, most)]
    return shown[1] if round(least, 2) == round(most, 2) else " to ".join(shown)


def _explained(output: AbOutput, times: Times, slow: Slow | None, reading: Reading) -> str:
    requests, connections = times.levels.requests, times.concurrency
    if slow is None or reading is Reading.BROAD:
        return (
            "The distribution is broad: no class of slow requests stands out that explains the "
            "tail, as one stall or a steady cost would make it."
        )
    longest = output.percentiles_ms.get(100) or output.time_ms("total", "max")
    stall = "One stall" if longest is None else f"One stall of at most {plain(longest.value)} ms"
    from_ms = f"{_at_least(slow.sure_ms)} ms or more"
    number = f"{slow.sure}" if slow.sure == slow.most else f"{slow.sure} to {slow.most}"
    one_in = f"a steady cost of one request in {_one_in(requests, slow)}"
    delayed = f"at most {count(connections, 'request')}"
    if reading is Reading.SINGLE:
        return (
            f"One request alone ({from_ms}) is at least {share(times.carried(slow), 1)} of the "
            f"time of all {requests} requests: a single event, no cost of every request."
        )
    if reading is Reading.STALL:
        return (
            f"{stall} explains the tail, a steady cost does not: {slow.sure} of {requests} "
            f"requests took {from_ms}, longer than half of the run, so that all of them were under "
            "way at one moment."
        )
    if reading is Reading.STEADY:
        stalls = max(2, -(-slow.sure // connections))
        return (
            f"The tail is {one_in}, {from_ms} each: {number} of {requests} requests were slow. "
            f"{stall} would have delayed {delayed}; it would take {stalls} or more, one after "
            "another."
        )
    fits, a_stall = times.fits(slow), stall[:1].lower() + stall[1:]
    if fits.stall and fits.steady:
        text = f"Both fit: {a_stall} that delayed {delayed}, or {one_in}"
    elif fits.stall:
        text = f"{stall} that delayed {delayed} fits"
    else:
        text = f"{sentence(one_in)} fits, {a_stall} does not, because it delays {delayed}"
    if fits.broad:
        text += "; a broad distribution fits, too, because the text tells little of the slowest"
    decided = "The start times in a gnuplot file (-g) would decide."
    if requests <= connections:
        decided = "All requests began together, so no time of theirs can decide."
    of_class = f"{number} of {requests} requests took {_at_least(slow.from_ms)} ms or more"
    return f"{text}. {of_class}. {decided}"


def _at_least(time_ms: float) -> str:
    return plain(math.floor(time_ms) if time_ms >= COARSE_BELOW_MS else time_ms, 1)


def _one_in(requests: int, slow: Slow) -> str:
    rarest, most_frequent = round(requests / slow.sure), round(requests / slow.most)
    return f"{rarest}" if rarest == most_frequent else f"{most_frequent} to {rarest}"
