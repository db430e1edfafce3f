"""
The values that a line of ab holds: one form for each kind of line, in every known version.

The forms are those of ``support/ab.c`` of Apache HTTP Server 2.0 to 2.4 and of its trunk. Another
version's form is another entry of the tables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from experiments.records.ab.numbers import Printed, read_count, read_decimal

if TYPE_CHECKING:
    from collections.abc import Callable


class Value(NamedTuple):
    """
    One value: the field of AbOutput, ab's label, and None if nothing can be read after the label.

    ``key`` is the key of an entry, where the field is a table.
    """

    field: str
    label: str
    read: bool | int | str | Printed | dict[str, Printed] | None
    key: int | str | None = None


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
    "Write errors": "write_errors",
    "Non-2xx responses": "responses_non_2xx",
    "Keep-Alive requests": "keep_alive_requests",
    "Keep-Alive aborts": "keep_alive_aborts",
    "Total transferred": "bytes_transferred",
    # One line, which older versions name by the method.
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

TIME_COLUMNS = {3: ("min", "mean", "max"), 5: ("min", "mean", "sd", "median", "max")}
FAILURE = re.compile(r"(Connect|Receive|Length|Exceptions): ([^,)]*)[,)]")


def values(line: str) -> list[Value]:
    """
    What a clean line holds; nothing if it is no line of ab.
    """
    for form, read in FORMS:
        if match := form.match(line):
            return read(match)
    return []


def _text(field: str) -> Callable[[re.Match[str]], list[Value]]:
    return lambda match: [Value(field, field, match[1])]


def _flags(*fields: str) -> Callable[[re.Match[str]], list[Value]]:
    return lambda _: [Value(field, field, read=True) for field in fields]


def _aborted(match: re.Match[str]) -> list[Value]:
    return [Value("aborted_after_requests", match[1], read_count(match[2]))]


def _failures(match: re.Match[str]) -> list[Value]:
    # Versions before 2.2 count no receive failures.
    found = {"Receive": "0", **dict(FAILURE.findall(match[0]))}
    return [
        Value(f"failed_{kind.lower()}", kind, read_count(count)) for kind, count in found.items()
    ]


def _times(match: re.Match[str]) -> list[Value]:
    row, key = match[1], match[1].lower()
    numbers = [read_decimal(text) for text in match[2].split()]
    columns = dict(zip(TIME_COLUMNS.get(len(numbers), ()), numbers, strict=False))
    readable = {column: number for column, number in columns.items() if number}
    lacking = [f"{row}, {column}" for column in columns if column not in readable]
    found = [Value("connection_times_ms", "Connection Times", readable, key)]
    return found + [Value("connection_times_ms", label, None, key) for label in lacking]


def _percentile(match: re.Match[str]) -> list[Value]:
    percent = int(match[1])
    number = read_decimal(match[2]) if percent <= 100 else None
    return [Value("percentiles_ms", f"{percent}%", number, percent)]


def _rate(match: re.Match[str]) -> list[Value]:
    direction = match[2]
    return [Value(f"{direction}_kib_per_second", f"kb/s {direction}", read_decimal(match[1]))]


def _labelled(match: re.Match[str]) -> list[Value]:
    label, text = match[1], match[2]
    if label in TEXTS:
        return [Value(TEXTS[label], label, text)]
    if label == "Document Length" and text.startswith("Variable"):
        return [Value("document_length_variable", label, read=True)]
    if label in COUNTS:
        return [Value(COUNTS[label], label, read_count(text))]
    if label == "Time per request" and "across" in text:
        label = "Time per request (across)"
    return [Value(DECIMALS[label], label, read_decimal(text))]


def _other(match: re.Match[str]) -> list[Value]:
    return [Value("other", match[1], match[2], match[1])]


FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], list[Value]]], ...] = (
    (re.compile(r"This is ApacheBench, Version (\S+)"), _text("version")),
    (re.compile(r".*(Total of) ([0-9]+) requests completed"), _aborted),
    (re.compile(r"((?:WARNING|ERROR): .*)"), _text("warnings")),
    (re.compile(r"\(Connect: .*"), _failures),
    (re.compile(r"(Connect|Processing|Waiting|Total):((?:\s+[-0-9.,]+){3,5})$"), _times),
    (re.compile(r"([0-9]{1,3})%\s+(.+)"), _percentile),
    (re.compile(r"(\S+) kb/s (sent|total)$"), _rate),
    (re.compile(rf"({'|'.join(map(re.escape, LABELLED))})\s*:\s*(.*)"), _labelled),
    # Without a heartbeat ab prints a fault after the dots of this line, or "done".
    (
        re.compile(r"(?:.*?\.\.\.)?((?:apr_\w+|ab|SSL)\b[^:]{0,80}: .*|Test aborted.*)"),
        _text("faults"),
    ),
    (re.compile(r"Benchmarking .*\.\.\..*done$"), _flags("progress", "finished")),
    (re.compile(r"Benchmarking .*\.\.\."), _flags("progress")),
    (re.compile(r"Completed \d+ requests$"), _flags("progress")),
    (re.compile(r"Finished "), _flags("finished")),
    (re.compile(r"([A-Z][A-Za-z0-9/ -]*):\s+(.*)"), _other),
)
"""The first form that fits a line says what the line holds."""
