"""
Everything that is looked at in one output of ab, in the order in which it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made
from analysis.audit.identities import identities
from analysis.audit.latencies import percentiles, rounding, tail
from analysis.audit.reading import ESSENTIAL, LABELS
from analysis.audit.reliability import reliability
from analysis.formatting import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.audit.reading import Reading

FAST_PER_S = 15_000
"""From about here on a single thread of ab is itself what takes the time."""

SHORT_S = 1.0
FEW_ROUNDS = 10
BUSY = 0.9
"""The share of the connections that a client with nothing else to do keeps under way."""


def audit(reading: Reading) -> list[Finding]:
    """
    Every finding on one output, but what only a comparison can say.
    """
    found = [_read(reading), *_state(reading)]
    if reading.requests_complete is None:
        return found
    found += identities(reading)
    found.append(_one_number(reading))
    found += reliability(reading)
    found += [
        _connections(reading),
        _client(reading),
        _under_way(reading),
        _duration(reading),
        rounding(reading),
        percentiles(reading),
        tail(reading),
        _one_run(reading),
    ]
    return found


def _not_made(check: str, reading: Reading, *names: str) -> Finding:
    return not_made(check, {LABELS[name]: getattr(reading, name) for name in names})


def _read(reading: Reading) -> Finding:
    address = reading.server_hostname or "an unknown host"
    if reading.server_port is not None:
        address += f":{reading.server_port}"
    duration = f"{reading.duration_s.value:g} s" if reading.duration_s else "an unknown time"
    requests = "an unknown number of requests"
    if reading.requests_complete is not None:
        requests = count(reading.requests_complete, "request")
    text = (
        f"ApacheBench {reading.version or 'of unknown version'}; server "
        f"{reading.server_software or 'unnamed'} at {address}; path "
        f"{reading.document_path or 'unknown'}; concurrency "
        f"{'unknown' if reading.concurrency is None else reading.concurrency}; {requests} in "
        f"{duration}."
    )
    return Finding("read", Severity.OK, text)


def _state(reading: Reading) -> Iterator[Finding]:
    done = reading.aborted_after_requests
    if done is not None or (reading.faults and reading.requests_complete is None):
        after = "" if done is None else f" after {count(done, 'request')}"
        reason = "; ".join(reading.faults[:3]) or "it does not say why"
        text = f"ab gave up{after}: {reason}. There is no result."
        yield Finding("aborted", Severity.ERROR, text, {"after_requests": done})
    missing = [LABELS[name] for name in ESSENTIAL if getattr(reading, name) is None]
    if missing:
        names = ", ".join(f"“{name}”" for name in missing)
        text = f"Not a whole output: {names} cannot be read from it."
        yield Finding("incomplete", Severity.ERROR, text, {"missing": missing})
    if reading.unreadable:
        labels = list(reading.unreadable[:10])
        names = ", ".join(f"“{name}”" for name in labels)
        text = f"Taken as not there, because no amount follows: {names}."
        yield Finding("unreadable", Severity.WARNING, text, {"labels": labels})
    if reading.broken_off:
        text = (
            "The run was broken off: ab never says that it finished. What was under way then is "
            "missing, and slow requests are more likely to be under way."
        )
        yield Finding("broken_off", Severity.WARNING, text)
    if reading.warnings:
        text = f"ab itself warns: {'; '.join(f'“{line} …”' for line in reading.warnings[:4])}."
        yield Finding("own_warnings", Severity.WARNING, text)


def _one_number(reading: Reading) -> Finding:
    if reading.requests_per_s is None or reading.latency_mean_ms is None:
        return _not_made("one_number", reading, "requests_per_s", "latency_mean_ms")
    text = (
        f"Mean latency ({reading.latency_mean_ms.value:g} ms) and requests per second "
        f"({reading.requests_per_s.value:g}) are one number: ab divides the concurrency by one for "
        "the other. A table with both tells one difference twice."
    )
    return Finding("one_number", Severity.NOTE, text)


def _connections(reading: Reading) -> Finding:
    complete, kept = reading.requests_complete, reading.keep_alive_requests
    if reading.keep_alive is None or complete is None:
        return _not_made("connections", reading, "transferred_bytes")
    secured = " and the TLS handshake" if reading.tls_protocol else ""
    values = {"keep_alive": reading.keep_alive, "keep_alive_requests": kept}
    if not reading.keep_alive:
        connect, total = reading.time_ms("connect", "mean"), reading.time_ms("total", "mean")
        measured = ""
        if connect is not None and total is not None:
            measured = f" (mean connect {connect.value:g} of {total.value:g} ms)"
        text = (
            "ab speaks HTTP/1.0, here without -k: every request opens a connection, and its time "
            f"includes the TCP handshake{secured}{measured}, accepting it and closing it. Clients "
            "that keep connections see less of all that, proxies and network paths included."
        )
        return Finding("connections", Severity.NOTE, text, values)
    if kept is None:
        return _not_made("connections", reading, "keep_alive_requests")
    if kept == 0:
        text = (
            "Keep-alive was asked for (-k), but the server kept no connection: ab speaks HTTP/1.0, "
            "in which a server must agree to it. Every request opened one."
        )
        return Finding("connections", Severity.WARNING, text, values)
    text = (
        f"Keep-alive (-k, HTTP/1.0): {kept} of {count(complete, 'request')} left their connection "
        f"open for the next; only the others include a TCP handshake{secured}."
    )
    return Finding("connections", Severity.NOTE, text, values)


def _client(reading: Reading) -> Finding:
    rate = reading.requests_per_s
    if rate is None:
        return _not_made("client", reading, "requests_per_s")
    values = {"requests_per_s": rate.value, "workers": reading.workers}
    if rate.value <= FAST_PER_S:
        text = f"{rate.value:g} requests/s is within what a single thread of ab can send."
        return Finding("client", Severity.OK, text, values)
    threads = "single-threaded"
    if reading.workers is not None and reading.workers > 1:
        threads = f"running {reading.workers} threads"
    text = (
        f"{rate.value:g} requests/s: ab is {threads}, and at more than {FAST_PER_S} a second it "
        "may be ab that was measured. Look at its CPU time, or load with a second client."
    )
    return Finding("client", Severity.WARNING, text, values)


def _under_way(reading: Reading) -> Finding:
    rate, mean_ms = reading.requests_per_s, reading.time_ms("total", "mean")
    if rate is None or mean_ms is None or not reading.concurrency:
        needed = {
            LABELS["requests_per_s"]: rate,
            "Total, mean": mean_ms,
            LABELS["concurrency"]: reading.concurrency,
        }
        return not_made("under_way", needed)
    concurrency = reading.concurrency
    # Little's law, with the most that the printed milliseconds can stand for.
    most = rate.range.high * mean_ms.range.high / 1e3
    achieved = reading.concurrency_achieved
    values = {"at_most_under_way": most, "concurrency": concurrency, "achieved": achieved}
    if most >= BUSY * concurrency and (achieved is None or achieved >= concurrency):
        text = f"The {count(concurrency, 'connection')} were busy (rate × mean time, Little's law)."
        return Finding("under_way", Severity.OK, text, values)
    most = min(most, concurrency if achieved is None else achieved)
    text = (
        f"On average at most {most:.3g} of {count(concurrency, 'connection')} were under way (rate "
        "× mean time, Little's law): ab was late in sending, or the beginning and the end weigh "
        "much. The mean latency that it prints is then not the mean of the latencies."
    )
    return Finding("under_way", Severity.WARNING, text, values)


def _duration(reading: Reading) -> Finding:
    duration, concurrency = reading.duration_s, reading.concurrency
    complete = reading.requests_complete
    if duration is None or not concurrency or complete is None:
        return _not_made("duration", reading, "duration_s", "concurrency")
    rounds = complete / concurrency
    values = {"duration_s": duration.value, "requests_per_connection": rounds}
    reasons = []
    if duration.value < SHORT_S:
        reasons.append(f"the run took {duration.value:g} s, less than {SHORT_S:g} s")
    if rounds < FEW_ROUNDS:
        reasons.append(
            f"{complete} requests at concurrency {concurrency} are {rounds:.3g} one after another, "
            f"so the run lasts {rounds:.3g} times the mean latency"
        )
    if reasons:
        text = f"Mostly a beginning and an end: {', and '.join(reasons)}. Send more requests (-n)."
        return Finding("duration", Severity.WARNING, text, values)
    text = f"{duration.value:g} s, {rounds:.4g} requests one after another on each connection."
    return Finding("duration", Severity.OK, text, values)


def _one_run(reading: Reading) -> Finding:
    requests = count(reading.requests_complete or 0, "request")
    text = (
        f"One run is one observation, however many requests it has ({requests} here): it has no "
        "interval, and nothing follows from it about another run. Start the server afresh and "
        "repeat, at least five times."
    )
    return Finding("one_run", Severity.NOTE, text, {"runs": 1})
