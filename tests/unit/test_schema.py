"""
Schemas of what is stored: made from the records, true of all that the project writes, no laxer.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from analysis.folders import RESULTS
from analysis.schema.__main__ import SCHEMAS, main
from analysis.schema.fields import FIELDS
from analysis.schema.generate import FILES, _of, as_text, schema
from experiments.load import LoadPlan
from experiments.load.ab import result_of
from experiments.load.ab_output import parse
from experiments.measure import keep_variants, plan
from experiments.options import measure_parser
from experiments.plan import leave_out
from experiments.probes.cpu import STAT_FIELDS, CpuCounters, CpuTime, cpu_cost
from experiments.probes.path import PathCounters
from experiments.records import (
    AGREEMENT_LOADS,
    ARTEFACT_TRIALS,
    COMPRESSED,
    MANIFEST,
    PILOT_TRIALS,
    SEARCH_TRIALS,
    TRIALS,
    AgreementLoad,
    Manifest,
    OpenLoad,
    RoundLoad,
    TrialRecord,
    append_agreement,
    append_trial,
    read_agreement,
    read_manifest,
    read_trials,
    write_manifest,
)
from experiments.search import Candidate, Step, as_record
from experiments.variants import Search
from experiments.variants_file import load_variants
from experiments.workloads import choose_workload
from tests.unit.samples import failed_trial, trial

VALIDATORS = {kind: Draft202012Validator(schema(kind)) for kind in FILES.values()}
REPORT = Path(__file__).parent / "ab" / "length-artefact.txt"
REFERENCES = sorted(path.parent for path in RESULTS.glob(f"reference/**/{MANIFEST}"))


def faults(kind: type, content: object) -> list[str]:
    """
    What is wrong with a record, each with its place.
    """
    return [
        f"{error.json_path}: {error.message}" for error in VALIDATORS[kind].iter_errors(content)
    ]


def stored(record: Manifest | TrialRecord | AgreementLoad) -> dict[str, Any]:
    """
    A record as it is on the disk.
    """
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(record)))
    return found


def whole_trial() -> TrialRecord:
    """
    A trial with everything that one can have, made by what makes it.
    """
    asked = LoadPlan("198.18.0.1:80", choose_workload("products"), 1000, 5, 1)
    load = result_of(parse(REPORT.read_text()), dict.fromkeys(range(101), 3.5), asked, ["ab"])
    answer = {"status": 200, "body_bytes": 574, "body_sha256": "a" * 64}
    return dataclasses.replace(
        trial(1, 1, "docker", 250.0),
        check={**answer, "answers": 4, "server": "Werkzeug", "address": "198.18.0.11:3000"},
        placement={"client": [0], "stack": [1], "apart": True, "pinned": True, "processes": 9},
        load=load,
        loads=[RoundLoad(1, 3, 1e9, 250, 250, 0, 250, 0, 2000.5, 5, 0)],
        at_once=load,
        facts={
            "stack": {"answer": answer, "helpers": ["dockerd, containerd, shims"]},
            "gateway": {"command": ["python3"], "processes": 1, "cpu_limit": None, "user": "0"},
        },
        allowed=["sysctls differ"],
        path=PathCounters({"lo": 3}, {"lo": "loopback"}, 1, 2, 3, -4, 1, 0.5).as_record(),
        cpu=cpu_cost(counters(10.0), counters(14.0)),
        first_answer_s=0.9,
        cold=load,
        open_loads=[
            OpenLoad(fraction, 120.5, 300, 300, 300, 118.0, 366, "raw/001-docker/open.csv")
            for fraction in (0.3, None)
        ],
        failed_phase="teardown",
        error="a container did not stop",
    )


def agreement_load() -> AgreementLoad:
    """
    A short load of a thawed deployment beside three frozen ones.
    """
    return AgreementLoad(
        repetition=1,
        variant="netns",
        thawed=True,
        beside=3,
        requests=250,
        requests_ok=250,
        started_at=1e9,
        us_per_request=2000.5,
    )


def counters(at: float) -> CpuCounters:
    """
    Readings that grow with time, but for one that a kernel lets fall.
    """
    parts = {name: CpuTime(at / 10, at / 20) for name in ("client", "runner", "gateway")}
    machine = dict.fromkeys(STAT_FIELDS, at) | {"iowait": 20 - at}
    return CpuCounters(at, parts, {"gateway": at / 100}, machine, int(at * 1000))


@pytest.mark.parametrize("name", FILES)
def test_the_committed_schemas_are_what_the_records_make(name: str) -> None:
    """
    `python -m analysis.schema` writes them again.
    """
    assert (SCHEMAS / name).read_text(encoding="utf-8") == as_text(schema(FILES[name]))


def test_the_command_writes_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Into the folder that is named, and says so where it cannot be.
    """
    assert main([str(tmp_path / "new")]) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(FILES)
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("kind", FILES.values())
def test_a_schema_is_one_and_describes_every_field(kind: type) -> None:
    """
    By the dialect's own schema; nothing is described that no record has.
    """
    made = schema(kind)
    Draft202012Validator.check_schema(made)
    for record in (made, *made.get("$defs", {}).values()):
        assert all(value["description"] for value in record["properties"].values())
    for each, notes in FIELDS.items():
        assert list(notes) == [field.name for field in dataclasses.fields(each)]


def test_a_type_that_no_record_has_had_is_refused() -> None:
    """
    Rather than described as anything.
    """
    with pytest.raises(TypeError, match="no schema is known for the type"):
        _of(set[str], {})


def test_a_trial_with_everything_is_one() -> None:
    """
    So is one without probes or anything after the load, one that failed, and one of a rehearsal.
    """
    whole = whole_trial()
    bare = dataclasses.replace(trial(1, 1, "netns", 250.0), check=whole.check)
    rehearsed = dataclasses.replace(bare, block=0, position=0)
    for record in (whole, bare, rehearsed, failed_trial(2, 1, "docker")):
        assert faults(TrialRecord, stored(record)) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--variants", "netns,docker", "--profile", "quick"],
        ["--variants", "netns,docker", "--open-loop"],
        ["--variants", "netns,docker", "--requests", "500", "--warmup-requests", "0"],
        *(["--variants", ",".join(each.variants)] for each in load_variants().groups.values()),
    ],
    ids=" ".join,
)
def test_every_plan_is_a_manifest(arguments: list[str], tmp_path: Path) -> None:
    """
    Also when it was written, lacks what the machine lacks, and is known to its end.
    """
    planned = keep_variants(tmp_path, plan(measure_parser().parse_args(arguments)))
    write_manifest(tmp_path, planned)
    assert faults(Manifest, json.loads((tmp_path / MANIFEST).read_text())) == []
    name = planned.variants[-1]["name"]
    assert faults(Manifest, stored(leave_out(planned, [name]))) == []
    ended = dataclasses.replace(
        planned,
        state="complete",
        finished_at=1.8e9,
        order=[[[each["name"] for each in planned.variants]]],
        environment={
            "kernel": "6.12",
            "cpu_model": None,
            "cpus": [0, 1],
            "sysctls": {"a": None},
            "memory": {
                "available_bytes": 8 * 2**30,
                "process_bytes": 10**8,
                "container_bytes": None,
                "fits": 40,
            },
            "brought_up_at_once": 2,
        },
        machine={
            "name": "vagrant",
            "reason": "as asked",
            "provider": "libvirt",
            "hypervisor": "QEMU",
            "acceleration": "kvm",
            "box": {"name": "b", "version": "1", "sha256": "f" * 64},
            "host": {"kernel": "6.1", "cpu_model": "x"},
        },
        network_state={
            "netns": {"links": ["a"], "addresses": [], "routes": [], "firewall": [], "sysctls": []}
        },
        pilot={"capacities_per_s": {"netns": 400.5}},
    )
    assert faults(Manifest, stored(ended)) == []


def test_what_a_search_found_is_part_of_a_manifest() -> None:
    """
    With the candidates that were not tried; so is what a pilot found.
    """
    change, levels = {"network": "host"}, {"runtime": "container", "network": "host"}
    wanted = Search("tuned", "the best", "docker", (change,), also=("docker-all",))
    bad = Candidate(change, levels, note="its trials failed")
    steps = [Step([Candidate(change, levels, [-0.1, -0.2], 1.0), bad], chosen=0), Step([])]
    found = as_record(wanted, levels, steps)
    pilot = {
        "variant": "netns",
        "deployments": 4,
        "rounds": 4,
        "requests": 250,
        "own_sd": 0.015,
        "between_sd": 0.01,
        "deployment_s": 3.2,
        "load_s": 0.6,
        "wanted_rounds": 8,
    }
    planned = plan(measure_parser().parse_args(["--variants", "netns,docker"]))
    ended = dataclasses.replace(planned, search=found, pilot=pilot)
    assert faults(Manifest, stored(ended)) == []
    assert faults(Manifest, damaged(stored(ended), "$.search.steps", [{"chosen": 0}]))


def test_a_load_of_the_agreement_is_one(tmp_path: Path) -> None:
    """
    As it is written and read; and one of no requests is none.
    """
    load = agreement_load()
    append_agreement(tmp_path, load)
    content = json.loads((tmp_path / AGREEMENT_LOADS).read_text())
    assert faults(AgreementLoad, content) == []
    assert read_agreement(tmp_path) == [load]
    assert faults(AgreementLoad, content | {"requests": 0})


def test_every_record_of_the_committed_runs_is_one() -> None:
    """
    The trials that are no results too.
    """
    assert REFERENCES
    for run in REFERENCES:
        assert faults(Manifest, json.loads((run / MANIFEST).read_text())) == []
        for name in (TRIALS, PILOT_TRIALS, SEARCH_TRIALS, ARTEFACT_TRIALS):
            path = run / f"{name}{COMPRESSED}"
            if path.exists():
                for line in lzma.decompress(path.read_bytes()).decode().splitlines():
                    assert faults(TrialRecord, json.loads(line)) == []
        for load in read_agreement(run):
            assert faults(AgreementLoad, stored(load)) == []


def test_what_is_written_without_a_field_that_has_a_default_is_read_by_both(
    tmp_path: Path,
) -> None:
    """
    The schema asks for no more than the reader does.
    """
    append_trial(tmp_path, whole_trial())
    write_manifest(tmp_path, plan(measure_parser().parse_args([])))
    for name, kind in ((TRIALS, TrialRecord), (MANIFEST, Manifest)):
        content = json.loads((tmp_path / name).read_text())
        needed = schema(kind)["required"]
        kept = {key: value for key, value in content.items() if key in needed}
        assert faults(kind, kept) == []
        (tmp_path / name).write_text(json.dumps(kept) + "\n")
    assert len(read_trials(tmp_path)) == 1
    assert read_manifest(tmp_path).artefact == ""


DAMAGE: list[tuple[str, str, object]] = [
    ("a load without a result", "$.load", None),
    ("another version", "$.schema_version", 3),
    ("a status that none has", "$.status", "fine"),
    ("a number from 0", "$.number", 0),
    ("a text for a number", "$.started_at", "today"),
    ("a part of a request", "$.load.requests", 0.5),
    ("a negative time", "$.load.latency_p99_us", -1),
    ("a rate of nothing", "$.load.requests_per_second", 0),
    ("a round that is none", "$.loads", [{"round": 0}]),
    ("a load at once that is a number", "$.at_once", 3),
    ("time that no mode spent", "$.cpu.parts.gateway", {"user_s": 1.0}),
    ("negative time of a part", "$.cpu.parts.gateway.user_s", -0.1),
    ("counters that are not whole", "$.path.translated", "many"),
    ("a digest that is none", "$.check.body_sha256", "abc"),
    ("a CPU that is none", "$.placement.client", [-1]),
    ("a log without a name", "$.open_loads", [{"log": ""}]),
    ("a field that is not known", "$.extra", 1),
    ("a field that is not known in a load", "$.load.extra", 1),
    ("a field that is not known in the path", "$.path.extra", 1),
]


@pytest.mark.parametrize(
    ("place", "value"), [each[1:] for each in DAMAGE], ids=[each[0] for each in DAMAGE]
)
def test_a_damaged_trial_is_refused(place: str, value: object) -> None:
    """
    Wherever the damage is.
    """
    assert faults(TrialRecord, damaged(stored(whole_trial()), place, value))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("$.state", "done"),
        ("$.requests", 0),
        ("$.margin", 0),
        ("$.probes", "sometimes"),
        ("$.focal", [["netns"]]),
        ("$.variants", [{"name": "netns"}]),
        ("$.comparisons", [{"name": "x", "about": "", "baseline": "", "treatment": "b"}]),
        ("$.order", [["netns"]]),
        ("$.rounds", 0),
        ("$.workload.path", "api"),
        ("$.workload.extra", 1),
        ("$.git", {"commit": "main", "changed": False}),
        ("$.open_fractions", [1.5]),
        ("$.pilot", {"wanted": "luck"}),
        ("$.network_state", {"netns": {"links": []}}),
        ("$.schema_version", 3),
        ("$.extra", 1),
    ],
)
def test_a_damaged_manifest_is_refused(place: str, value: object) -> None:
    """
    Wherever the damage is.
    """
    whole = plan(measure_parser().parse_args(["--variants", "netns,docker"]))
    assert faults(Manifest, stored(whole)) == []
    assert faults(Manifest, damaged(stored(whole), place, value))


@pytest.mark.parametrize("kind", FILES.values())
def test_a_field_that_is_missing_is_named(kind: type) -> None:
    """
    Each of those that have no default.
    """
    records: dict[type, Manifest | TrialRecord | AgreementLoad] = {
        TrialRecord: whole_trial(),
        Manifest: plan(measure_parser().parse_args(["--variants", "netns,docker"])),
        AgreementLoad: agreement_load(),
    }
    for name in schema(kind)["required"]:
        content = stored(records[kind])
        del content[name]
        assert f"$: {name!r} is a required property" in faults(kind, content)


def test_an_error_has_no_load() -> None:
    """
    An error is never a number.
    """
    content = stored(whole_trial()) | {"status": "error"}
    assert any(fault.startswith("$.load: ") for fault in faults(TrialRecord, content))


def damaged(content: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """
    A record with another value at a place.
    """
    *way, last = place.removeprefix("$.").split(".")
    table = content
    for name in way:
        table = table[name]
    table[last] = value
    return content
