"""
The overview says which run it is, on what, and how large.
"""

from __future__ import annotations

from analysis.topics.overview.section import overview
from tests.unit.samples import findings, manifest
from tests.unit.topics.samples import pair_of


def test_the_run_is_named_with_its_day_its_size_and_its_machine() -> None:
    """
    The day is UTC's, wherever the report is made; the blocks are those that were measured.
    """
    made = manifest(blocks=9)
    text = overview(findings(made, pair_of([1.1, 1.2])))
    for words in (
        made.run,
        "2023-11-14 22:13 UTC",
        "4 trials",
        "2 variants",
        "2 blocks",
        "1 round",
    ):
        assert words in text
    assert made.machine.reason in text


def test_a_run_without_trials_has_an_overview() -> None:
    """
    Of nothing.
    """
    assert "0 trials" in overview(findings(manifest("interrupted"), []))
