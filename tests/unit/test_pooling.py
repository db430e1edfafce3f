"""
Several runs as one report: never from different machines.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from analysis.__main__ import main
from analysis.folders import POOLED_REPORT
from analysis.pooling import pool
from analysis.topics.warnings.section import warnings
from experiments.errors import ResultsError
from experiments.records.manifest import (
    Environment,
    MachineRecord,
    PilotPlan,
    RoundsPilot,
    Source,
)
from experiments.records.store import append_trial, write_manifest
from tests.unit.samples import findings, manifest, trial

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.records.trials import TrialRecord


PILOT = RoundsPilot("netns", 4, 8, 250, 0.01, 0.01, 3.0, 0.6, 6)


def blocks(count: int) -> list[TrialRecord]:
    """
    So many blocks of two variants.
    """
    return [
        trial(2 * block + position, block + 1, name, rate)
        for block in range(count)
        for position, (name, rate) in enumerate([("netns", 250), ("docker", 200 + block)], 1)
    ]


def test_blocks_are_numbered_on() -> None:
    """
    Two blocks and three are five, each a pair of its own.
    """
    second = dataclasses.replace(manifest(blocks=3), run="B")
    whole, trials = pool([(manifest(blocks=2), blocks(2)), (second, blocks(3))])
    assert whole.blocks == 5
    assert [each.block for each in trials] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [each.number for each in trials] == list(range(1, 11))
    (compared,) = findings(whole, trials).comparisons
    assert compared.difference is not None
    assert compared.difference.blocks == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"machine": MachineRecord("vagrant", acceleration="emulation")},
            "their machine differs, 'local' and 'vagrant'",
        ),
        ({"environment": Environment(kernel="6.1")}, "their kernel differs, '6.12' and '6.1'"),
        ({"requests": 500}, "their requests differs, 1000 and 500"),
        ({"git": Source("e" * 40, changed=False)}, "their project differs"),
        ({"any_length": False}, "their any_length differs, True and False"),
        ({"rounds": 4}, "their rounds differs, 1 and 4"),
        ({"requests_at_once": 1000}, "their requests_at_once differs, 0 and 1000"),
        ({"at_once": ["netns"]}, "their at_once differs"),
    ],
)
def test_runs_of_another_kind_are_refused_with_both_values(
    changes: dict[str, Any], message: str
) -> None:
    """
    A machine, its software or its load that differs is named.
    """
    other = dataclasses.replace(manifest(), run="B", **changes)
    with pytest.raises(ResultsError, match=message):
        pool([(manifest(), blocks(2)), (other, blocks(2))])


def test_what_a_pilot_chose_may_differ() -> None:
    """
    It is no choice of the user's.
    """
    first, second = (
        dataclasses.replace(
            manifest(), run=run, rounds=rounds, requests=requests, pilot=PilotPlan(rounds=PILOT)
        )
        for run, rounds, requests in (("A", 6, 250), ("B", 8, 200))
    )
    whole, _ = pool([(first, blocks(2)), (second, blocks(2))])
    assert whole.order == [[["netns", "docker"]]] * 4


def test_a_run_that_is_named_twice_is_refused() -> None:
    """
    Its blocks would count twice, and every interval be too narrow.
    """
    with pytest.raises(ResultsError, match="is named more than once"):
        pool([(manifest(), blocks(2)), (manifest(), blocks(2))])


def test_one_broken_run_marks_the_whole() -> None:
    """
    The report says that not all of it ended.
    """
    second = dataclasses.replace(manifest("interrupted"), run="B")
    whole, trials = pool([(manifest(), blocks(2)), (second, blocks(1))])
    assert whole.state == "interrupted"
    assert "**This run is interrupted**" in warnings(findings(whole, trials))


def test_several_runs_are_written_beside_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Or where the user says; the reports of the single runs stay.
    """
    folders = []
    for name in ("20260101T000000Z", "20260102T000000Z"):
        run = tmp_path / name
        run.mkdir()
        folders.append(str(run))
        write_manifest(run, dataclasses.replace(manifest(), run=name))
        for record in blocks(2):
            append_trial(run, record)
    assert main(folders) == 0
    pooled = tmp_path / "20260102T000000Z" / POOLED_REPORT
    assert "Run 20260101T000000Z + 20260102T000000Z" in pooled.read_text()
    assert str(pooled) in capsys.readouterr().out
    assert main([*folders, "--output", str(tmp_path / "both.md")]) == 0
    assert (tmp_path / "both.md").read_bytes() == pooled.read_bytes()
    page = pooled.with_suffix(".html").read_bytes()
    assert (tmp_path / "both.html").read_bytes() == page
    assert page.count(b"<img ") == len(list(pooled.parent.glob("pooled-figures/*.svg")))
