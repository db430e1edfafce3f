"""
How the load was made: connections, client, concurrency and duration, and what follows from one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made
from analysis.audit.ranges import Range
from analysis.formatting import count

if TYPE_CHECKING:
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
        f"Mean latency ({mean_ms.value:g} ms) and requests per second ({rate.value:g}) are the "
        "same measurement: ab divides the concurrency by one to get the other. A table with both "
        "reports one difference twice."
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
        if connect is not None and total is not None:
            measured = f" (mean connect {connect.value:g} of {total.value:g} ms)"
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
        f"open for the next one. Only the others include a TCP handshake{secured}."
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
        text = f"{rate.value:g} requests/s is within the capacity of a single thread of ab."
        return Finding("client", Severity.OK, text, values)
    threads = "single-threaded"
    if output.workers is not None and output.workers > 1:
        threads = f"running {output.workers} threads"
    text = (
        f"{rate.value:g} requests/s: ab is {threads} and may itself be the bottleneck above "
        f"{FAST_PER_S} requests/s. Check its CPU time, or add a second client."
    )
    return Finding("client", Severity.WARNING, text, values)


def under_way(output: AbOutput) -> Finding:
    """
    Whether as many requests were under way as the concurrency says.
    """
    rate, mean_ms = output.requests_per_second, output.time_ms("total", "mean")
    concurrency = output.concurrency
    if rate is None or mean_ms is None or not concurrency:
        needed = ("Requests per second", "Total, mean", "Concurrency Level")
        return not_made("under_way", output.lacking(*needed))
    # Little's law, with the upper limits of both rounded numbers.
    most = Range.of(rate).high * Range.of(mean_ms).high / 1e3
    achieved = output.concurrency_achieved
    values = {"at_most_under_way": most, "concurrency": concurrency, "achieved": achieved}
    if most >= BUSY * concurrency and (achieved is None or achieved >= concurrency):
        text = f"The load had its concurrency of {concurrency} (Little's law: rate × mean time)."
        return Finding("under_way", Severity.OK, text, values)
    most = min(most, concurrency if achieved is None else achieved)
    text = (
        f"On average at most {most:.3g} of {count(concurrency, 'connection')} were under way "
        "(Little's law: rate × mean time). Either ab sent late, or ramp-up and ramp-down are a "
        "large part of the run. The printed mean latency is then not the mean of the latencies."
    )
    return Finding("under_way", Severity.WARNING, text, values)


def duration(output: AbOutput) -> Finding:
    """
    Whether ramp-up and ramp-down are a small part of the run.
    """
    seconds, concurrency = output.duration_s, output.concurrency
    complete = output.requests_completed
    if seconds is None or not concurrency or complete is None:
        return not_made("duration", output.lacking("Time taken for tests", "Concurrency Level"))
    rounds = complete / concurrency
    values = {"duration_s": seconds.value, "requests_per_connection": rounds}
    reasons = []
    if seconds.value < SHORT_S:
        reasons.append(f"it took {seconds.value:g} s, less than {SHORT_S:g} s")
    if rounds < FEW_ROUNDS:
        reasons.append(
            f"{count(complete, 'request')} at concurrency {concurrency} lasted only {rounds:.3g} "
            "times the mean latency"
        )
    if reasons:
        text = (
            f"Ramp-up and ramp-down are a large part of the run: {', and '.join(reasons)}. Send "
            "more requests (-n)."
        )
        return Finding("duration", Severity.WARNING, text, values)
    text = f"{seconds.value:g} s, with {rounds:.4g} requests in sequence on each connection."
    return Finding("duration", Severity.OK, text, values)


def one_run(output: AbOutput) -> Finding:
    """
    That one run has no confidence interval.
    """
    requests = count(output.requests_completed or 0, "request")
    text = (
        f"One run is one replicate, however many requests it has ({requests} here). It has no "
        "confidence interval and does not predict another run. Repeat it at least five times, each "
        "time with a fresh server."
    )
    return Finding("one_run", Severity.NOTE, text, {"runs": 1})
