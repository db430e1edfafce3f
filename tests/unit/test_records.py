"""
What is stored: nothing is lost, nothing half-written is believed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from experiments.errors import ResultsError
from experiments.records.files import (
    AGREEMENT_LOADS,
    MANIFEST,
    SCHEMA_VERSION,
    SEARCH_TRIALS,
    TRIALS,
    latest_run,
    runs_in,
)
from experiments.records.sessions import run_to_resume
from experiments.records.store import (
    append_agreement,
    append_trial,
    read_agreement,
    read_manifest,
    read_trials,
    write_manifest,
)
from experiments.records.trials import AgreementLoad, OpenLoad
from tests.unit.samples import facts, failed_trial, load, manifest, side_by_side, trial

if TYPE_CHECKING:
    from pathlib import Path


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    """
    Every field, and no partial file left.
    """
    write_manifest(tmp_path, manifest())
    assert read_manifest(tmp_path) == manifest()
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_trials_come_back_in_order(tmp_path: Path) -> None:
    """
    Results and errors alike.
    """
    records = [trial(1, 1, "netns", 250.0), failed_trial(2, 1, "docker")]
    for record in records:
        append_trial(tmp_path, record)
    assert read_trials(tmp_path) == records


def test_all_loads_of_a_trial_come_back(tmp_path: Path) -> None:
    """
    Those of its rounds, the first requests, the load at once, and those by schedule.
    """
    by_schedule = OpenLoad(0.5, 125.0, 1000, 1000, 999, 124.0, 80, "raw/1/open-050.csv")
    record = structs.replace(
        side_by_side(1, 2, "netns", [4000.0, 4100.0], position=3, part=2, non_2xx=1),
        cold=load(200.0),
        at_once=load(250.0),
        open_loads=[by_schedule],
    )
    append_trial(tmp_path, record)
    assert read_trials(tmp_path) == [record]


def test_what_trials_repeat_is_kept_once_and_what_differs_comes_back(tmp_path: Path) -> None:
    """
    The facts of a long run would not fit into memory otherwise.
    """
    same = [structs.replace(trial(number, 1, "netns", 250.0), facts=facts()) for number in (1, 2)]
    other = structs.replace(trial(3, 1, "docker", 200.0), facts=facts(gunicorn=True))
    for record in (*same, other):
        append_trial(tmp_path, record)
    one, two, three = read_trials(tmp_path)
    assert [one, two, three] == [*same, other]
    assert one.facts is two.facts
    assert one.placement is two.placement is three.placement


def test_a_trial_of_before_a_field_was_added_is_read(tmp_path: Path) -> None:
    """
    It has the default.
    """
    record = trial(1, 1, "netns", 250.0)
    append_trial(tmp_path, record)
    path = tmp_path / TRIALS
    for added in ('"facts":null,', '"raw_sha256":"",'):
        whole = path.read_text()
        assert added in whole
        path.write_text(whole.replace(added, ""))
        assert read_trials(tmp_path) == [record]


def test_a_record_without_its_schema_version_is_refused(tmp_path: Path) -> None:
    """
    Nobody can tell what its fields mean.
    """
    append_trial(tmp_path, trial(1, 1, "netns", 250.0))
    path = tmp_path / TRIALS
    path.write_text(path.read_text().replace(f',"schema_version":{SCHEMA_VERSION}', ""))
    with pytest.raises(ResultsError, match=r"line 1: .* required field `schema_version`"):
        read_trials(tmp_path)


def test_a_round_without_a_field_is_an_error_with_its_place(tmp_path: Path) -> None:
    """
    It is looked at as closely as the trial itself.
    """
    append_trial(tmp_path, side_by_side(1, 1, "netns", [4000.0]))
    path = tmp_path / TRIALS
    path.write_text(path.read_text().replace('"turn":1,', ""))
    with pytest.raises(ResultsError, match=r"line 1: .* field `turn` - at `\$.loads\[0\]`"):
        read_trials(tmp_path)


def test_trials_of_another_file_are_no_part_of_the_results(tmp_path: Path) -> None:
    """
    Such as those of a search.
    """
    append_trial(tmp_path, trial(1, 0, "netns", 250.0), SEARCH_TRIALS)
    assert read_trials(tmp_path) == []
    assert [each.number for each in read_trials(tmp_path, SEARCH_TRIALS)] == [1]


def test_the_loads_of_the_agreement_come_back_in_order(tmp_path: Path) -> None:
    """
    None where there are none; one that a crash cut off is left out.
    """
    assert read_agreement(tmp_path) == []
    loads = [
        AgreementLoad(1, "netns", thawed, beside, 250, 250, 1e9, 4000.0)
        for thawed, beside in ((False, 0), (True, 3))
    ]
    for each in loads:
        append_agreement(tmp_path, each)
    assert read_agreement(tmp_path) == loads
    path = tmp_path / AGREEMENT_LOADS
    path.write_text(path.read_text()[:-5])
    assert read_agreement(tmp_path) == loads[:1]


def test_a_run_without_trials_has_none(tmp_path: Path) -> None:
    """
    A run that was interrupted at once is still a run.
    """
    assert read_trials(tmp_path) == []


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    """
    All trials before it are kept.
    """
    append_trial(tmp_path, trial(1, 1, "netns", 250.0))
    append_trial(tmp_path, trial(2, 1, "docker", 200.0))
    path = tmp_path / TRIALS
    path.write_text(path.read_text()[:-40])
    assert [record.number for record in read_trials(tmp_path)] == [1]


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    """
    That is no crash but damage.
    """
    append_trial(tmp_path, trial(1, 1, "netns", 250.0))
    path = tmp_path / TRIALS
    path.write_text("{oops\n" + path.read_text())
    with pytest.raises(ResultsError, match=r"trials\.jsonl, line 1: JSON is malformed"):
        read_trials(tmp_path)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    """
    With both versions; an older one too, whose trials had another meaning.
    """
    for version in (99, SCHEMA_VERSION - 1):
        write_manifest(tmp_path, dataclasses.replace(manifest(), schema_version=version))
        message = f"schema version {version}, and this version of the project reads"
        with pytest.raises(ResultsError, match=message):
            read_manifest(tmp_path)


def test_a_missing_field_and_a_wrong_type_are_named(tmp_path: Path) -> None:
    """
    A record of something else is not taken for one of ours.
    """
    write_manifest(tmp_path, manifest())
    path = tmp_path / MANIFEST
    whole = path.read_text()
    for old, new, message in (
        ('"seed"', '"sead"', "missing required field `seed`"),
        ('"rounds": 1', '"rounds": "one"', r"Expected `int`, got `str` - at `\$.rounds`"),
    ):
        path.write_text(whole.replace(old, new))
        with pytest.raises(ResultsError, match=message):
            read_manifest(tmp_path)


def test_a_field_that_is_not_known_is_named_with_its_place(tmp_path: Path) -> None:
    """
    Of the record itself, and of what is in it.
    """
    append_trial(tmp_path, side_by_side(1, 1, "netns", [4000.0]))
    path = tmp_path / TRIALS
    whole = path.read_text()
    for old, place in (('"turn":', r"\$\.loads\[0\]\.tern"), ('"number":', r"\$\.tern")):
        assert old in whole
        path.write_text(whole.replace(old, f'"tern":1,{old}'))
        with pytest.raises(ResultsError, match=rf"line 1: unknown fields {place}"):
            read_trials(tmp_path)


def test_a_manifest_that_is_no_text_or_has_no_paths_is_an_error_in_words(tmp_path: Path) -> None:
    """
    As a disk or an editor may leave it.
    """
    write_manifest(tmp_path, manifest())
    path = tmp_path / MANIFEST
    whole = path.read_bytes()
    for old, new in ((b"about netns", b"about \xff"), (b'"overlays": []', b'"overlays": [3]')):
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(ResultsError, match=MANIFEST):
            read_manifest(tmp_path)


def test_the_latest_run_is_found_by_its_name(tmp_path: Path) -> None:
    """
    Folders without a manifest are no runs.
    """
    with pytest.raises(ResultsError, match="contains no run yet"):
        latest_run(tmp_path)
    for name in ("20260101T000000Z", "20260102T000000Z"):
        (tmp_path / name).mkdir()
        write_manifest(tmp_path / name, manifest())
    (tmp_path / "20260103T000000Z").mkdir()
    assert latest_run(tmp_path).name == "20260102T000000Z"


def test_a_folder_of_runs_that_cannot_be_read_is_not_taken_for_an_empty_one(
    tmp_path: Path,
) -> None:
    """
    The reason is told, by whatever looks for runs.
    """
    (tmp_path / "file").write_text("")
    assert runs_in(tmp_path / "none") == []
    for look in (latest_run, lambda folder: run_to_resume(folder, "")):
        with pytest.raises(ResultsError, match=r"look for runs in .*/file: Not a directory"):
            look(tmp_path / "file")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """
    A file in the folder's place is as unwritable as can be, for root too.
    """
    (tmp_path / "run").write_text("")
    with pytest.raises(ResultsError, match="cannot be written: Not a directory; a file is"):
        write_manifest(tmp_path / "run", manifest())
    with pytest.raises(ResultsError, match="cannot be written: Not a directory; a file is"):
        append_trial(tmp_path / "run", trial(1, 1, "netns", 250.0))
