"""
One report of ab as a record stores it.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
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
