"""
HdrHistogram logs: the same bytes every time, and the same latencies when read back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from msgspec import structs

from analysis.topics.latency.findings import FAILED_US, HEADER, QUANTILES, quantile_us
from analysis.topics.latency.histograms import HIGHEST_US, histogram_log, write_histograms
from experiments.records.trials import OpenLoad
from tests.unit.samples import failed_trial, trial

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.records.trials import TrialRecord


def read_back(path: Path) -> HdrHistogram:
    """
    The one histogram of a log.
    """
    reader = HistogramLogReader(str(path), HdrHistogram(1, HIGHEST_US, 3))
    histogram = reader.get_next_interval_histogram()
    assert reader.get_next_interval_histogram() is None
    reader.close()
    return histogram


def loaded(run: Path) -> TrialRecord:
    """
    A trial with a load of two requests, one of which failed.
    """
    (run / "raw").mkdir()
    (run / "raw" / "open-030.csv").write_text(f"{HEADER}\n10,20,1510,200,1\n20,30,40,0,0\n")
    load = OpenLoad(0.3, 100.0, 2, 1, 1, 0.5, 10, "raw/open-030.csv")
    return structs.replace(trial(1, 1, "netns", 250), open_loads=[load])


def test_latencies_are_read_back_to_three_digits(tmp_path: Path) -> None:
    """
    Every request is there, and the quantiles are those of the latencies.
    """
    latencies_us = np.random.default_rng(1).lognormal(9, 1, 5000).astype(np.int64)
    path = tmp_path / "x.hlog"
    path.write_text(histogram_log(latencies_us, 1.7e9, 2.5))
    histogram = read_back(path)
    assert histogram.get_total_count() == 5000
    for name, thousandths in QUANTILES.items():
        found = histogram.get_value_at_percentile(thousandths / 10)
        assert found == pytest.approx(quantile_us(np.sort(latencies_us), name), rel=1e-3)
    assert histogram.get_start_time_stamp() == pytest.approx(1.7e12)
    assert histogram.get_end_time_stamp() == pytest.approx(1.7e12 + 2500)


def test_the_same_latencies_are_the_same_bytes() -> None:
    """
    No clock is read.
    """
    latencies_us = np.arange(1, 1000, dtype=np.int64)
    assert histogram_log(latencies_us, 1.0, 2.0) == histogram_log(latencies_us, 1.0, 2.0)


def test_it_is_a_log_of_the_known_format() -> None:
    """
    Version 1.2, with its times and its legend.
    """
    lines = histogram_log(np.array([1, FAILED_US]), 1.7e9, 2.5).splitlines()
    assert lines[1:-1] == [
        "#[Histogram log format version 1.2]",
        "#[StartTime: 1700000000.000 (seconds since epoch), 2023-11-14T22:13:20.000+00:00]",
        "#[BaseTime: 1700000000.000000 (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    # The greatest value is given as the end of its bucket.
    assert lines[-1].startswith("0.000000,2.500000,60030.000000,HISTFAAA")


def test_latencies_out_of_range_are_at_its_ends(tmp_path: Path) -> None:
    """
    None is lost.
    """
    path = tmp_path / "x.hlog"
    path.write_text(histogram_log(np.array([0, 5, HIGHEST_US + 1, FAILED_US]), 1.0, 1.0))
    histogram = read_back(path)
    assert histogram.get_total_count() == 4
    assert histogram.get_count_at_value(1) == 1
    assert histogram.get_count_at_value(HIGHEST_US) == 2


def test_every_load_gets_a_histogram_beside_its_log(tmp_path: Path) -> None:
    """
    Failed trials have none.
    """
    written = write_histograms([loaded(tmp_path), failed_trial(2, 1, "docker")], tmp_path)
    assert written == [tmp_path / "raw" / "open-030.hlog"]
    histogram = read_back(written[0])
    assert histogram.get_total_count() == 2
    assert histogram.get_count_at_value(1500) == 1
    assert histogram.get_end_time_stamp() - histogram.get_start_time_stamp() == 2000
