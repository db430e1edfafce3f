"""
The reference: a run that is kept, small, whole, and the same report again from it.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from analysis.__main__ import main as report
from analysis.folders import PAGE_SUFFIX, REFERENCE, REPORT, RESULTS, TRIALS_CSV, VERDICTS
from analysis.reference import MOST_BYTES, RAW_ARCHIVE, archive, bytes_of, keep, main
from experiments.declare.workloads import choose_workload
from experiments.errors import ResultsError
from experiments.load import LoadPlan
from experiments.load.ab import (
    PERCENTILES_FILE,
    REQUESTS_FILE,
    TEXT_FILE,
    ApacheBench,
    result_of,
)
from experiments.load.ab_output import parse, parse_percentiles
from experiments.load.merged import merged
from experiments.records.files import (
    AGREEMENT_LOADS,
    ASIDE,
    COMPRESSED,
    MANIFEST,
    RAW,
    SEARCH_TRIALS,
    TRIALS,
)
from experiments.records.manifest import Session
from experiments.records.store import (
    append_agreement,
    append_trial,
    read_agreement,
    read_manifest,
    read_trials,
    write_manifest,
)
from experiments.records.trials import AgreementLoad, OpenLoad
from tests.unit.samples import manifest, stored, trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from experiments.records.trials import LoadResult

COMMITTED = RESULTS / REFERENCE
PAGE = Path(REPORT).with_suffix(PAGE_SUFFIX).name
MADE = {REPORT, PAGE, TRIALS_CSV, VERDICTS}


def a_run(results: Path, state: str = "complete", open_loads: Sequence[OpenLoad] = ()) -> Path:
    """
    A small run on the disk, with what ab printed.
    """
    run = results / "20260101T000000Z"
    trials = []
    for number in range(1, 7):
        name = ("netns", "docker")[number % 2]
        record = trial(number, (number + 1) // 2, name, 200 + 10 * number)
        trials.append(structs.replace(record, open_loads=list(open_loads)))
        folder = run / RAW / f"{number:03d}-{name}"
        folder.mkdir(parents=True)
        (folder / "ab.txt").write_text(f"what ab printed in trial {number}\n")
    stored(run, manifest(state), trials)
    append_trial(run, trial(1, 0, "docker", 100), SEARCH_TRIALS)
    load = AgreementLoad(
        repetition=1,
        variant="docker",
        thawed=True,
        beside=3,
        requests=250,
        requests_ok=250,
        started_at=1e9,
        us_per_request=4000.0,
    )
    append_agreement(run, load)
    return run


def files(folder: Path) -> dict[str, bytes]:
    """
    All files below a folder, by their paths in it.
    """
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def made_of(names: Iterable[str]) -> set[str]:
    """
    What of a folder is made from its records, and can be made again.
    """
    return MADE | {name for name in names if name.startswith("figures/")}


def test_a_kept_run_has_the_report_that_it_had(tmp_path: Path) -> None:
    """
    Figures and tables too; from compressed records, whose trials are the same.
    """
    run = a_run(tmp_path)
    assert report([str(run)]) == 0
    kept = keep(run, tmp_path / REFERENCE)
    assert read_trials(kept) == read_trials(run)
    assert read_trials(kept, SEARCH_TRIALS) == read_trials(run, SEARCH_TRIALS)
    assert read_agreement(kept) == read_agreement(run)
    before, after = files(run), files(kept)
    made = made_of(before)
    assert len(made) > len(MADE)
    assert {name: after[name] for name in made} == {name: before[name] for name in made}
    assert set(after) == made | {
        *(MANIFEST, RAW_ARCHIVE),
        *(f"{name}{COMPRESSED}" for name in (TRIALS, SEARCH_TRIALS, AGREEMENT_LOADS)),
    }


def test_its_raw_data_are_all_in_one_archive(tmp_path: Path) -> None:
    """
    The same files give the same archive, whoever owns them and however old they are.
    """
    run = a_run(tmp_path)
    kept = keep(run, tmp_path / REFERENCE)
    with tarfile.open(kept / RAW_ARCHIVE) as tar:
        held = {each.name.removeprefix(f"{RAW}/"): tar.extractfile(each) for each in tar}
        unpacked = {name: file.read() for name, file in held.items() if file}
    assert unpacked == files(run / RAW)
    first = archive(run)
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / RAW / "001-docker" / "ab.txt").touch()
    assert archive(tmp_path / "copy") == first


def test_keeping_another_run_replaces_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Nothing of it is left, nor of the way there.
    """
    reference = tmp_path / REFERENCE
    reference.mkdir()
    for name in ("of-the-first", RAW_ARCHIVE):
        (reference / name).write_text("")
    assert main([str(a_run(tmp_path)), "--to", str(reference)]) == 0
    assert "kept: " in capsys.readouterr().out
    assert not (reference / "of-the-first").exists()
    assert (reference / REPORT).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20260101T000000Z", REFERENCE]


@pytest.mark.parametrize(
    ("state", "open_loads", "why"),
    [
        ("interrupted", [], "is interrupted; only a complete run can be a reference"),
        (
            "complete",
            [OpenLoad(0.3, 9.0, 9, 9, 9, 9.0, 1, "raw/001-docker/open.csv")],
            "was loaded by schedule",
        ),
    ],
)
def test_what_cannot_be_a_reference_replaces_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    state: str,
    open_loads: list[OpenLoad],
    why: str,
) -> None:
    """
    And the message says why.
    """
    run = a_run(tmp_path, state, open_loads)
    reference = tmp_path / REFERENCE
    reference.mkdir()
    (reference / RAW_ARCHIVE).write_text("")
    assert main([str(run), "--to", str(reference)]) == 1
    assert why in capsys.readouterr().err
    assert [path.name for path in reference.iterdir()] == [RAW_ARCHIVE]
    assert sorted(path.name for path in tmp_path.iterdir()) == [run.name, REFERENCE]


def test_a_folder_with_something_else_in_it_is_not_replaced(tmp_path: Path) -> None:
    """
    Least of all the one that the runs are in.
    """
    run = a_run(tmp_path)
    with pytest.raises(ResultsError, match="holds something else than a kept run"):
        keep(run, tmp_path)
    assert (run / MANIFEST).exists()


def test_a_run_that_is_too_large_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With what it would take, and nothing half-made beside it.
    """
    monkeypatch.setattr("analysis.reference.MOST_BYTES", 1000)
    with pytest.raises(ResultsError, match=r"would take 0\.\d MB"):
        keep(a_run(tmp_path), tmp_path / REFERENCE)
    assert [path.name for path in tmp_path.iterdir()] == ["20260101T000000Z"]


def test_a_run_without_its_raw_data_is_not_kept(tmp_path: Path) -> None:
    """
    Nor one that is kept already.
    """
    run = a_run(tmp_path)
    kept = keep(run, tmp_path / REFERENCE)
    with pytest.raises(ResultsError, match="is kept already"):
        keep(kept, kept)
    shutil.rmtree(run / RAW)
    with pytest.raises(ResultsError, match="not as a run left it"):
        keep(run, tmp_path / REFERENCE)


def test_a_compressed_record_that_is_broken_is_an_error_that_names_it(tmp_path: Path) -> None:
    """
    Cut short, or no xz at all.
    """
    kept = keep(a_run(tmp_path), tmp_path / REFERENCE)
    path = kept / f"{TRIALS}{COMPRESSED}"
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"no xz"):
        path.write_bytes(broken)
        with pytest.raises(ResultsError, match=r"cannot read .*trials\.jsonl\.xz"):
            read_trials(kept)


# --- the one that is committed ---


def test_the_committed_report_is_made_again_to_the_byte(tmp_path: Path) -> None:
    """
    Every figure and table with it, from nothing but the records.
    """
    committed = files(COMMITTED)
    made = made_of(committed)
    copy = tmp_path / "copy"
    for name in committed.keys() - made:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(committed[name])
    assert report([str(copy)]) == 0
    again = files(copy)
    assert again.keys() == committed.keys()
    assert [name for name in sorted(made) if again[name] != committed[name]] == []


def test_the_committed_run_is_what_a_reference_must_be() -> None:
    """
    Complete, of an unchanged checkout, of all groups, small, and with a calibration.
    """
    found = read_manifest(COMMITTED)
    assert found.state == "complete"
    assert found.git is not None
    assert not found.git.changed
    assert found.profile in {"standard", "full"}
    measured = {record.variant for record in read_trials(COMMITTED) if record.load}
    assert {
        *("netns", "netns-as-published", "docker", "docker-as-published"),
        *("docker-host", "docker-gunicorn", "docker-all", "docker-tuned", "docker-cpus-0.25"),
        *("bare", "container-published", "container-names", "container-log-json-file"),
        *("inject-0", "burn-500", "sleep-500"),
    } <= measured
    assert bytes_of(COMMITTED) < MOST_BYTES


def test_the_committed_records_say_what_ab_printed(tmp_path: Path) -> None:
    """
    Every load of every trial, read again from the raw data; and the loads of its rounds as one.
    """
    raw = unpacked(COMMITTED / RAW_ARCHIVE)
    asked = read_manifest(COMMITTED)
    workload = choose_workload(asked.workload.name)

    def reread(folder: str, requests: int) -> LoadResult:
        plan = LoadPlan("", workload, requests, min(asked.concurrency, requests), 0)
        percentiles = parse_percentiles(raw[f"{folder}/{PERCENTILES_FILE}"].decode())
        text = raw[f"{folder}/{TEXT_FILE}"].decode(errors="replace")
        return result_of(parse(text), percentiles, plan, [])

    def times_in(folder: str) -> Mapping[int, int]:
        (tmp_path / REQUESTS_FILE).write_bytes(raw[f"{folder}/{REQUESTS_FILE}"])
        return ApacheBench().times_ms(tmp_path)

    loads, unlike = 0, []
    for record in read_trials(COMMITTED):
        folder = f"{RAW}/{record.number:03d}-{record.variant}"
        for name, load in (("cold", record.cold), ("at-once", record.at_once)):
            if load is not None:
                loads += 1
                if as_stored(reread(f"{folder}/{name}", load.requests)) != as_stored(load):
                    unlike.append(f"{folder}/{name}")
        if record.load is None:
            continue
        names = [f"{folder}/round-{each.round:02}" for each in record.loads]
        found = [reread(each, asked.requests) for each in names]
        loads += len(found)
        unlike += [
            name
            for name, again, each in zip(names, found, record.loads, strict=True)
            if 1e6 / again.requests_per_second != each.us_per_request
            or again.requests_ok != each.requests_ok
        ]
        if as_stored(merged(found, list(map(times_in, names)))) != as_stored(record.load):
            unlike.append(folder)
    assert loads > 1000
    assert unlike == []


def unpacked(path: Path) -> dict[str, bytes]:
    """
    All files of a compressed archive by their names; on a disk so many would take longer.
    """
    with lzma.open(path) as stream, tarfile.open(fileobj=stream) as tar:
        return {
            member.name: content.read()
            for member in tar
            if (content := tar.extractfile(member)) is not None
        }


def as_stored(load: LoadResult) -> dict[str, Any]:
    """
    A load as it is on the disk, without the command, which ab does not print.

    Numbers have twelve digits, because interpreters differ in how exactly they add up.
    """
    content = msgspec.json.encode(structs.replace(load, command=[]))
    found: dict[str, Any] = json.loads(
        content, parse_float=lambda text: float(f"{float(text):.12g}")
    )
    return found


def test_a_run_that_was_resumed_may_be_a_reference(tmp_path: Path) -> None:
    """
    What was set aside is no part of it; its report says that it was resumed.
    """
    run = a_run(tmp_path)
    one = Session(1.7e9, 5.0, finished_at=1.7e9 + 60, state="interrupted")
    two = Session(1.7e9 + 90, 4.0, after_block=2, finished_at=1.7e9 + 120, state="complete")
    write_manifest(run, dataclasses.replace(read_manifest(run), sessions=[one, two]))
    aside = run / ASIDE / "1"
    (aside / RAW / "005-docker").mkdir(parents=True)
    append_trial(aside, trial(5, 3, "docker", 100))
    kept = keep(run, tmp_path / REFERENCE)
    assert not (kept / ASIDE).exists()
    assert read_manifest(kept).sessions == [one, two]
    assert "**This run was resumed** after block 2" in (kept / REPORT).read_text()
