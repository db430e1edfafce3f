"""
How much of the mean is a tail, and what explains it, in words.
"""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Any

from analysis.audit.findings import Finding, Severity, listed, not_made, share
from analysis.audit.latencies import BEYOND, COARSE_BELOW_MS
from analysis.audit.ranges import plain
from analysis.audit.tails import (
    CARRY,
    SKEWED,
    Reading,
    Slow,
    Times,
    slow_to_connect,
    times_of,
    total_mean,
)
from analysis.audit.versions import ADDED_UP, adds_up
from analysis.formatting import count, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.audit.versions import Version
    from experiments.records.ab.numbers import Printed
    from experiments.records.ab.output import AbOutput

BIMODAL = 1.5
"""Ratio of mean to median above which a tail is a warning."""

SHORT_MS = 3000.0
"""Start times in whole seconds tell nothing of a shorter run."""

SYN_AGAIN_S = (1, 2, 3, 4, 5, 7, 11, 15, 19, 31, 35, 63, 67)
"""
Seconds after which a kernel sends a SYN again: the first waits are 1 s and then twice as long (RFC
6298, 2 and 5.5), or 1 s five times before that (Linux since 6.5, tcp_syn_linear_timeouts).
"""

LATE_MS = 200
"""How much later than that a connection is there."""


def tail(output: AbOutput, version: Version) -> Finding:
    """
    How much of the mean is a tail, and what explains it.
    """
    times = times_of(output, version)
    if times is None:
        missing = output.lacking("Complete requests", "Concurrency Level")
        return not_made("tail", missing or ["50%"])
    if math.isinf(times.mean.high):
        return not_made("tail", output.lacking("Time taken for tests", "Total, mean"))
    if reason := _no_distribution(output, version, times):
        text = f"Nothing can be said of a tail: {reason}."
        return Finding("tail", Severity.NOTE, text, {"reading": None})
    return _tail(output, version, times)


def _no_distribution(output: AbOutput, version: Version, times: Times) -> str | None:
    requests = output.requests_completed or 0
    if output.bytes_transferred == 0:
        return "no answer was received, so the times are those of failures"
    if requests < BEYOND:
        return f"only {count(requests, 'request')} {'was' if requests == 1 else 'were'} complete"
    if output.requests_asked is not None and output.requests_asked < requests:
        return "beyond “Number of requests” ab prints means of several requests"
    if adds_up(output, version):
        return ADDED_UP
    if times.levels.known[-1][1].low > times.run:
        return "a request that took longer than the run is of another one"
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
    reading = times.reading(slow)
    hidden = slow is not None and reading is not Reading.BROAD and times.hides(slow)
    if not times.skewed and not hidden:
        return _no_tail(output, times, mean, values, numbers)
    connecting = None if slow is None else slow_to_connect(output, version, slow)
    if connecting and reading is not Reading.BROAD:
        reading = Reading.CONNECTING
    least, most = times.above_median
    values |= {"share_in_tail": least, "reading": reading.value}
    text = "Mean and median hide slow requests. " if hidden and not times.skewed else ""
    if slow is not None and connecting and reading is Reading.CONNECTING:
        text += _connecting(output, times, slow, *connecting)
    else:
        text += _explained(output, times, slow, reading)
    text += f" {sentence(numbers)}"
    text += f": {_between(least, most)} of the mean is a tail above the median." if least else "."
    if slow is not None:
        values |= {
            "slow_from_ms": slow.from_ms,
            "slow_at_least": slow.sure,
            "slow_at_most": slow.most,
        }
        connect = output.time_ms("connect", "max")
        one_connects = connect and version.request.range(connect).low >= slow.from_ms
        if connect and one_connects and reading is not Reading.CONNECTING:
            text += f" At least one of the slow took {plain(connect.value)} ms to connect."
    among = {
        "failed requests": output.failed_receive or output.failed_exceptions,
        "error answers": output.responses_non_2xx,
    }
    if kinds := [kind for kind, number in among.items() if number]:
        text += f" Times of {listed(kinds)} are among them."
    much = slow is not None and not times.skewed and times.carried(slow) >= CARRY
    severe = mean_ms > BIMODAL * median.value or much
    return Finding("tail", Severity.WARNING if severe else Severity.NOTE, text, values)


def _no_tail(
    output: AbOutput, times: Times, mean: Printed | None, values: dict[str, Any], numbers: str
) -> Finding:
    """
    Whether mean and median agree, with the slowest requests, which they do not show.
    """
    if mean is None and values["mean_ms"] > BIMODAL * values["median_ms"]:
        text = f"Whether there is a tail cannot be told without the line “Total”: {numbers}."
        return Finding("tail", Severity.NOTE, text, values)
    lines = {f"{percent} %": time for percent, time in sorted(output.percentiles_ms.items())[-2:]}
    if longest := lines.pop("100 %", None) or output.time_ms("total", "max"):
        lines["the longest"] = longest
    shown = " and ".join(f"{name} {plain(time.value)} ms" for name, time in lines.items())
    numbers += f"; {shown}" if shown else ""
    if (fast := times.fast) is not None:
        half = f": at least {fast} of {times.levels.requests} requests took less than half of it"
        text = (
            "The mean is far below the median, because the times of the faster half are further "
            f"from it than those of the slower half{half if fast else ''}. {sentence(numbers)}."
        )
        severe = values["median_ms"] > BIMODAL * values["mean_ms"]
        values |= {"faster_than_half_at_least": fast}
        return Finding("tail", Severity.WARNING if severe else Severity.NOTE, text, values)
    (mean_low, mean_high), (low, high) = astuple(times.mean), astuple(times.median)
    agree = "Mean and median agree"
    if mean_high > SKEWED * low or high > SKEWED * mean_low:
        agree = "As far as the printed numbers tell, mean and median agree"
    return Finding("tail", Severity.OK, f"{agree}: {numbers}.", values)


def _between(least: float, most: float) -> str:
    shown = [share(each, 1) for each in (least, most)]
    return shown[1] if round(least, 2) == round(most, 2) else " to ".join(shown)


def _connecting(
    output: AbOutput, times: Times, slow: Slow, connect: Printed, processing: Printed
) -> str:
    secured = " or the TLS handshake" if output.tls_protocol else ""
    text = (
        f"The slow time is in connecting{secured}: {_number(slow)} of {times.levels.requests} "
        f"requests took {_each(slow)} ms or more, and processing at most "
        f"{plain(processing.value)} ms of it."
    )
    if any(
        1e3 * seconds <= connect.value + 1 <= 1e3 * seconds + LATE_MS for seconds in SYN_AGAIN_S
    ):
        text += (
            f" The longest time to connect, {plain(connect.value)} ms, fits a SYN that the network "
            "or a full listen queue dropped: the kernel sends it again after 1, 3, 7 s and so on "
            "(RFC 6298; Linux since 6.5 at first every second)."
        )
    return text


def _explained(output: AbOutput, times: Times, slow: Slow | None, reading: Reading) -> str:
    requests, connections = times.levels.requests, times.concurrency
    if slow is None or reading is Reading.BROAD:
        return (
            "No class of slow requests stands out that explains the tail: the times are spread "
            "out, or the speed changed during the run."
        )
    longest = output.percentiles_ms.get(100) or output.time_ms("total", "max")
    stall = "One stall" if longest is None else f"One stall of at most {plain(longest.value)} ms"
    from_ms = f"{_whole(slow.sure_ms, math.floor)} ms or more"
    several = (
        f"slow requests now and then (about one in {_one_in(requests, slow)}), several stalls or a "
        "slow phase"
    )
    delayed = f"at most {count(connections, 'request')}"
    if reading is Reading.SINGLE:
        return (
            f"One request alone ({from_ms}) is at least {share(times.carried(slow), 1)} of the "
            f"time of all {requests} requests; one run cannot tell whether it comes again."
        )
    if reading is Reading.STALL:
        at_once = replace(slow, most=min(slow.most, connections))
        first_ms = math.ceil(times.run - slow.sure_ms)
        first = f"{first_ms} ms" if first_ms < 1e3 else f"{plain(math.ceil(first_ms / 100) / 10)} s"
        return (
            f"{stall} fits the tail: {_number(at_once)} of {requests} requests took {from_ms}, "
            "longer than half of the run, so that all of them were under way at one moment. If "
            f"each was slow by itself, all of them began in the first {first}."
        )
    if reading is Reading.SEVERAL:
        stalls = max(2, -(-slow.sure // connections))
        return (
            f"The tail is not one stall, which delays {delayed}: {_number(slow)} of {requests} "
            f"were slow ({from_ms}), about one in {_one_in(requests, slow)}. Either single "
            f"ones were slow all over the run, or there were {stalls} or more stalls, or a slow "
            f"phase. {_decided(times)}"
        )
    fits = times.fits(slow)
    if fits.stall and fits.several:
        text = f"{stall} that delayed {delayed} fits, and so do {several}"
    elif fits.stall:
        text = f"{stall} that delayed {delayed} fits"
    else:
        text = f"{sentence(several)} fit; one stall does not, because it delays {delayed}"
    if fits.broad:
        text += "; a broad distribution fits, too, because the text tells little of the slowest"
    of_class = f"{_number(slow)} of {requests} requests took {_each(slow)} ms or more"
    return f"{text}. {of_class}. {_decided(times)}"


def _decided(times: Times) -> str:
    """
    What would tell; ab prints start times by apr_time_sec (2.4, output_results).
    """
    if times.levels.requests <= times.concurrency:
        return "All requests began together, so no time of theirs can decide."
    if times.run < SHORT_MS:
        return (
            "The start times in a gnuplot file (-g) are whole seconds; only a longer run has "
            "enough of them to tell."
        )
    return "The start times in a gnuplot file (-g), in whole seconds, can tell."


def _number(slow: Slow) -> str:
    return f"{slow.sure}" if slow.sure == slow.most else f"{slow.sure} to {slow.most}"


def _each(slow: Slow) -> str:
    """
    What each of them took at least, so that no others took as long.
    """
    if slow.sure == slow.most:
        return _whole(slow.sure_ms, math.floor)
    return _whole(slow.from_ms, math.ceil)


def _whole(time_ms: float, rounded: Callable[[float], int]) -> str:
    tenths = 1 if time_ms >= COARSE_BELOW_MS else 10
    return plain(rounded(time_ms * tenths) / tenths, 1)


def _one_in(requests: int, slow: Slow) -> str:
    rarest, most_frequent = round(requests / slow.sure), round(requests / slow.most)
    return f"{rarest}" if rarest == most_frequent else f"{most_frequent} to {rarest}"
