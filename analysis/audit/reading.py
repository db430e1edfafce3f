"""
A tolerant reader of ab's text: what is there is read, what is not is None, nothing is an error.

The lab's own reader (``experiments/load/ab_output.py``) is strict instead, since it knows what it
ran. The forms are those of ``support/ab.c`` of Apache HTTP Server 2.0 to 2.4 and of its trunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from analysis.audit.rounding import Printed, read_count, read_decimal
from analysis.audit.text import clean, decode, outputs, what_else, whole_lines

TEXTS = {
    "Server Software": "server_software",
    "Server Hostname": "server_hostname",
    "SSL/TLS Protocol": "tls_protocol",
    "Document Path": "document_path",
}
COUNTS = {
    "Server Port": "server_port",
    "Document Length": "document_length_bytes",
    "Number of workers": "workers",
    "Concurrency Level": "concurrency",
    "Concurrency achieved": "concurrency_achieved",
    "Complete requests": "requests_complete",
    "Failed requests": "requests_failed",
    "Write errors": "write_errors",
    "Non-2xx responses": "responses_non_2xx",
    "Keep-Alive requests": "keep_alive_requests",
    "Total transferred": "transferred_bytes",
    "HTML transferred": "html_bytes",
}
DECIMALS = {
    "Time taken for tests": "duration_s",
    "Requests per second": "requests_per_s",
    "Time per request": "latency_mean_ms",
    "Time per request (across)": "latency_across_ms",
    "Transfer rate": "transfer_kib_per_s",
}
KNOWN = TEXTS.keys() | COUNTS.keys() | DECIMALS.keys()
LABELS = {name: label for label, name in (TEXTS | COUNTS | DECIMALS).items()}
"""What ab calls each field."""

ESSENTIAL = (
    "concurrency",
    "duration_s",
    "requests_complete",
    "requests_failed",
    "requests_per_s",
)

VERSION = re.compile(r"This is ApacheBench, Version (\S+)")
FAILURE = re.compile(r"(Connect|Receive|Length|Exceptions): ([^,)]*)[,)]")
TIMES = re.compile(r"(Connect|Processing|Waiting|Total):((?:\s+[0-9.,]+){3,5})")
COLUMNS = {3: ("min", "mean", "max"), 5: ("min", "mean", "sd", "median", "max")}
PERCENTILE = re.compile(r"([0-9]{1,3})%\s+(.+)")
ABORTED = re.compile(r"Total of ([0-9]{1,15}) requests completed")
FAULT = re.compile(r"(?:.*\.\.\.)?((?:apr_\w+|ab|SSL)\b[^:]*: .*|Test aborted.*)")


@dataclass(frozen=True)
class Reading:
    """
    What one output of ab says; None, or nothing in it, for what is not there.

    ``connection_times_ms`` has the rows of ab's table in lower case, with its columns as printed.
    ``unreadable`` are labels whose value is no amount.
    """

    version: str | None = None
    server_software: str | None = None
    server_hostname: str | None = None
    server_port: int | None = None
    tls_protocol: str | None = None
    document_path: str | None = None
    document_length_bytes: int | None = None
    document_length_variable: bool = False
    workers: int | None = None
    concurrency: int | None = None
    concurrency_achieved: int | None = None
    duration_s: Printed | None = None
    requests_complete: int | None = None
    requests_failed: int | None = None
    failed_connect: int | None = None
    failed_receive: int | None = None
    failed_length: int | None = None
    failed_exceptions: int | None = None
    write_errors: int | None = None
    responses_non_2xx: int | None = None
    keep_alive: bool | None = None
    keep_alive_requests: int | None = None
    transferred_bytes: int | None = None
    html_bytes: int | None = None
    requests_per_s: Printed | None = None
    latency_mean_ms: Printed | None = None
    latency_across_ms: Printed | None = None
    transfer_kib_per_s: Printed | None = None
    connection_times_ms: dict[str, dict[str, Printed]] = field(default_factory=dict)
    percentiles_ms: dict[int, Printed] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    aborted_after_requests: int | None = None
    broken_off: bool = False
    warnings: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    def time_ms(self, row: str, column: str) -> Printed | None:
        """
        One cell of the table of connection times.
        """
        return self.connection_times_ms.get(row, {}).get(column)


class NotAbOutputError(Exception):
    """
    A text in which ab says nothing.
    """


def read(data: bytes) -> list[Reading]:
    """
    Every output of ab in the data, in order.

    Raises NotAbOutputError, with what it looks like instead, when there is none.
    """
    text = decode(data)
    readings = [_Reader(lines).reading() for lines in outputs(whole_lines(text))]
    found = [reading for reading in readings if _is_of_ab(reading)]
    if not found:
        msg = f"this is not an output of ab: {what_else(text)}"
        raise NotAbOutputError(msg)
    return found


def _is_of_ab(reading: Reading) -> bool:
    fields = [name for name in LABELS if getattr(reading, name) is not None]
    return reading.version is not None or len(fields) >= 3


class _Reader:
    """
    What has been read so far of one output.
    """

    def __init__(self, lines: list[str]) -> None:
        self.fields: dict[str, Any] = {}
        self.times_ms: dict[str, dict[str, Printed]] = {}
        self.percentiles_ms: dict[int, Printed] = {}
        self.faults: list[str] = []
        self.warnings: list[str] = []
        self.unreadable: dict[str, None] = {}
        self.progress = self.finished = False
        for line in lines:
            self._line(line)

    def reading(self) -> Reading:
        """
        What was read, with what ab says by leaving a line out.
        """
        fields = self.fields
        if fields.get("requests_failed") == 0:
            for kind in ("connect", "receive", "length", "exceptions"):
                fields.setdefault(f"failed_{kind}", 0)
        if fields.get("transferred_bytes") is not None:
            # The lines that ab prints only when there is something to say stand before this one.
            fields.setdefault("responses_non_2xx", 0)
            fields.setdefault("write_errors", 0)
            fields["keep_alive"] = "keep_alive_requests" in fields
        return Reading(
            **fields,
            connection_times_ms=self.times_ms,
            percentiles_ms=self.percentiles_ms,
            faults=tuple(self.faults),
            broken_off=self.progress and not self.finished and "requests_complete" in fields,
            warnings=tuple(self.warnings),
            unreadable=tuple(self.unreadable),
        )

    def _line(self, line: str) -> None:
        if match := VERSION.match(line):
            self.fields["version"] = clean(match[1], 20)
        elif match := ABORTED.search(line):
            self.fields["aborted_after_requests"] = int(match[1])
        elif line.startswith(("WARNING: ", "ERROR: ")):
            self.warnings.append(clean(line, 120))
        elif line.startswith("(Connect:"):
            self._failures(line)
        elif match := TIMES.fullmatch(line):
            values = [read_decimal(value) for value in match[2].split()]
            columns = COLUMNS.get(len(values), ())
            pairs = zip(columns, values, strict=False)
            self.times_ms[match[1].lower()] = {name: value for name, value in pairs if value}
        elif match := PERCENTILE.fullmatch(line):
            self._percentile(int(match[1]), match[2])
        elif (label := line.partition(":")[0].rstrip()) in KNOWN:
            self._pair(label, line.partition(":")[2].strip())
        else:
            self._progress(line)

    def _progress(self, line: str) -> None:
        if match := FAULT.fullmatch(line):
            self.faults.append(clean(match[1], 120))
        elif line.startswith("Benchmarking "):
            # Without a heartbeat the dots stand on this line, and "done" ends it.
            self.progress = self.progress or "..." in line
            self.finished = self.finished or line.endswith("done")
        elif re.fullmatch(r"Completed \d+ requests", line):
            self.progress = True
        elif line.startswith("Finished "):
            self.finished = True

    def _failures(self, line: str) -> None:
        for kind, value in FAILURE.findall(line):
            self._set(f"failed_{kind.lower()}", f"failed: {kind}", read_count(value))
        # Versions before 2.2 count no receive failures.
        self.fields.setdefault("failed_receive", 0)

    def _percentile(self, percent: int, value: str) -> None:
        number = read_decimal(value)
        if number is None or percent > 100:
            self.unreadable[f"{percent}%"] = None
        else:
            self.percentiles_ms[percent] = number

    def _pair(self, label: str, value: str) -> None:
        if label in TEXTS:
            self.fields[TEXTS[label]] = clean(value)
        elif label == "Document Length" and value.startswith("Variable"):
            self.fields["document_length_variable"] = True
        elif label in COUNTS:
            self._set(COUNTS[label], label, read_count(value))
        elif label in DECIMALS:
            if label == "Time per request" and "across" in value:
                label = "Time per request (across)"
            self._set(DECIMALS[label], label, read_decimal(value))

    def _set(self, name: str, label: str, value: float | Printed | None) -> None:
        self.fields[name] = value
        if value is None:
            self.unreadable[label] = None
        else:
            self.unreadable.pop(label, None)
