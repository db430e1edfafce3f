"""
Stored data defend themselves: what a run did not write is named, and never used.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
import math
import os
import shutil
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from analysis import reference, run
from analysis.__main__ import main as report
from analysis.folders import REPORT
from analysis.verify.__main__ import main as verify
from experiments.errors import ResultsError
from experiments.records import store, streams
from experiments.records.files import AGREEMENT_LOADS, COMPRESSED, MANIFEST, RAW, TRIALS
from experiments.records.raw import check_raw, raw_digest, raw_folder
from experiments.records.store import append_agreement, append_trial, write_manifest
from experiments.records.trials import AgreementLoad, OpenLoad, PathCounters
from tests.fuzz.mutation import mutated
from tests.unit.samples import details, load, manifest, stored, trial
from tests.unit.topics.samples import loaded, run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.records.trials import TrialRecord

NAMES = ("netns", "docker", "docker-host", "netns-cpus-0.5")
BLOCKS = 4


def a_run(folder: Path) -> Path:
    """
    A run with something for most topics, and raw data.
    """
    made, trials = run_of(NAMES, BLOCKS)
    path = PathCounters({"lo": 3}, {"lo": "loopback"}, 1, 2, 3, 4, 1, 0.5)
    printed = details(
        connection_times_ms={"total": {"min": 9.0, "mean": 97.0, "max": 159.0}},
        percentiles_ms={50: 80.0, 90: 120.0, 99: 150.0, 100: 159.0},
    )
    long = structs.replace(load(250.0), details=printed)
    trials = [
        structs.replace(
            each,
            load=structs.replace(loaded(each), details=printed),
            at_once=long,
            cold=long,
            path=path,
        )
        for each in trials
    ]
    kept = [structs.replace(each, raw_sha256=with_raw_data(folder, each)) for each in trials]
    stored(folder, dataclasses.replace(made, run=folder.name), kept)
    for at, requests in enumerate((250, 1000, 250, 1000)):
        each = AgreementLoad(1, "netns", at > 1, 3, requests, requests, 1e9 + at, 2000.0)
        append_agreement(folder, each)
    return folder


def with_raw_data(folder: Path, each: TrialRecord) -> str:
    """
    Write what ab printed in a trial, and return the digest of the trial's folder.
    """
    raw = folder / raw_folder(each)
    (raw / "round-01").mkdir(parents=True)
    (raw / "round-01" / "ab.txt").write_text(f"what ab printed in trial {each.number}\n")
    (raw / "gateway.log").write_text("")
    return raw_digest(folder, raw_folder(each))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder of a run without a fault; tests work on copies.
    """
    return a_run(tmp_path_factory.mktemp("sound") / "20260101T000000Z")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """
    A copy of the sound run.
    """
    return Path(shutil.copytree(sound, tmp_path / sound.name))


def edited(folder: Path, line: int, change: Callable[[Any], object], file: str = TRIALS) -> None:
    """
    Change one record of a file; lines count from 1.
    """
    lines = (folder / file).read_text().splitlines()
    record = json.loads(lines[line - 1])
    change(record)
    lines[line - 1] = json.dumps(record)
    (folder / file).write_text("\n".join(lines) + "\n")


def at(path: str, value: object) -> Callable[[Any], object]:
    """
    Set the field at this path.
    """

    def change(record: Any) -> None:  # noqa: ANN401 - JSON
        *steps, last = path.split(".")
        for step in steps:
            record = record[int(step) if step.isdigit() else step]
        record[last] = value

    return change


IMPOSSIBLE = [
    ("load.requests_per_second", 0, "load.requests_per_second`, the value is 0"),
    ("load.requests_per_second", -3.5, "load.requests_per_second`, the value is -3.5"),
    ("load.requests_per_second", 1e300, "load.requests_per_second`, the value is 1e300"),
    ("load.requests_per_second", None, "load.requests_per_second`, the value is null"),
    ("load.requests_per_second", 77.0, "load.requests_per_second is 77"),
    ("loads.1.us_per_request", 1000.0, "which loads contradict"),
    ("loads.1.requests_completed", 251, "loads[1].requests_completed is 251, of 250"),
    ("loads.1.requests_ok", 251, "loads[1].requests_ok is 251, of 250"),
    ("loads.1.sampled_bad", 1, "loads[1].sampled_bad is 1, of 0 sampled answers"),
    ("loads.1.requests_ok", 249, "load.requests_ok is 1000, but the sum over loads is 999"),
    ("loads.1.round", 1, "loads has round 1 2 times"),
    ("loads.1.round", 9, "loads[1].round is 9; the manifest has 4 rounds"),
    ("loads.1.turn", 0, "loads[1].turn`, the value is 0"),
    ("loads.1.started_at", -1.0, "loads[1].started_at`, the value is -1.0"),
    ("at_once.requests_completed", 1001, "at_once.requests_completed is 1001, of 1000"),
    ("at_once.responses_non_2xx", 1, "at_once.responses_non_2xx is 1 beside 1000 good"),
    ("at_once.latency_p50_us", 1e9, "at_once.latency_p50_us is 1e+09, above latency_p90_us"),
    ("at_once.duration_s", 9.0, "at_once.duration_s is 9"),
    ("load.details.percentiles_ms", {"101": 9.0}, "load.details.percentiles_ms has 101 per cent"),
    ("load.details.connection_times_ms.total", {"min": 1.0}, "connection_times_ms.total has no"),
    ("cpu.machine_s", {}, "cpu.machine_s has no 'user'"),
    ("phases_s.load", -4.0, "phases_s[...]`, the value is"),
    ("cpu.client_share", -0.1, "cpu.client_share`, the value is -0.1"),
    ("started_at", -1.0, "started_at`, the value is -1.0"),
    ("variant", "podman", "variant is 'podman', but the manifest's order has 'docker'"),
    ("variant", "netns", "variant is 'netns', but the manifest's order has 'docker'"),
    ("block", 5, "block is 5; the manifest's order has 4 there"),
    ("block", 0, "block is 0"),
    ("part", 2, "part is 2; the manifest's order has 1 there"),
    ("position", 5, "position is 5; the manifest's order has 4 there"),
    ("position", 3, "but the manifest's order has 'docker-host' in block 1, part 1, position 3"),
    ("number", 0, "number`, the value is 0"),
    ("status", "fine", "status is 'fine', which is neither 'ok' nor 'error'"),
    ("status", "error", "status is 'error', and load is there"),
    ("load", None, "status is 'ok', and load is null"),
    ("check", 7, "check`, the value is 7"),
    ("placement.client", [-1], "placement.client[0]`, the value is -1"),
    ("placement.mine", 7, "unknown fields $.placement.mine"),
    ("mine", 7, "unknown fields $.mine"),
    ("loads.0.mine", 7, "unknown fields $.loads[0].mine"),
    (
        "open_loads",
        [structs.asdict(OpenLoad(0.3, 9.0, 9, 9, 9, 9.0, 1, "../../etc/passwd"))],
        "open_loads[0].log is '../../etc/passwd', which is outside of the run",
    ),
]


@pytest.mark.parametrize(("path", "value", "words"), IMPOSSIBLE)
def test_an_impossible_record_is_set_aside_with_its_place_and_value(
    folder: Path, path: str, value: object, words: str
) -> None:
    """
    The run goes on without it.
    """
    edited(folder, 2, at(path, value))
    found = run.read_run(folder)
    assert len(found.trials) == len(NAMES) * BLOCKS - 1
    (place,) = found.set_aside
    assert place.startswith(f"{TRIALS}, line 2: ")
    assert words in place


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_number_that_json_does_not_have_is_set_aside(folder: Path, text: str) -> None:
    """
    Or that no float holds.
    """
    edited(folder, 1, at("first_answer_s", "HERE"))
    path = folder / TRIALS
    path.write_text(path.read_text().replace('"HERE"', text))
    (place,) = run.read_run(folder).set_aside
    assert place.startswith(f"{TRIALS}, line 1: ")


def test_brackets_without_end_are_set_aside(folder: Path) -> None:
    """
    And no traceback, however deep they are.
    """
    path = folder / TRIALS
    whole = path.read_text()
    path.write_text(whole + '{"facts":' + "[" * 100_000 + "\n")
    (place,) = run.read_run(folder).set_aside
    assert place.startswith(f"{TRIALS}, line 17: ")


def test_a_torn_last_line_is_set_aside_and_said(folder: Path) -> None:
    """
    As a killed writer leaves it.
    """
    path = folder / TRIALS
    path.write_text(path.read_text()[:-40])
    found = run.read_run(folder)
    assert len(found.trials) == len(NAMES) * BLOCKS - 1
    assert found.set_aside == [
        "trials.jsonl, line 16: it was cut off, as by a crash while it was written"
    ]


def test_a_load_of_the_agreement_is_checked_too(folder: Path) -> None:
    """
    Alone and against the manifest.
    """
    edited(folder, 1, at("variant", "podman"), AGREEMENT_LOADS)
    edited(folder, 2, at("requests_ok", 1001), AGREEMENT_LOADS)
    edited(folder, 3, at("us_per_request", 0.0), AGREEMENT_LOADS)
    found = run.read_run(folder)
    assert len(found.agreement) == 1
    one, two, three = found.set_aside
    assert "line 1: variant is 'podman'" in one
    assert "line 2: requests_ok is 1001, of 1000 requests" in two
    assert "line 3: Expected" in three


def test_the_report_and_its_command_say_what_was_set_aside(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Before any number, with file, line and reason.
    """
    edited(folder, 2, at("block", 9))
    assert report([str(folder)]) == 0
    place = "trials.jsonl, line 2: block is 9; the manifest's order has 4 there"
    assert f"warning: a record was set aside: {place}" in capsys.readouterr().err
    text = (folder / REPORT).read_text()
    warning = f"> **1 record was set aside**, and no number uses it: `{place}`."
    assert text.index(warning) < text.index("\n## ")


def test_a_reference_has_no_record_at_fault(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Nothing is kept, and the message names the record.
    """
    edited(folder, 2, at("block", 9))
    assert reference.main([str(folder), "--to", str(tmp_path / "kept")]) == 1
    assert f"{folder}/trials.jsonl, line 2: block is 9" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()


RAW_CHANGES: list[tuple[Any, str]] = [
    (shutil.rmtree, "raw/002-docker is missing"),
    (lambda raw: (raw / "gateway.log").unlink(), "raw/002-docker was altered after trial 2"),
    (lambda raw: (raw / "more.txt").write_text(""), "raw/002-docker was altered after trial 2"),
    (
        lambda raw: (raw / "round-01" / "ab.txt").write_text("other"),
        "raw/002-docker was altered after trial 2: raw_sha256 is ",
    ),
    (
        lambda raw: (raw / "gateway.log").rename(raw / "gatewaz.log"),
        "raw/002-docker was altered after trial 2",
    ),
]


@pytest.mark.parametrize(("change", "words"), RAW_CHANGES)
def test_raw_data_that_are_missing_or_altered_are_named(
    folder: Path,
    sound: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    words: str,
) -> None:
    """
    Such a run is neither kept nor verified.
    """
    change(folder / RAW / "002-docker")
    assert reference.main([str(folder), "--to", str(folder.parent / "kept")]) == 1
    assert f"{folder}: {words}" in capsys.readouterr().err
    assert verify([str(folder), "--reference", str(sound)]) == 2
    assert f"{folder}: {words}" in capsys.readouterr().err


def test_what_a_report_adds_to_the_raw_data_alters_nothing(folder: Path) -> None:
    """
    The histograms of the open loop.
    """
    trials = run.read_run(folder).trials
    (folder / RAW / "002-docker" / "open-050.hlog").write_text("")
    check_raw(folder, trials)
    (folder / RAW / "002-docker" / "gateway.log").write_text("more")
    with pytest.raises(ResultsError, match="altered"):
        check_raw(folder, trials)


DUPLICATES: list[tuple[dict[str, object], str]] = [
    ({}, "trial 1 is in line 1 already"),
    ({"number": 99}, "netns of block 1 is in line 1 already"),
]


@pytest.mark.parametrize(("changes", "words"), DUPLICATES)
def test_a_trial_that_is_there_twice_refuses_the_run(
    folder: Path, changes: dict[str, object], words: str
) -> None:
    """
    Nobody knows which of the two is true.
    """
    path = folder / TRIALS
    first = json.loads(path.read_text().splitlines()[0])
    path.write_text(path.read_text() + json.dumps(first | changes) + "\n")
    with pytest.raises(ResultsError, match=rf"trials\.jsonl, line 17: {words}"):
        run.read_run(folder)


def test_a_record_of_another_schema_refuses_the_run(folder: Path) -> None:
    """
    It is no damage: the whole file is of another version of the project.
    """
    edited(folder, 3, at("schema_version", 6))
    with pytest.raises(ResultsError, match=r"line 3: schema version 6, .* reads 7"):
        run.read_run(folder)


def test_a_file_of_something_else_refuses_the_run(folder: Path) -> None:
    """
    With the first of its faults.
    """
    (folder / TRIALS).write_text("y\n" * (store.MOST_SET_ASIDE + 1))
    with pytest.raises(ResultsError, match=r"more than 100 records are .* line 1: JSON is"):
        run.read_run(folder)


SESSION = {"started_at": 1.7e9, "minutes": 5.0}
CONTRADICTIONS: list[tuple[str, object, str]] = [
    ("schema_version", 6, "schema version 6"),
    ("state", "fine", "state is 'fine', not one of"),
    ("probes", "never", "probes is 'never'"),
    ("margin", 1.5, "margin is 1.5"),
    ("margin", 0, "margin is 0; it is a relative difference above 0 and below 1"),
    ("margin", -0.1, r"margin`, the value is -0\.1"),
    ("rounds", -1, "rounds`, the value is -1"),
    ("comparisons.0.baseline", "podman", "comparisons names 'podman'"),
    ("comparisons.0.role", "main", r"comparisons\[0\]\.role is 'main'"),
    ("ladders.0.steps", ["netns", "podman"], "ladders names 'podman'"),
    ("ladders.0.steps", [], r"ladders\[0\]\.steps has 0 steps, and needs 2"),
    ("wholes.0.ladders", ["none"], r"wholes\[0\]\.ladders has 'none'"),
    ("variants.1.name", "netns", "variants has 'netns' 2 times"),
    ("order.0.0.1", "netns", r"order\[0\]\[0\] has 'netns' 2 times"),
    ("order.0.0.1", "podman", "order names 'podman'"),
    ("sessions", [SESSION | {"state": "fine"}], r"sessions\[0\]\.state is 'fine', not one of"),
    ("sessions", [SESSION | {"after_block": 9}], r"sessions\[0\]\.after_block is 9; .* has 4"),
    ("mine", 1, r"unknown fields \$\.mine"),
]


@pytest.mark.parametrize(("path", "value", "words"), CONTRADICTIONS)
def test_a_manifest_at_fault_refuses_the_run(
    folder: Path, path: str, value: object, words: str
) -> None:
    """
    All records are read by it.
    """
    content = json.loads((folder / MANIFEST).read_text())
    *steps, last = path.split(".")
    inner = content
    for step in steps:
        inner = inner[int(step) if step.isdigit() else step]
    inner[int(last) if last.isdigit() else last] = value
    (folder / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=rf"manifest\.json: .*{words}"):
        run.read_run(folder)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_have_is_not_written(tmp_path: Path, number: float) -> None:
    """
    Nothing of the record, and the message has the field and the value.
    """
    good = trial(1, 1, "netns", 250.0)
    bad = structs.replace(good, phases_s={"load": number})
    with pytest.raises(ResultsError, match=rf"\$\.phases_s\.load = {number}"):
        append_trial(tmp_path, bad)
    with pytest.raises(ResultsError, match=rf"\$\.minutes = {number}"):
        write_manifest(tmp_path, dataclasses.replace(manifest(), minutes=number))
    assert list(tmp_path.iterdir()) == []


def test_too_large_a_file_is_refused_with_the_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Before it is in memory: a file, one line of it, a manifest.
    """
    for name, words in (
        ("LARGEST_FILE_BYTES", "trials.jsonl is too large: a file of records may have 0.005 MB"),
        ("LARGEST_LINE_BYTES", "trials.jsonl is too large: one record may have 0.001 MB"),
        ("LARGEST_MANIFEST_BYTES", "manifest.json is too large: a manifest may have 0.001 MB"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(streams, name, 5000 if "FILE" in name else 1000)
            with pytest.raises(ResultsError, match=words):
                run.read_run(folder)


def test_a_bomb_of_xz_is_refused_with_the_limit(folder: Path) -> None:
    """
    Some kilobytes that would be a hundred times the limit of a record.
    """
    (folder / TRIALS).unlink()
    one = lzma.compress(b" " * streams.LARGEST_LINE_BYTES, preset=0)
    (folder / f"{TRIALS}{COMPRESSED}").write_bytes(one * 100)
    with pytest.raises(ResultsError, match="one record may have 16 MB"):
        run.read_run(folder)


def test_several_streams_of_xz_are_one_file(folder: Path) -> None:
    """
    As the tool itself reads them; one that asks for too much memory is refused.
    """
    before = run.read_run(folder)
    lines = (folder / TRIALS).read_bytes().splitlines(keepends=True)
    (folder / TRIALS).unlink()
    path = folder / f"{TRIALS}{COMPRESSED}"
    path.write_bytes(b"".join(map(lzma.compress, lines)))
    assert run.read_run(folder) == before
    # The header alone asks for the memory.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**27}]
    small = lzma.LZMACompressor(filters=filters)
    path.write_bytes(small.compress(lines[0]) + small.flush())
    with pytest.raises(ResultsError, match=r"cannot read .*trials\.jsonl\.xz: Memory usage limit"):
        run.read_run(folder)


def test_a_pipe_is_refused_without_waiting_for_its_writer(folder: Path) -> None:
    """
    Which may be endless, or never come.
    """
    (folder / TRIALS).unlink()
    os.mkfifo(folder / TRIALS)
    with pytest.raises(ResultsError, match=r"trials\.jsonl is a named pipe, which no run makes"):
        run.read_run(folder)


# --- any field, any value ---

CHANGES = st.randoms(use_true_random=True).map(
    lambda random: lambda text: mutated(text.encode(), random).decode()
)


def ran(command: Callable[[Sequence[str]], int], *arguments: object) -> tuple[int, str]:
    """
    The exit status of a command, and what it printed; any exception is its fault.
    """
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = command([str(each) for each in arguments])
    return status, said.getvalue()


def commands_survive(folder: Path, sound: Path) -> None:
    """
    Report, verify and reference end with a status and words, whatever the run holds.
    """
    with tempfile.TemporaryDirectory() as directory:
        to = Path(directory) / "kept"
        for status, said in (
            ran(report, folder, "--output", Path(directory) / "out.md"),
            ran(verify, folder, "--reference", sound),
            ran(verify, sound, "--reference", folder),
            ran(reference.main, folder, "--to", to),
        ):
            assert status in {0, 1, 2}
            assert said
            assert "impossible value" not in said
            assert "invalid value" not in said


@pytest.fixture(scope="module")
def other(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The run that the examples edit, and another one to compare with.
    """
    folder = tmp_path_factory.mktemp("other") / sound.name
    shutil.copytree(sound, folder)
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(content | {"run": "other", "created_at": 1e9}))
    return folder


ANY_FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=300, deadline=None, suppress_health_check=ANY_FIXTURE)
@given(data=st.data())
def test_no_record_breaks_the_reader(sound: Path, other: Path, data: st.DataObject) -> None:
    """
    Any field may be anything: the record is used, set aside or refused.
    """
    mutate(sound, other, data)
    try:
        found = run.read_run(other)
    except ResultsError:
        return
    assert len(found.trials) + len(found.set_aside) == len(NAMES) * BLOCKS


def mutate(sound: Path, other: Path, data: st.DataObject) -> None:
    """
    Write the sound run's records, of which one is mutated, into another folder.
    """
    lines = (sound / TRIALS).read_text().splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(CHANGES)(lines[number])
    (other / TRIALS).write_text("\n".join([*lines, ""]))


# The examples are the same every time: they are few, because each makes two reports.


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=ANY_FIXTURE)
@given(data=st.data())
def test_no_record_breaks_a_command(sound: Path, other: Path, data: st.DataObject) -> None:
    """
    Report, verify and reference end in words.
    """
    mutate(sound, other, data)
    commands_survive(other, sound)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=ANY_FIXTURE)
@given(data=st.data())
def test_no_manifest_breaks_a_command(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """
    Any field of a manifest may be anything.
    """
    folder = tmp_path_factory.mktemp("manifest") / "run"
    shutil.copytree(sound, folder)
    content = json.loads((folder / MANIFEST).read_text()) | {"run": "other", "created_at": 1e9}
    (folder / MANIFEST).write_text(data.draw(CHANGES)(json.dumps(content)))
    commands_survive(folder, sound)
