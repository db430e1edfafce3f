"""
Reading what ApacheBench prints: every field of its text report, and its table of percentiles.

The forms are those of ``support/ab.c`` of Apache HTTP Server 2.4 and of its trunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from experiments.errors import LoadError

TEXT_FIELDS = {
    "Server Software": "server_software",
    "Server Hostname": "server_hostname",
    "SSL/TLS Protocol": "tls_protocol",
    "Server Temp Key": "tls_temp_key",
    "TLS Server Name": "tls_server_name",
    "Document Path": "document_path",
}
WHOLE_FIELDS = {
    "Server Port": "server_port",
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
    # The same line, under the names that older versions give it by the method.
    "Total body sent": "bytes_sent",
    "Total POSTed": "bytes_sent",
    "Total PUT": "bytes_sent",
    "HTML transferred": "bytes_html",
}
DECIMAL_FIELDS = {
    "Time taken for tests": "duration_s",
    "Requests per second": "requests_per_second",
    "Transfer rate": "received_kib_per_second",
}
NUMBER = r"-?\d+(?:\.\d+)?"
FAILURES = re.compile(
    r"\s+\(Connect: (\d+), (?:Receive: (\d+), )?Length: (\d+), Exceptions: (\d+)\)\s*"
)
TIMES = re.compile(rf"(Connect|Processing|Waiting|Total):\s+({NUMBER}(?:\s+{NUMBER}){{2,4}})\s*")
PERCENTILE = re.compile(r"\s+(\d+)%\s+(\d+)(?: \(longest request\))?\s*")
RATES = re.compile(rf"\s+({NUMBER}) kb/s (sent|total)\s*")
PAIR = re.compile(r"([A-Z][A-Za-z0-9/ -]*?):\s+(.*?)\s*")
ABORTED = re.compile(r"Total of (\d+) requests completed")
FAULT = re.compile(r"(?:.*\.\.\.)?((?:apr_\w+|ab|SSL)\b[^:]*: .*|Test aborted.*)")

REQUIRED = (
    "concurrency",
    "duration_s",
    "requests_completed",
    "requests_failed",
    "requests_per_second",
)


@dataclass(frozen=True)
class AbReport:
    """
    Everything in one report of ab; None where ab printed nothing.

    ``connection_times_ms`` maps connect, processing, waiting and total to their columns (min, mean,
    sd, median, max; or min, mean, max with ``-S``), and ``percentiles_ms`` per cent to whole
    milliseconds; of several loads as one they have a fraction. ``document_length`` is None for
    ``-l``, which prints "Variable". ``other`` is any pair of label and value that no known version
    of ab prints.
    """

    concurrency: int
    duration_s: float
    requests_completed: int
    requests_failed: int
    requests_per_second: float
    server_software: str | None = None
    server_hostname: str | None = None
    server_port: int | None = None
    tls_protocol: str | None = None
    tls_temp_key: str | None = None
    tls_server_name: str | None = None
    document_path: str | None = None
    document_length: int | None = None
    document_length_variable: bool = False
    workers: int | None = None
    concurrency_achieved: int | None = None
    ramp_up_delay_ms: int | None = None
    requests_asked: int | None = None
    failed_connect: int = 0
    failed_receive: int = 0
    failed_length: int = 0
    failed_exceptions: int = 0
    write_errors: int = 0
    responses_non_2xx: int = 0
    keep_alive_requests: int | None = None
    keep_alive_aborts: int | None = None
    bytes_transferred: int | None = None
    bytes_sent: int | None = None
    bytes_html: int | None = None
    latency_mean_ms: float | None = None
    latency_mean_across_ms: float | None = None
    received_kib_per_second: float | None = None
    sent_kib_per_second: float | None = None
    total_kib_per_second: float | None = None
    connection_times_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    percentiles_ms: dict[int, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    other: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> AbReport:
    """
    Read one report.

    Raises LoadError for a run that ab gave up, with ab's reason, and for text that is not a whole
    report, with the first thing that is missing.
    """
    faults = [match[1] for line in text.splitlines() if (match := FAULT.fullmatch(line.strip()))]
    aborted = ABORTED.search(text)
    if aborted or (faults and "Complete requests:" not in text):
        done = f" after {aborted[1]} requests" if aborted else ""
        msg = f"ab gave up{done}: {'; '.join(faults) or 'it does not say why'}"
        raise LoadError(msg)
    found = _Found()
    for line in text.splitlines():
        _read_line(line, found)
    missing = [name for name in REQUIRED if name not in found.fields]
    if missing:
        shown = text.strip().splitlines()[0][:80] if text.strip() else ""
        msg = f"this is not a report of ab: no {missing[0]} in it; it begins {shown!r}"
        raise LoadError(msg)
    return AbReport(
        **found.fields,
        connection_times_ms=found.connection_times_ms,
        percentiles_ms=found.percentiles_ms,
        warnings=found.warnings,
        other=found.other,
    )


@dataclass
class _Found:
    """
    What has been read so far; ``fields`` are those of AbReport that hold one value.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    connection_times_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    percentiles_ms: dict[int, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    other: dict[str, str] = field(default_factory=dict)


FAILURE_FIELDS = ("failed_connect", "failed_receive", "failed_length", "failed_exceptions")
TIME_COLUMNS = {3: ("min", "mean", "max"), 5: ("min", "mean", "sd", "median", "max")}


def _read_line(line: str, found: _Found) -> None:
    if match := FAILURES.fullmatch(line):
        counts = (int(count or 0) for count in match.groups())
        found.fields.update(zip(FAILURE_FIELDS, counts, strict=True))
    elif match := TIMES.fullmatch(line):
        values = [float(value) for value in match[2].split()]
        columns = TIME_COLUMNS.get(len(values), ())
        found.connection_times_ms[match[1].lower()] = dict(zip(columns, values, strict=False))
    elif match := PERCENTILE.fullmatch(line):
        found.percentiles_ms[int(match[1])] = int(match[2])
    elif match := RATES.fullmatch(line):
        found.fields[f"{match[2]}_kib_per_second"] = float(match[1])
    elif line.startswith(("WARNING: ", "ERROR: ")):
        found.warnings.append(line)
    elif match := PAIR.fullmatch(line):
        _read_pair(match[1], match[2], found)


def _read_pair(label: str, value: str, found: _Found) -> None:
    number = re.match(NUMBER, value)
    if label in TEXT_FIELDS:
        found.fields[TEXT_FIELDS[label]] = value
    elif label in WHOLE_FIELDS and number and "." not in number[0]:
        found.fields[WHOLE_FIELDS[label]] = int(number[0])
    elif label in DECIMAL_FIELDS and number:
        found.fields[DECIMAL_FIELDS[label]] = float(number[0])
    elif label == "Document Length" and value == "Variable":
        found.fields["document_length_variable"] = True
    elif label == "Document Length" and number:
        found.fields["document_length"] = int(number[0])
    elif label == "Time per request" and number:
        across = "across" in value
        name = "latency_mean_across_ms" if across else "latency_mean_ms"
        found.fields[name] = float(number[0])
    else:
        found.other[label] = value


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
            if percent.isdecimal() and re.fullmatch(NUMBER, value):
                found[int(percent)] = float(value)
    if len(found) < len(rows) or not {50, 90, 99} <= found.keys():
        msg = f"this is not a whole percentile file of ab; it begins {text[:80]!r}"
        raise LoadError(msg)
    return found
