"""
The bench of the analysis reads a log as large as is asked for, and says how it stands.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from analysis import bench_records

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
