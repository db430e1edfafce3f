"""
How the load was made: connections, client, concurrency and duration, and what follows from one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made
from analysis.audit.ranges import SLACK, Range, plain
from analysis.audit.tails import total_mean
from analysis.audit.versions import ADDED_UP, adds_up
from analysis.formatting import count

if TYPE_CHECKING:
    from analysis.audit.versions import Version
    from experiments.records.ab.output import AbOutput

FAST_PER_S = 15_000
"""Above this rate the single thread of ab may be the bottleneck."""

SHORT_S = 1.0
FEW_ROUNDS = 10
BUSY = 0.9
"""Share of the connections that is under way if ab sends without delay."""


def one_number(output: AbOutput) -> Finding:
    """
    That mean latency and rate are the same measurement.
    """
    rate, mean_ms = output.requests_per_second, output.latency_mean_ms
    if rate is None or mean_ms is None:
        return not_made("one_number", output.lacking("Requests per second", "Time per request"))
    text = (
        f"“Time per request” ({plain(mean_ms.value)} ms) and “Requests per second” "
        f"({plain(rate.value)}) are the same measurement: their product is the concurrency. A "
        "table with both reports one difference twice."
    )
    return Finding("one_number", Severity.NOTE, text)


def connections(output: AbOutput) -> Finding:
    """
    Whether the time of a request includes opening a connection.
    """
    complete, kept = output.requests_completed, output.keep_alive_requests
    if output.keep_alive is None or complete is None:
        return not_made("connections", ["Total transferred"])
    secured = " and the TLS handshake" if output.tls_protocol else ""
    values = {"keep_alive": output.keep_alive, "keep_alive_requests": kept}
    if kept is None:
        connect, total = output.time_ms("connect", "mean"), output.time_ms("total", "mean")
        measured = ""
        # Without deviations (-S), some versions print no mean.
        if connect and total and total.value and output.time_ms("total", "sd"):
            shown = plain(connect.value) if connect.value else "less than 1"
            measured = f" (mean connect {shown} of {plain(total.value)} ms)"
        text = (
            "ab speaks HTTP/1.0, here without keep-alive (-k). Every request opens a connection, "
            f"and its time includes the TCP handshake{secured}{measured}, accept and close. "
            "Clients with persistent connections see less of this cost, and less of the cost of "
            "proxies and network paths."
        )
        return Finding("connections", Severity.NOTE, text, values)
    if kept == 0:
        text = (
            "Keep-alive was requested (-k), but the server kept no connection open. ab speaks "
            "HTTP/1.0, where the server must agree to keep-alive. Every request opened a "
            "connection."
        )
        return Finding("connections", Severity.WARNING, text, values)
    text = (
        f"Keep-alive (-k, HTTP/1.0): {kept} of {count(complete, 'request')} left the connection "
        f"open for the next one. A request that found none open includes a TCP handshake{secured}: "
        "at least the first one of each connection."
    )
    return Finding("connections", Severity.NOTE, text, values)


def client(output: AbOutput) -> Finding:
    """
    Whether ab itself may have limited the rate.
    """
    rate = output.requests_per_second
    if rate is None:
        return not_made("client", ["Requests per second"])
    values = {"requests_per_second": rate.value, "workers": output.workers}
    if rate.value <= FAST_PER_S:
        if output.tls_protocol:
            text = (
                "Whether ab was the bottleneck is not known, because TLS costs it CPU time and the "
                "text does not tell how much. Measure its CPU time."
            )
            return Finding("client", Severity.NOTE, text, values)
        text = (
            f"{plain(rate.value)} requests/s is below {FAST_PER_S}, above which a single thread of "
            "ab may be the bottleneck; whether it had a CPU to itself, the text does not tell."
        )
        return Finding("client", Severity.OK, text, values)
    threads = "single-threaded"
    if output.workers is not None and output.workers > 1:
        threads = f"running {output.workers} threads"
    text = (
        f"{plain(rate.value)} requests/s: ab is {threads} and may itself be the bottleneck above "
        f"{FAST_PER_S} requests/s. Check its CPU time, or add a second client."
    )
    return Finding("client", Severity.WARNING, text, values)


def under_way(output: AbOutput, version: Version) -> Finding:
    """
    Whether as many requests were under way as the concurrency says.
    """
    rate, mean_ms = output.requests_per_second, total_mean(output, version)
    concurrency = output.concurrency
    if rate is None or mean_ms is None or not concurrency:
        needed = ("Requests per second", "Total, mean", "Concurrency Level")
        return not_made("under_way", output.lacking(*needed) or [needed[1]])
    if adds_up(output, version):
        return Finding("under_way", Severity.NOTE, f"Not checked: {ADDED_UP}.")
    # Little's law, with the limits of the rounded numbers.
    rates = [Range.of(rate)]
    if output.duration_s is not None and output.requests_completed:
        rates.append(Range.of(output.requests_completed) / Range.of(output.duration_s))
    mean = version.mean.range(mean_ms)
    most = min(each.high for each in rates) * mean.high / 1e3
    achieved = output.concurrency_achieved
    values = {"at_most_under_way": most, "concurrency": concurrency, "achieved": achieved}
    if rates[0].low * mean.low / 1e3 > concurrency * (1 + SLACK):
        text = (
            f"Rate × mean time is {_amount(rate.value * mean_ms.value / 1e3)} requests under way, "
            f"more than the concurrency of {concurrency} (Little's law): one of the "
            "numbers was changed, or is of another run."
        )
        return Finding("under_way", Severity.WARNING, text, values)
    if most >= BUSY * concurrency and (achieved is None or achieved >= concurrency):
        surely = rates[0].low * mean.low / 1e3 >= BUSY * concurrency
        text = f"load had its concurrency of {concurrency} (Little's law: rate × mean time)."
        text = f"The {text}" if surely else f"As far as whole milliseconds tell, the {text}"
        return Finding("under_way", Severity.OK, text, values)
    most = min(most, concurrency if achieved is None else achieved)
    text = (
        "“Time per request” is not the mean of the latencies: on average, complete requests were "
        f"under way on at most {_amount(most)} of {count(concurrency, 'connection')} (Little's "
        "law: rate × mean time). Requests that were never complete, pauses of ab, or ramp-up and "
        "ramp-down took the rest of the time."
    )
    return Finding("under_way", Severity.WARNING, text, values)


def duration(output: AbOutput) -> Finding:
    """
    Whether ramp-up and ramp-down are a small part of the run.
    """
    seconds, concurrency = output.duration_s, output.concurrency
    complete = output.requests_completed
    if seconds is None or not concurrency or complete is None:
        needed = ("Time taken for tests", "Concurrency Level", "Complete requests")
        return not_made("duration", output.lacking(*needed))
    rounds = complete / concurrency
    values = {"duration_s": seconds.value, "requests_per_connection": rounds}
    took = f"{plain(seconds.value)} s"
    reasons = []
    if seconds.value < SHORT_S:
        reasons.append(f"it took {took}, less than {SHORT_S:g} s")
    if rounds < FEW_ROUNDS:
        reasons.append(f"it had {count(complete, 'request')} at concurrency {concurrency}")
    if reasons:
        text = (
            f"Ramp-up and ramp-down are a large part of the run: {', and '.join(reasons)}. Send "
            "more requests (-n)."
        )
        return Finding("duration", Severity.WARNING, text, values)
    text = f"{took}, with {_amount(rounds)} requests in sequence on each connection."
    return Finding("duration", Severity.OK, text, values)


def _amount(number: float) -> str:
    """
    Three significant digits, but all of a whole number.
    """
    return plain(number, 0) if number >= 100 else f"{number:.3g}"


def one_run(output: AbOutput) -> Finding:
    """
    That one run has no confidence interval.
    """
    requests, here = output.requests_completed, ""
    if requests is not None:
        here = f" ({count(requests, 'request')} here)"
    text = (
        f"One run is one replicate, however many requests it has{here}. It has no "
        "confidence interval and does not predict another run. Repeat it at least five times, each "
        "time with a fresh server."
    )
    return Finding("one_run", Severity.NOTE, text, {"runs": 1})
