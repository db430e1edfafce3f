"""
The values that a line of ab holds: one form for each kind of line, in every known version.

The forms are those of ``support/ab.c`` of Apache HTTP Server 2.0 to 2.4 and of its trunk. Another
version's form is another entry of the tables.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from experiments.records.ab.numbers import Printed, read_count, read_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Value(NamedTuple):
    """
    One value: the field of AbOutput, ab's label, and None if nothing can be read after the label.

    ``key`` is the key of an entry, where the field is a table.
    """

    field: str
    label: str
    read: bool | int | str | Printed | dict[str, Printed] | None
    key: int | str | None = None


MARK = Value("marked", "marked", read=True)
"""That a line is of ab and of no other program."""

TEXTS = {
    "Server Software": "server_software",
    "Server Hostname": "server_hostname",
    "SSL/TLS Protocol": "tls_protocol",
    "Server Temp Key": "tls_temp_key",
    "TLS Server Name": "tls_server_name",
    "Document Path": "document_path",
}
COUNTS = {
    "Server Port": "server_port",
    "Document Length": "document_length",
    "Number of workers": "workers",
    "Concurrency Level": "concurrency",
    "Concurrency achieved": "concurrency_achieved",
    "Rampup delay": "ramp_up_delay_ms",
    "Number of requests": "requests_asked",
    "Complete requests": "requests_completed",
    "Failed requests": "requests_failed",
    "Broken pipe errors": "write_errors",
    "Write errors": "write_errors",
    "Non-2xx responses": "responses_non_2xx",
    "Keep-Alive requests": "keep_alive_requests",
    "Keep-Alive aborts": "keep_alive_aborts",
    "Total transferred": "bytes_transferred",
    # Older versions name this line by the method.
    "Total POSTed": "bytes_sent",
    "Total PUT": "bytes_sent",
    "Total body sent": "bytes_sent",
    "HTML transferred": "bytes_html",
}
DECIMALS = {
    "Time taken for tests": "duration_s",
    "Requests per second": "requests_per_second",
    "Time per request": "latency_mean_ms",
    "Time per request (across)": "latency_mean_across_ms",
    "Transfer rate": "received_kib_per_second",
}
LABELLED = TEXTS | COUNTS | DECIMALS
LABELS = {name: label for label, name in LABELLED.items()}
"""Every field that has a line of its own, with ab's label."""

FIELDS = LABELLED | {
    "Connect": "failed_connect",
    "Receive": "failed_receive",
    "Length": "failed_length",
    "Exceptions": "failed_exceptions",
    "Connection Times": "connection_times_ms",
    "Percentage of the requests": "percentiles_ms",
}
"""The field of every label and of every table."""

OWN_LABELS = {
    "Concurrency Level",
    "Time taken for tests",
    "Complete requests",
    "Document Length",
    "Non-2xx responses",
    "HTML transferred",
}
OWN_UNITS = re.compile(r"\[(?:#/sec|ms|Kbytes/sec)\]")
"""Labels and units of ab alone; any program may print "Requests per second"."""

BENCHMARKING = r"Benchmarking (?P<host>.{1,300}?) (?:\[through .{1,300}?\] )?\(be patient\)"

FAULTS = (
    r"(?:apr_\w+|socket|bind|src_address)\b[^:]{0,120}: .*",
    r"ab: .*",
    r"SSL_\w+ failed.*",
    r"Test aborted after .*",
    r"Server timed out",
    r"Bad hostname: .*",
    r"(?:Request|Response header|\w+ credentials) too long",
)
"""Reasons for which ab gives up: ``err``, ``apr_err`` and each ``exit``."""

BROKEN = (
    r"SSL (?:handshake|connection|connect|fd init|read|write) failed.*",
    r"Send request (?:failed|timed out)!",
)
"""Reasons for which ab closes one connection and goes on: ``ssl_proceed_handshake``,
``read_connection`` and ``write_request``; in 2.0 ``ssl_start_connect``."""

TIME_COLUMNS = {3: ("min", "mean", "max"), 5: ("min", "mean", "sd", "median", "max")}
FAILURE = re.compile(r"(Connect|Receive|Length|Exceptions): ([^,)]*)[,)]")


@functools.lru_cache(1000)
def values(line: str) -> Sequence[Value]:
    """
    What a clean line holds; nothing if it is no line of ab.
    """
    for form, read in FORMS:
        if match := form.match(line):
            return tuple(read(match))
    return ()


def _text(field: str) -> Callable[[re.Match[str]], list[Value]]:
    return lambda match: [Value(field, field, match[1])]


def _began(*fields: str) -> Callable[[re.Match[str]], list[Value]]:
    return lambda match: [
        *_flags("began", *fields)(match),
        Value("benchmarked", "benchmarked", match["host"]),
    ]


def _flags(*fields: str) -> Callable[[re.Match[str]], list[Value]]:
    return lambda _: [Value(field, field, read=True) for field in fields]


def _aborted(match: re.Match[str]) -> list[Value]:
    return [Value("aborted_after_requests", match[1], read_count(match[2]))]


def _fault(match: re.Match[str]) -> list[Value]:
    began = _began()(match) if match["host"] else []
    field = "faults" if match["fault"] else "warnings"
    return [Value(field, field, match["reason"].rstrip(".")), *began]


def _finished(match: re.Match[str]) -> list[Value]:
    # The trunk says "interrupted" where others say nothing.
    return _flags("progress", *(() if match[1] else ("finished",)))(match)


def _failures(match: re.Match[str]) -> list[Value]:
    # Versions before 2.2 count no receive failures.
    found = {"Receive": "0", **dict(FAILURE.findall(match[0]))}
    return [
        Value(f"failed_{kind.lower()}", kind, read_count(count)) for kind, count in found.items()
    ] + [MARK]


def _times(match: re.Match[str]) -> list[Value]:
    row = match[1]
    numbers = [read_decimal(text) for text in match[2].split()]
    columns = dict(zip(TIME_COLUMNS.get(len(numbers), ()), numbers, strict=False))
    return _row(row, columns)


def _row(row: str, columns: dict[str, Printed | None]) -> list[Value]:
    key = row.lower()
    readable = {column: number for column, number in columns.items() if number}
    lacking = [f"{row}, {column}" for column in columns if column not in readable]
    found = [Value("connection_times_ms", "Connection Times", readable, key)]
    found += [Value("connection_times_ms", label, None, key) for label in lacking]
    # Any table may have a total.
    return [*found, MARK] if key != "total" else found


def _run_together(match: re.Match[str]) -> list[Value]:
    """
    The row of -S whose mean and maximum have no space between them: ``%5d %5d%5d``.
    """
    row, mean, most = match[1], match[3].strip(), match[4]
    numbers = map(read_decimal, (match[2], mean, most))
    if len(mean) + len(most) > 11 or most.startswith("0"):
        numbers = map(read_decimal, (match[2], "", ""))
    return _row(row, dict(zip(TIME_COLUMNS[3], numbers, strict=True)))


def _percentile(match: re.Match[str]) -> list[Value]:
    percent = int(match[1])
    number = read_decimal(match[2]) if percent <= 100 else None
    found = [Value("percentiles_ms", f"{percent}%", number, percent)]
    return [*found, MARK] if match[2].endswith(" request)") else found


def _rate(match: re.Match[str]) -> list[Value]:
    direction = match[2]
    return [Value(f"{direction}_kib_per_second", f"kb/s {direction}", read_decimal(match[1]))]


def _labelled(match: re.Match[str]) -> list[Value]:
    label, text = match[1], match[2]
    if label == "Time per request" and "across" in text:
        label = "Time per request (across)"
    if label in TEXTS:
        found = Value(TEXTS[label], label, text)
    elif label == "Document Length" and text.startswith("Variable"):
        found = Value("document_length_variable", label, read=True)
    elif label in COUNTS:
        # ab 2.0 prints ports as signed numbers of 16 bits (%hd, output_results).
        wrapped = re.match("-[0-9]{1,5}$", text) if label == "Server Port" else None
        number = int(wrapped[0]) + 2**16 if wrapped else read_count(text)
        found = Value(COUNTS[label], label, number)
    else:
        found = Value(DECIMALS[label], label, read_decimal(text))
    own = found.read is not None and (label in OWN_LABELS or OWN_UNITS.search(text))
    return [found, MARK] if own else [found]


def _headline(match: re.Match[str]) -> list[Value]:
    return [Value("version", "version", match[1]), Value("began", "began", read=True)]


def _other(match: re.Match[str]) -> list[Value]:
    return [Value("other", match[1], match[2], match[1])]


FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], list[Value]]], ...] = (
    (re.compile(r"This is ApacheBench, Version (\S+)"), _headline),
    (re.compile(r".*(Total of) ([0-9]+) requests completed"), _aborted),
    (re.compile(r"((?:WARN?ING|ERROR): The median and mean .*)"), _text("warnings")),
    (re.compile(r"\(Connect: .*"), _failures),
    (re.compile(r"(Connect|Processing|Waiting|Total):((?:\s+[-0-9.,]+){3,5})$"), _times),
    (
        re.compile(r"(Connect|Processing|Waiting|Total): +([0-9]+) ([ 0-9]{5})([0-9]{5,7})$"),
        _run_together,
    ),
    (re.compile(r"([0-9]{1,3})%\s+(.+)"), _percentile),
    (re.compile(r"(\S+) kb/s (sent|total)$"), _rate),
    (re.compile(rf"({'|'.join(map(re.escape, LABELLED))})\s*:\s*(.*)"), _labelled),
    # Without a heartbeat ab prints a fault after the dots of this line, or "done".
    (
        re.compile(
            rf"(?:{BENCHMARKING}\.\.\.)?"
            rf"(?P<reason>(?P<fault>{'|'.join(FAULTS)})|{'|'.join(BROKEN)})$"
        ),
        _fault,
    ),
    (re.compile(rf"{BENCHMARKING}\.\.\..*done$"), _began("progress", "finished")),
    (re.compile(rf"{BENCHMARKING}\.\.\."), _began("progress")),
    (re.compile(rf"{BENCHMARKING}$"), _began()),
    (re.compile(r"Completed [0-9]+ requests$"), _flags("progress")),
    (re.compile(r"Finished [0-9]+ requests( \(interrupted\))?$"), _finished),
    (re.compile(r"\.\.done$"), _flags("progress", "finished")),
    (
        re.compile(r"[\[(<]?(?:\.{3,}|\N{HORIZONTAL ELLIPSIS}|-* ?snip ?-*)[\])>]?$"),
        _flags("elided"),
    ),
    (re.compile(r"([A-Z][A-Za-z0-9/ -]*):\s+(.*)"), _other),
)
"""The first form that fits a line says what the line holds."""
