"""
Schemas of what is stored: made from the types, and true of all that the project writes.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from msgspec import structs

from analysis.folders import RESULTS
from analysis.schema import FILES, SCHEMAS, as_text, main, schema
from experiments.declare.workloads import choose_workload
from experiments.errors import ResultsError
from experiments.host.measure import keep_variants
from experiments.load import LoadPlan
from experiments.load.ab import result_of
from experiments.load.ab_output import parse
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.records.decoding import decoded, encoded
from experiments.records.files import (
    AGREEMENT_LOADS,
    ARTEFACT_TRIALS,
    COMPRESSED,
    MANIFEST,
    PILOT_TRIALS,
    SEARCH_TRIALS,
    TRIALS,
)
from experiments.records.manifest import Candidate, Found, Manifest, SearchStep
from experiments.records.trials import AgreementLoad, CpuTime, OpenLoad, PathCounters, TrialRecord
from tests.unit.samples import cpu_spent, facts, failed_trial, side_by_side, trial

VALIDATORS = {kind: Draft202012Validator(schema(kind)) for kind in FILES.values()}
REPORT = Path(__file__).parent / "ab" / "length-artefact.txt"
REFERENCES = sorted(path.parent for path in RESULTS.glob(f"reference/**/{MANIFEST}"))


def faults(kind: type, content: bytes) -> list[str]:
    """
    What is wrong with a record, each with its place.
    """
    return [
        f"{error.json_path}: {error.message}"
        for error in VALIDATORS[kind].iter_errors(json.loads(content))
    ]


def whole_trial() -> TrialRecord:
    """
    A trial with everything that one can have.
    """
    asked = LoadPlan("198.18.0.1:80", choose_workload("products"), 1000, 5, 1)
    load = result_of(parse(REPORT.read_text()), dict.fromkeys(range(101), 3.5), asked, ["ab"])
    return structs.replace(
        side_by_side(1, 1, "docker", [2000.5, 2010.0]),
        at_once=load,
        facts=facts(),
        allowed=["sysctls differ"],
        path=PathCounters({"lo": 3}, {"lo": "loopback"}, 1, 2, 3, -4, 1, 0.5),
        cpu=cpu_spent({"client": CpuTime(0.1, 0.2)}),
        first_answer_s=0.9,
        cold=load,
        open_loads=[
            OpenLoad(fraction, 120.5, 300, 300, 300, 118.0, 366, "raw/001-docker/open.csv")
            for fraction in (0.3, None)
        ],
        failed_phase="teardown",
        error="a container did not stop",
    )


def whole_manifest(tmp_path: Path) -> Manifest:
    """
    A plan of all groups whose search has ended.
    """
    planned = keep_variants(tmp_path, draft_manifest(measure_parser().parse_args([]), None))
    change = {"network": "host"}
    candidates = [Candidate(change, change, [-0.1], 1.0), Candidate({}, {}, note="failed")]
    found = Found(change, [SearchStep(candidates, chosen=0), SearchStep([])])
    return dataclasses.replace(planned, found=found)


@pytest.fixture
def records(tmp_path: Path) -> list[object]:
    """
    A record of each kind, and trials that lack what a trial may lack.
    """
    bare = trial(1, 1, "netns", 250.0)
    load = AgreementLoad(1, "netns", True, 3, 250, 250, 1e9, 2000.5)  # noqa: FBT003
    return [
        whole_manifest(tmp_path),
        draft_manifest(
            measure_parser().parse_args(["--variants", "netns,docker", "--open-loop"]), None
        ),
        whole_trial(),
        bare,
        structs.replace(bare, block=0, position=0),
        failed_trial(2, 1, "docker"),
        load,
    ]


@pytest.mark.parametrize("name", FILES)
def test_the_committed_schemas_are_what_the_types_make(name: str) -> None:
    """
    `python -m analysis.schema` writes them again.
    """
    made = schema(FILES[name])
    Draft202012Validator.check_schema(made)
    assert (SCHEMAS / name).read_text(encoding="utf-8") == as_text(made)


def test_the_command_writes_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Into the folder that is named, and says so where it cannot be.
    """
    assert main([str(tmp_path / "new")]) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(FILES)
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_what_is_written_fits_its_schema_and_is_read_as_it_was(records: list[object]) -> None:
    """
    Whatever a record has or lacks.
    """
    for record in records:
        content = encoded(record)
        assert faults(type(record), content) == []
        assert decoded(type(record), content, "here") == record


def test_every_record_of_the_committed_runs_fits_its_schema() -> None:
    """
    The trials that are no results too.
    """
    assert REFERENCES
    kinds = dict.fromkeys((TRIALS, PILOT_TRIALS, SEARCH_TRIALS, ARTEFACT_TRIALS), TrialRecord)
    for run in REFERENCES:
        assert faults(Manifest, (run / MANIFEST).read_bytes()) == []
        for name, kind in {**kinds, AGREEMENT_LOADS: AgreementLoad}.items():
            path = run / f"{name}{COMPRESSED}"
            if path.exists():
                for line in lzma.decompress(path.read_bytes()).splitlines():
                    assert faults(kind, line) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"started_at":1000000001.0', '"started_at":"today"'),
        ('"requests":250', '"requests":0.5'),
        ('"turn":1,', ""),
        ('"user_s":0.1', '"user_s":null'),
        ('"translated":2', '"translated":"many"'),
        ('"status":200', '"status":"fine"'),
        ('"client":[0]', '"client":0'),
        ('"namespaces":["pid"', '"namespaces":[7'),
    ],
)
def test_a_damaged_trial_is_refused_by_schema_and_reader(old: str, new: str) -> None:
    """
    Wherever the damage is.
    """
    whole = encoded(whole_trial()).decode()
    assert old in whole
    damaged = whole.replace(old, new).encode()
    assert faults(TrialRecord, damaged)
    with pytest.raises(ResultsError, match=r"^line 7: "):
        decoded(TrialRecord, damaged, "line 7")
