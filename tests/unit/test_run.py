"""
A run is read with all of its records, and several are read as one.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from analysis.run import read_run, read_runs
from experiments.errors import ResultsError
from experiments.records.files import ARTEFACT_TRIALS
from experiments.records.store import append_agreement, append_trial
from experiments.records.trials import AgreementLoad
from tests.unit.samples import manifest, stored, trial
from tests.unit.topics.samples import pair_of

if TYPE_CHECKING:
    from pathlib import Path


def written(results: Path, name: str, requests: int = 1000) -> Path:
    """
    A run of two blocks with a cold start and a load of agreement.
    """
    run = results / name
    made = dataclasses.replace(manifest(), run=name, requests=requests)
    stored(run, made, pair_of([1.1, 1.2]))
    append_trial(run, trial(1, 0, "docker", 250), ARTEFACT_TRIALS)
    load = AgreementLoad(
        repetition=1,
        variant="netns",
        thawed=True,
        beside=3,
        requests=250,
        requests_ok=250,
        started_at=1e9,
        us_per_request=2000.0,
    )
    append_agreement(run, load)
    return run


def test_a_run_has_all_of_its_records(tmp_path: Path) -> None:
    """
    Cold starts and agreement loads are apart from the trials that count.
    """
    folder = written(tmp_path, "20260101T000000Z")
    run = read_runs([folder])
    assert run == read_run(folder)
    assert (run.name, run.folder) == ("20260101T000000Z", folder)
    assert [each.variant for each in run.trials] == ["netns", "docker"] * 2
    assert len(run.cold_starts) == len(run.agreement) == 1


def test_several_runs_are_one_with_all_trials_and_cold_starts(tmp_path: Path) -> None:
    """
    Logs and agreement loads stay with the report of each: there is no one folder.
    """
    names = ("20260101T000000Z", "20260102T000000Z")
    run = read_runs([written(tmp_path, name) for name in names])
    assert run.name == " + ".join(names)
    assert [each.block for each in run.trials] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert len(run.cold_starts) == 2
    assert run.folder is None
    assert list(run.agreement) == []


def test_runs_of_another_kind_are_not_one(tmp_path: Path) -> None:
    """
    Nor is a folder that holds no run.
    """
    one, other = written(tmp_path, "A"), written(tmp_path, "B", requests=500)
    with pytest.raises(ResultsError, match="requests differs, 1000 and 500"):
        read_runs([one, other])
    with pytest.raises(ResultsError, match="empty"):
        read_runs([one, tmp_path / "empty"])
