"""
HdrHistogram logs: open-loop latencies in a format that other tools read and add up.

Each request log gets a histogram log beside it, in the histogram log format 1.2 with one interval.
The histogram has the V2 encoding, compressed by zlib, in base64. HistogramLogAnalyzer and every
port of HdrHistogram (https://hdrhistogram.org) read it. The same records and the same zlib give the
same bytes.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

from analysis.topics.latency.findings import read_log
from experiments.errors import ResultsError
from experiments.records.folder import unwritable, write
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.records.trials import TrialRecord

LOWEST_US = 1
HIGHEST_US = 60_000_000
SIGNIFICANT_DIGITS = 3

SUFFIX = ".hlog"


def write_histograms(trials: Sequence[TrialRecord], run: Path) -> list[Path]:
    """
    Write the histogram log of every load of the good trials; return the paths.

    Raises ResultsError for a log that is missing or broken, or a folder that cannot be written.
    """
    written = []
    for trial in trials:
        for load in trial.open_loads if trial.status == OK else []:
            latencies_us = read_log(run, load.log).corrected_us
            duration_s = load.requests_completed / load.achieved_per_s if load.achieved_per_s else 0
            name = PurePosixPath(load.log).with_suffix(SUFFIX).as_posix()
            try:
                write(run, name, histogram_log(latencies_us, trial.started_at, duration_s).encode())
            except OSError as error:
                raise ResultsError(unwritable(error, run)) from error
            written.append(run / name)
    return written


def histogram_log(latencies_us: NDArray[np.int64], started_at: float, duration_s: float) -> str:
    """
    A histogram log with one interval, from latencies in microseconds.

    ``started_at`` is the start of the trial in seconds since the epoch; records have no other time
    of day. Latencies are clipped to the range from 1 µs to 1 minute. Failed requests count as 1
    minute.
    """
    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)
    clipped = np.clip(latencies_us, LOWEST_US, HIGHEST_US)
    for value, count in zip(*np.unique(clipped, return_counts=True), strict=True):
        histogram.record_value(int(value), int(count))
    text = io.StringIO()
    writer = HistogramLogWriter(text)
    writer.output_comment("[Corrected latencies in microseconds; failed requests at the highest]")
    writer.output_log_format_version()
    # The package's own method takes milliseconds for seconds, and fails.
    day = datetime.fromtimestamp(started_at, UTC).isoformat(timespec="milliseconds")
    writer.output_comment(f"[StartTime: {started_at:.3f} (seconds since epoch), {day}]")
    writer.output_base_time(started_at * 1e3)
    writer.output_legend()
    # The maximum is written in milliseconds, all else has a resolution of a microsecond.
    writer.output_interval_histogram(histogram, 0, duration_s, max_value_unit_ratio=1e3)
    return text.getvalue()
