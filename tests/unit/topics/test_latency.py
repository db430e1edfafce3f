"""
Latency by schedule: how logs are read, what is overload, and how that is told.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.latency.findings import (
    FAILED_US,
    HEADER,
    latencies,
    read_log,
)
from analysis.topics.latency.section import latency
from experiments.errors import ResultsError
from experiments.records.trials import OpenLoad
from tests.unit.reading import columns_of, rows_of
from tests.unit.samples import failed_trial, findings, manifest, trial

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

RATE_PER_S = 100.0


def write_log(path: Path, latencies_us: Sequence[int], late_us: int = 0, status: int = 200) -> None:
    """
    A log of requests every 10 ms; each is sent so late, and that is part of its latency.
    """
    lines = [HEADER]
    for number, latency_us in enumerate(latencies_us):
        intended_us = 10_000 * (number + 1)
        sent_us, done_us = intended_us + late_us, intended_us + latency_us
        lines.append(f"{intended_us},{sent_us},{done_us},{status},{int(status == 200)}")
    path.write_text("\n".join([*lines, ""]))


def loaded(
    run: Path,
    number: int,
    variant: str,
    latencies_us: Sequence[int],
    fraction: float | None = None,
) -> TrialRecord:
    """
    A trial, two of which are a block, with one load by schedule.
    """
    name = f"{number}.csv"
    write_log(run / name, latencies_us)
    load = OpenLoad(fraction, RATE_PER_S, len(latencies_us), len(latencies_us), 0, 0.0, 0, name)
    good = trial(number, (number + 1) // 2, variant, 250)
    return structs.replace(good, open_loads=[load])


def open_manifest(fractions: Sequence[float] = ()) -> Manifest:
    """
    A run with loads by schedule.
    """
    return dataclasses.replace(
        manifest(), open_fractions=list(fractions), common_rate_per_s=RATE_PER_S
    )


def test_both_latencies_are_read(tmp_path: Path) -> None:
    """
    From the intended start and from when it was sent, each rising.
    """
    write_log(tmp_path / "x.csv", [3000, 1000, 2000], late_us=400)
    log = read_log(tmp_path, "x.csv")
    assert log.corrected_us.tolist() == [1000, 2000, 3000]
    assert log.uncorrected_us.tolist() == [600, 1600, 2600]
    assert log.failed == 0


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 100])
def test_a_log_is_read_in_parts_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    """
    The parts make the whole.
    """
    write_log(tmp_path / "x.csv", [5000, 1000, 4000, 2000, 3000, 6000])
    whole = read_log(tmp_path, "x.csv")
    monkeypatch.setattr("analysis.topics.latency.findings.ROWS_AT_ONCE", rows_at_once)
    parts = read_log(tmp_path, "x.csv")
    assert parts.corrected_us.tolist() == whole.corrected_us.tolist()
    assert parts.achieved_share == whole.achieved_share


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with intended_us"),
        (f"{HEADER}\n", "has no request in it"),
        (f"{HEADER}\n1,2,3,200\n", "its requests have 4 numbers, but it begins with intended"),
        (f"{HEADER}\n1,2,3,x,0\n", "is not a log of requests"),
        (f"{HEADER}\n1,2,1,200,1\n", "a request that ended before it was sent"),
        (f"{HEADER}\n-1,2,3,200,1\n", "was sent too early"),
        (f"{HEADER}\n1,2,3,200,1\n\n", "is not a log of requests: Input line 2 contained no data"),
    ],
)
def test_a_broken_log_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    """
    With its name.
    """
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ResultsError, match=rf"x\.csv.*{message}"):
        read_log(tmp_path, "x.csv")


def test_a_missing_log_is_an_error(tmp_path: Path) -> None:
    """
    A report with a level left out would be half true.
    """
    found = loaded(tmp_path, 1, "netns", [1000] * 20)
    (tmp_path / "1.csv").unlink()
    with pytest.raises(ResultsError, match=r"1\.csv is not a log of requests: .*No such file"):
        latencies(open_manifest(), [found], tmp_path)


@pytest.mark.parametrize("status", [0, 302, 404, 503])
def test_a_failed_request_is_slower_than_all_others(tmp_path: Path, status: int) -> None:
    """
    However quickly it failed.
    """
    write_log(tmp_path / "x.csv", [1, 2], status=status)
    log = read_log(tmp_path, "x.csv")
    assert log.corrected_us.tolist() == log.uncorrected_us.tolist() == [FAILED_US] * 2
    assert log.failed == 2


def test_overload_is_a_label_and_not_a_latency(tmp_path: Path) -> None:
    """
    Each request takes a millisecond longer than the one before, so answers come a tenth slower.
    """
    growing = [1000 * number for number in range(100)]
    trials = [
        loaded(tmp_path, 1, "netns", [1000] * 100),
        loaded(tmp_path, 2, "docker", growing),
    ]
    level = latencies(open_manifest(), trials, tmp_path).levels[0]
    assert [cell.overloaded for cell in level.cells] == [False, True]
    assert level.cells[0].achieved_share == pytest.approx(1)
    assert level.cells[1].achieved_share == pytest.approx(10 / 11)
    assert level.cells[1].corrected == {}
    text = latency(findings(open_manifest(), trials, tmp_path))
    assert columns_of(text, "docker")["p50"] == "overload: achieved 90.9 % of 100.0/s"
    assert columns_of(text, "matched")["p50"] == "overload: docker"


def test_a_stall_that_ends_is_no_overload(tmp_path: Path) -> None:
    """
    It is what the latencies are for.
    """
    stalled = [1000] * 50 + [max(1000, 300_000 - 10_000 * number) for number in range(50)]
    level = latencies(open_manifest(), [loaded(tmp_path, 1, "netns", stalled)], tmp_path).levels[0]
    assert not level.cells[0].overloaded


def test_differences_are_paired_within_blocks(tmp_path: Path) -> None:
    """
    A constant ratio is found however the machine drifts; trials with few requests have no p99.
    """
    trials = []
    for block in (1, 2, 3):
        base = 1000 * block
        trials.append(loaded(tmp_path, 2 * block - 1, "netns", [base] * 100))
        trials.append(loaded(tmp_path, 2 * block, "docker", [base * 3 // 2] * 100))
    found = latencies(open_manifest(), trials, tmp_path).differences[0]
    assert found.blocks == 3
    median = found.relative["p50"]
    assert median is not None
    assert median.estimate == pytest.approx(0.5)
    assert median.low == pytest.approx(0.5)
    assert found.relative["p99"] is None


def test_the_section_has_a_table_for_each_level(tmp_path: Path) -> None:
    """
    Levels without a trial, failed trials and variants that were not loaded are left out.
    """
    trials = [
        loaded(tmp_path, 1, "netns", [1000] * 100, 0.3),
        loaded(tmp_path, 2, "docker", [2000] * 100, 0.3),
        loaded(tmp_path, 3, "netns", [12_000] * 1000),
        failed_trial(4, 2, "docker"),
    ]
    text = latency(findings(open_manifest([0.3, 0.6]), trials, tmp_path))
    first, second = [part for part in text.split("### ") if part.startswith("At ")]
    assert "30 %" in first.splitlines()[0]
    assert [row[0] for row in rows_of(first)] == ["netns", "docker"]
    assert "100.0 per second" in second.splitlines()[0]
    row = columns_of(second, "netns")
    assert (row["Asked per second"], row["p50"]) == ("100.0", "12.00")
    assert row["Failed"] == "0 of 1000"
    assert rows_of(text, "matched") == []


def test_the_section_is_empty_without_such_loads(tmp_path: Path) -> None:
    """
    And needs the logs.
    """
    assert latency(findings(manifest(), [trial(1, 1, "netns", 250)], tmp_path)) == ""
    pooled = latency(findings(open_manifest(), [loaded(tmp_path, 1, "netns", [1000] * 20)]))
    assert pooled.startswith("## Latency")
    assert rows_of(pooled) == []
