"""
The command that makes a report: what it writes, what it says, and what it refuses.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from typing import TYPE_CHECKING

from analysis.__main__ import main
from analysis.folders import PAGE_SUFFIX, REPORT, TRIALS_CSV, VERDICTS
from experiments.records.manifest import Session
from tests.unit.samples import manifest, stored
from tests.unit.topics.samples import pair_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from experiments.records.manifest import Manifest


def a_run(results: Path, made: Manifest | None = None) -> Path:
    """
    A run of three blocks on the disk.
    """
    run = results / "20260101T000000Z"
    stored(run, made or manifest(), pair_of([1.19, 1.2, 1.21]))
    return run


def test_a_full_disk_is_told_with_the_user_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The system names no file when a write fails.
    """

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = a_run(tmp_path)
    monkeypatch.setattr("analysis.__main__.write", full)
    assert main([str(run)]) == 1
    assert f"error: {run} cannot be written: No space left on device" in capsys.readouterr().err


def test_the_same_folder_gives_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Report, page, tables, verdicts and figures; the command says the verdicts and where both are.
    """
    run = a_run(tmp_path)
    assert main(["--results", str(tmp_path)]) == 0

    def written() -> dict[str, bytes]:
        files = [path for path in run.rglob("*") if path.is_file()]
        return {str(path.relative_to(run)): path.read_bytes() for path in files}

    first = written()
    figures = {"figures/comparisons.svg", "figures/comparisons.csv"}
    assert {REPORT, TRIALS_CSV, VERDICTS, *figures} <= set(first)
    assert main([str(run)]) == 0
    assert written() == first
    text = first[REPORT].decode()
    for figure in run.glob("figures/*.svg"):
        assert f"](figures/{figure.name})" in text
        assert f"](figures/{figure.stem}.csv)" in text
    page = (run / REPORT).with_suffix(PAGE_SUFFIX)
    assert first[page.name].count(b"<img ") == len(list(run.glob("figures/*.svg")))
    said = capsys.readouterr().out
    assert "- **matched** (docker against netns): slower" in said
    assert f"report: {run / REPORT}\n" in said
    assert f"{page}\n" in said


def test_a_report_may_be_put_elsewhere(tmp_path: Path) -> None:
    """
    With its figures and its verdicts beside it, named after it; what lies there already stays.
    """
    elsewhere = tmp_path / "mine"
    (elsewhere / "figures").mkdir(parents=True)
    (elsewhere / "figures" / "ladder.svg").write_text("mine")
    run = a_run(tmp_path)
    assert main([str(run), "--output", str(elsewhere / "out.md")]) == 0
    assert (elsewhere / "out.md").is_file()
    assert json.loads((elsewhere / f"out-{VERDICTS}").read_text())["run"] == run.name
    assert (elsewhere / "figures" / "ladder.svg").read_text() == "mine"
    assert not (run / REPORT).exists()


def test_the_page_cannot_take_the_place_of_the_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Whoever asks for HTML is told which name to give, and nothing is written.
    """
    run = a_run(tmp_path)
    assert main([str(run), "--output", str(tmp_path / "mine.html")]) == 1
    assert ".md" in capsys.readouterr().err
    assert not list(tmp_path.glob("mine.*"))
    assert main([str(run), "--output", str(tmp_path)]) == 1
    assert f"--output names a file, and {tmp_path} is a folder" in capsys.readouterr().err
    assert main([str(run), "--output", str(tmp_path / "mine.md")]) == 0
    assert sorted(path.name for path in tmp_path.glob("mine.*")) == ["mine.html", "mine.md"]


def test_a_folder_without_a_run_is_an_error_with_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Status 1, and the command that makes a run.
    """
    assert main(["--results", str(tmp_path)]) == 1
    assert "`nox -s netns docker`" in capsys.readouterr().err


def test_a_manifest_that_contradicts_itself_is_an_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Whoever edited it learns which run it was, and which variant is missing.
    """
    run = a_run(tmp_path, dataclasses.replace(manifest(), variants=manifest().variants[:1]))
    assert main([str(run)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert run.name in line
    assert "'docker'" in line


def test_a_report_that_cannot_be_written_is_an_error_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    And no traceback.
    """
    output = tmp_path / "nowhere" / "out.md"
    assert main([str(a_run(tmp_path)), "--output", str(output)]) == 1
    assert f"{output} cannot be written" in capsys.readouterr().err


def test_the_last_words_about_a_run_that_did_not_end_say_how_to_resume_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A killed run still says that it is running; several runs are not resumed together.
    """
    session = Session(1.7e9, 5.0, owner="1:1")
    run = a_run(tmp_path, dataclasses.replace(manifest("running"), sessions=[session]))
    assert main([str(run)]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"the run was killed; `nox -s measure -- --resume {run}` continues it"
