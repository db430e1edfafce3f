"""
Random kills, others at every commit; ``nox -s soak`` has hundreds of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("built")
def test_no_kill_loses_a_load_breaks_a_record_or_leaves_anything(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Two dozen kills, as far as they fit into four minutes, mostly in runs that go on.
    """
    results = tmp_path / "soak.jsonl"
    status = main(["--kills", "24", "--minutes", "4", "--cheap", "--results", str(results)])
    assert status == 0, capfd.readouterr().out
    assert len(results.read_text().splitlines()) >= 3
