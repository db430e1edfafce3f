"""
The benches of the analysis read as much as is asked for, and say how they stand.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from analysis import bench_records, bench_report

if TYPE_CHECKING:
    import pytest


def test_it_reads_every_request_that_it_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """
    And prints what it took beside its targets.
    """
    assert bench_records.main(["--records", "17000"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["records"] == 17000
    assert line["peak_bytes"] < line["target_bytes"]
    assert {"duration_s", "target_s"} <= set(line)


def test_the_report_of_a_long_run_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Of the reference's records, as often as needed.
    """
    assert bench_report.main(["--megabytes", "6"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert 6e6 <= line["records_bytes"] < 12e6
    assert {"duration_s", "target_s", "peak_bytes", "target_bytes"} <= set(line)
