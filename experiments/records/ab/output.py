"""
One output of ab, with everything that could be read of it and what could not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from experiments.records.ab.fields import FIELDS, LABELS
from experiments.records.ab.numbers import Printed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from experiments.records.ab.fields import Value
    from experiments.records.ab.report import AbReport

REQUIRED = (
    "concurrency",
    "duration_s",
    "requests_completed",
    "requests_failed",
    "requests_per_second",
)
"""Fields that every whole output has."""

FEWEST_FIELDS = 3
"""An excerpt of ab has at least so many; fewer may be any text."""


@dataclass(frozen=True)
class AbOutput:
    """
    What one output of ab says; None, or an empty table, for what it does not say.

    The fields have the names and units of AbReport, and the order in which ab prints them.
    ``faults`` are the reasons that ab prints when it gives up, and ``warnings`` what it prints and
    goes on. ``began`` is whether ab's headline or its first line of progress is there, ``marked``
    whether a number is of ab and of no other program, and ``elided`` whether the text says that
    lines were left out where ab prints what it has only sometimes. ``unreadable`` are labels
    without a readable value, and ``other`` is any pair of label and value that no known version of
    ab prints. Without a line for it, ``server_hostname`` is of the first line of progress.
    """

    version: str | None = None
    aborted_after_requests: int | None = None
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
    concurrency: int | None = None
    concurrency_achieved: int | None = None
    ramp_up_delay_ms: int | None = None
    duration_s: Printed | None = None
    requests_asked: int | None = None
    requests_completed: int | None = None
    requests_failed: int | None = None
    failed_connect: int | None = None
    failed_receive: int | None = None
    failed_length: int | None = None
    failed_exceptions: int | None = None
    write_errors: int | None = None
    responses_non_2xx: int | None = None
    keep_alive_requests: int | None = None
    keep_alive_aborts: int | None = None
    bytes_transferred: int | None = None
    bytes_sent: int | None = None
    bytes_html: int | None = None
    requests_per_second: Printed | None = None
    latency_mean_ms: Printed | None = None
    latency_mean_across_ms: Printed | None = None
    received_kib_per_second: Printed | None = None
    sent_kib_per_second: Printed | None = None
    total_kib_per_second: Printed | None = None
    connection_times_ms: dict[str, dict[str, Printed]] = field(default_factory=dict)
    percentiles_ms: dict[int, Printed] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    interrupted: bool = False
    warnings: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    began: bool = False
    marked: bool = False
    elided: bool = False
    other: dict[str, str] = field(default_factory=dict)

    @property
    def is_of_ab(self) -> bool:
        """
        Whether enough was read for this to be an output of ab.
        """
        labels = [name for name in LABELS if getattr(self, name) is not None]
        rows = [*self.connection_times_ms, *self.percentiles_ms]
        excerpt = self.marked and len(labels) + len(rows) >= FEWEST_FIELDS
        return self.began or self.aborted_after_requests is not None or excerpt

    @property
    def missing(self) -> list[str]:
        """
        The labels of the required fields that could not be read; ab prints no rate of nothing.
        """
        unprinted = {"requests_per_second"} if self.requests_completed == 0 else set()
        return [
            LABELS[name]
            for name in REQUIRED
            if getattr(self, name) is None and name not in unprinted
        ]

    @property
    def failure(self) -> str | None:
        """
        That ab gave up, after how many requests and why; None if it did not.
        """
        done = self.aborted_after_requests
        if done is None and (not self.faults or self.requests_completed is not None):
            return None
        after = "" if done is None else f" after {done} request{'' if done == 1 else 's'}"
        # ab prints the reason to standard error (err, apr_err).
        reason = "; ".join(self.faults[:3]) or "the text lacks the reason (standard error has it)"
        return f"ab gave up{after}: {reason}"

    @property
    def keep_alive(self) -> bool | None:
        """
        Whether ab ran with -k; None if the output does not tell.
        """
        if self.keep_alive_requests is not None:
            return True
        told = self.bytes_transferred is not None or self.bytes_html is not None
        told = told and not self.elided
        return False if told and LABELS["keep_alive_requests"] not in self.unreadable else None

    def labelled(self, label: str) -> Any:  # noqa: ANN401 - of the field's type
        """
        The value by ab's label, such as "Failed requests", "Length", "50%" or "Total, mean".
        """
        if label in FIELDS:
            return getattr(self, FIELDS[label])
        if label.endswith("%"):
            return self.percentiles_ms.get(int(label[:-1]))
        row, _, column = label.partition(", ")
        return self.time_ms(row.lower(), column)

    def lacking(self, *labels: str) -> list[str]:
        """
        Those of the labels whose value is missing, or zero.
        """
        return [label for label in labels if not self.labelled(label)]

    def time_ms(self, row: str, column: str) -> Printed | None:
        """
        One cell of the table of connection times.
        """
        return self.connection_times_ms.get(row, {}).get(column)


PLACES = {
    each.name: place
    for place, each in enumerate(fields(AbOutput))
    if each.name not in {"faults", "warnings", "began", "marked", "elided", "other"}
}
"""The fields that are one line of an output, or a table, in ab's order."""


def put_together(found: Iterable[Value]) -> AbOutput:
    """
    The output that holds the values of its lines.
    """
    said: dict[str, Any] = {}
    unreadable: dict[str, None] = {}
    place, gaps = -1, []
    for value in found:
        place = PLACES.get(value.field, place)
        if value.read is None:
            unreadable[value.label] = None
            if value.key is None:
                said[value.field] = None
            continue
        unreadable.pop(value.label, None)
        if value.key is not None:
            said.setdefault(value.field, {})[value.key] = value.read
        elif value.field in {"faults", "warnings"}:
            said.setdefault(value.field, []).append(value.read)
        elif value.field == "elided":
            gaps.append(place)
        else:
            said[value.field] = value.read
    said |= {name: tuple(said[name]) for name in ("faults", "warnings") if name in said}
    sometimes = range(PLACES["requests_completed"], PLACES["bytes_transferred"])
    if "benchmarked" in said:
        said.setdefault("server_hostname", said.pop("benchmarked"))
    said["elided"] = any(gap in sometimes for gap in gaps)
    _add_what_is_left_out(said)
    unfinished = said.pop("progress", False) and not said.pop("finished", False)
    # Before 1.3d ab did not print that it had finished.
    says = not str(said.get("version")).startswith("1.") and (
        not gaps or gaps[0] >= sometimes.start
    )
    interrupted = unfinished and says and said.get("requests_completed") is not None
    return AbOutput(**said, interrupted=interrupted, unreadable=tuple(unreadable))


def _add_what_is_left_out(said: dict[str, Any]) -> None:
    """
    Add the zeros that ab says by leaving a line out.
    """
    if said.get("requests_failed") == 0:
        for kind in ("connect", "receive", "length", "exceptions"):
            said.setdefault(f"failed_{kind}", 0)
    counted = any(said.get(name) is not None for name in ("bytes_transferred", "bytes_html"))
    if counted and not said["elided"]:
        # Lines that ab prints only if there is something to count stand before these.
        said.setdefault("responses_non_2xx", 0)
        said.setdefault("write_errors", 0)


def seconds_per_request(said: AbOutput | AbReport) -> float | None:
    """
    Duration over completed requests, from the printed number that is rounded least.

    ab measures the duration to the microsecond and prints it in three ways.
    """
    requests, concurrency = said.requests_completed, said.concurrency
    duration_s, rate, mean_ms = (
        number if isinstance(number, Printed) else Printed(number or 0.0, half_unit)
        for number, half_unit in (
            (said.duration_s, 0.0005),
            (said.requests_per_second, 0.005),
            (said.latency_mean_ms, 0.0005),
        )
    )
    ways: list[tuple[float, float]] = []
    if requests and duration_s.value:
        ways.append((duration_s.relative_error, duration_s.value / requests))
    if rate.value:
        ways.append((rate.relative_error, 1 / rate.value))
    if concurrency and mean_ms.value:
        ways.append((mean_ms.relative_error, mean_ms.value / 1e3 / concurrency))
    return min(ways, key=lambda way: way[0])[1] if ways else None
