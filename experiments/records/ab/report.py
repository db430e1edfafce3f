"""
One report of ab as a record stores it.
"""

from __future__ import annotations

from msgspec import field

from experiments.records.limits import (
    Amount,
    Count,
    Record,
    SignedAmount,
)


class AbReport(Record, frozen=True):
    """
    Everything in one report of ab; None where ab printed nothing.

    ``connection_times_ms`` maps connect, processing, waiting and total to their columns (min, mean,
    sd, median, max; or min, mean, max with ``-S``), and ``percentiles_ms`` per cent to whole
    milliseconds; of several loads as one they have a fraction. ``document_length`` is None for
    ``-l``, which prints "Variable". ``other`` is any pair of label and value that no known version
    of ab prints.
    """

    concurrency: Count
    duration_s: Amount
    requests_completed: Count
    requests_failed: Count
    requests_per_second: Amount
    server_software: str | None = None
    server_hostname: str | None = None
    server_port: Count | None = None
    tls_protocol: str | None = None
    tls_temp_key: str | None = None
    tls_server_name: str | None = None
    document_path: str | None = None
    document_length: Count | None = None
    document_length_variable: bool = False
    workers: Count | None = None
    concurrency_achieved: Count | None = None
    ramp_up_delay_ms: Count | None = None
    requests_asked: Count | None = None
    failed_connect: Count = 0
    failed_receive: Count = 0
    failed_length: Count = 0
    failed_exceptions: Count = 0
    write_errors: Count = 0
    responses_non_2xx: Count = 0
    keep_alive_requests: Count | None = None
    keep_alive_aborts: Count | None = None
    bytes_transferred: Count | None = None
    bytes_sent: Count | None = None
    bytes_html: Count | None = None
    latency_mean_ms: Amount | None = None
    latency_mean_across_ms: Amount | None = None
    received_kib_per_second: Amount | None = None
    sent_kib_per_second: Amount | None = None
    total_kib_per_second: Amount | None = None
    connection_times_ms: dict[str, dict[str, SignedAmount]] = field(default_factory=dict)
    percentiles_ms: dict[Count, Amount] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    other: dict[str, str] = field(default_factory=dict)
