"""
A full disk on the host, a real ext4: the reason is told, and what was there stays whole.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from analysis.__main__ import main as report
from experiments.commands import output_of
from experiments.errors import HostError
from experiments.records.files import latest_run
from experiments.records.store import checked_trials, read_manifest
from tests.lab.test_runs import TINY, finish, measure
from tests.unit.samples import manifest, stored
from tests.unit.topics.samples import pair_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DISK_BYTES = 32 * 2**20
FILLER = "filler"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """
    An ext4 of 32 MB, without room that only root may fill.
    """
    image, mounted = tmp_path / "image", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    mounted.mkdir()
    run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    run("mount", "-o", "loop", str(image), str(mounted))
    yield mounted
    run("umount", str(mounted))


def run(*command: str) -> None:
    """
    Run a command that succeeds.
    """
    output_of(command, limit_s=60, error=HostError)


def fill(disk: Path, left_bytes: int = 0) -> None:
    """
    Leave only so many bytes free.
    """
    with (disk / FILLER).open("wb", buffering=0) as file:
        piece = bytes(4096)
        while os.statvfs(disk).f_bavail * 4096 > left_bytes:
            try:
                file.write(piece)
            except OSError:
                return
    os.sync()


def test_a_report_that_does_not_fit_leaves_the_one_before(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    With all of its files; the error has the free space, and the next report is whole.
    """
    made = disk / "20260101T000000Z"
    stored(made, manifest(), pair_of([1.19, 1.2, 1.21]))
    assert report([str(made)]) == 0
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    capsys.readouterr()
    fill(disk)
    assert report([str(made)]) == 1
    said = capsys.readouterr().err
    assert "cannot be written: No space left on device" in said
    assert f"{made} has 0.0 MB free; free some, then repeat the command" in said
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    (disk / FILLER).unlink()
    assert report([str(made)]) == 0


@pytest.mark.usefixtures("built")
def test_a_run_that_cannot_begin_leaves_nothing(disk: Path) -> None:
    """
    It says so at once, with the free space and the next step.
    """
    (disk / "results").mkdir()
    fill(disk)
    process = measure("--results", str(disk / "results"), *TINY, "--variants", "netns")
    text = finish(process)
    assert process.returncode == 1
    assert f"{disk}/results/" in text
    assert "has 0.0 MB free; free some, then repeat the command" in text
    assert "Traceback" not in text
    assert list((disk / "results").iterdir()) == []


@pytest.mark.usefixtures("built")
def test_a_run_that_fills_the_disk_keeps_what_it_has(disk: Path) -> None:
    """
    Manifest and records are whole, and there is a report as soon as there is room.
    """
    (disk / "results").mkdir()
    fill(disk, 400_000)
    process = measure(
        *("--results", str(disk / "results"), *TINY),
        *("--blocks", "60", "--variants", "netns"),
    )
    text = finish(process, 300)
    assert process.returncode != 0
    assert "No space left on device" in text
    assert "free some" in text
    assert "Traceback" not in text
    made = latest_run(disk / "results")
    planned = read_manifest(made)
    trials, faulty = checked_trials(made, planned)
    assert trials
    assert faulty == []
    assert not list(made.glob("*.partial"))
    (disk / FILLER).unlink()
    assert report([str(made)]) == 0
