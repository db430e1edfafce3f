"""
Builds into the cache: killed at any moment, on a full disk, or beside what an earlier one left.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the marker's reader looks it up
from types import SimpleNamespace
from typing import Any, Self

import pytest

from experiments.errors import HostError
from experiments.lab import cached_build, userland
from experiments.lab.bootstrap import run_step
from experiments.lab.cached_build import CachedBuild, read_marker, remove_leftovers
from experiments.machines import libvirt
from experiments.processes import PROC, interrupt, stops_handled_by

MARKER = "made.json"
PARTS = ("root", "image", "disk")

BUILDER = """
import os, sys
from pathlib import Path
from experiments.lab.cached_build import CachedBuild

cache, kill_at = Path(sys.argv[1]), sys.argv[2]

def at(place):
    if place == kill_at:
        os.kill(os.getpid(), 9)

def part(name):
    folder = made.partial / name
    folder.mkdir()
    (folder / "one").write_text("")
    at(name)
    (folder / "two").write_text("")

with CachedBuild(cache, "userland", "0123", 0, print) as made:
    at("begin")
    for name in ("root", "image", "disk"):
        made.step(name, lambda: part(name))
    os.sync = lambda: at("marker")
    made.finish("made.json", {"kind": "whole", "parts": {}})
at("end")
"""
"""A build in three parts that kills itself at a place."""


@dataclass(frozen=True)
class Whole:
    """
    What stands for a complete build.
    """

    kind: str
    parts: dict[str, int]
    directory: Path


def build(cache: Path, kill_at: str = "") -> int:
    """
    Run the build in a process of its own; its exit status.
    """
    command = [sys.executable, "-c", BUILDER, str(cache), kill_at]
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode


@pytest.mark.parametrize("kill_at", ["begin", *PARTS, "marker", "end"])
def test_a_build_that_is_killed_is_not_found_and_the_next_one_begins_anew(
    tmp_path: Path, kill_at: str
) -> None:
    """
    Wherever it was; nothing of it is left, and nothing of it is used.
    """
    home = tmp_path / "userland"
    assert build(tmp_path, kill_at) == -signal.SIGKILL
    found = read_marker(Whole, home / "0123", MARKER)
    assert (found is not None) == (kill_at == "end")
    if kill_at != "end":
        assert [path.name for path in home.iterdir()] == ["0123.partial"]
        assert build(tmp_path) == 0
    assert [path.name for path in home.iterdir()] == ["0123"]
    assert read_marker(Whole, home / "0123", MARKER) == Whole("whole", {}, home / "0123")
    assert sorted(path.name for path in (home / "0123").iterdir()) == sorted([*PARTS, MARKER])
    for part in PARTS:
        assert sorted(path.name for path in (home / "0123" / part).iterdir()) == ["one", "two"]


def test_what_interrupted_builds_left_goes_although_none_is_built_again(tmp_path: Path) -> None:
    """
    Of every kind, with downloads; complete builds and notes of labs stay.
    """
    for name in ("userland/1.partial/root", "box/2.partial", "wheels/3.partial/scratch"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("userland/1", "wheels/4", "labs/note"):
        (tmp_path / name).mkdir(parents=True)
    remove_leftovers(tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    assert left == ["labs/note", "userland/1", "wheels/4"]


def test_what_a_dying_process_still_writes_is_removed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The processes of a killed build end a moment after it.
    """
    leftover = tmp_path / "userland" / "1.partial"
    leftover.mkdir(parents=True)
    genuine, times = shutil.rmtree, []

    def disturbed(path: Path) -> None:
        times.append(path)
        if len(times) < 3:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        genuine(path)

    monkeypatch.setattr(shutil, "rmtree", disturbed)
    remove_leftovers(tmp_path)
    assert times == [leftover] * 4
    assert not leftover.exists()


def test_a_directory_that_cannot_be_removed_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    And no traceback.
    """

    def refuse(_path: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    (tmp_path / "box" / "1.partial").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", refuse)
    monkeypatch.setattr(cached_build, "REMOVE_TIMEOUT_S", 0)
    with pytest.raises(HostError, match=r"cannot remove .*1\.partial, .*: Operation not permitted"):
        remove_leftovers(tmp_path)


def test_leftovers_do_not_count_against_the_room_for_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    They are removed before the room is looked at.
    """
    leftover = tmp_path / "userland" / "1.partial"
    leftover.mkdir(parents=True)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if leftover.exists() else 10**9)
    )
    with CachedBuild(tmp_path, "userland", "2", 10**9, lambda _: None):
        assert not leftover.exists()


DAMAGED = [
    *("", "{", "[]", "\0", "[" * 10**5, '"parts"', '{"kind": "whole"}'),
    '{"kind": "whole", "parts": {}, "more": 1}',
    '{"kind": 7, "parts": {}}',
    '{"kind": "whole", "parts": []}',
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_build_is_none_and_is_replaced(tmp_path: Path, text: str) -> None:
    """
    As a machine that stopped, or an older version, may have left it.
    """
    directory = tmp_path / "userland" / "0123"
    directory.mkdir(parents=True)
    (directory / MARKER).write_text(text)
    (directory / "stale").write_text("")
    assert read_marker(Whole, directory, MARKER) is None
    assert build(tmp_path) == 0
    assert read_marker(Whole, directory, MARKER) == Whole("whole", {}, directory)
    assert not (directory / "stale").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), HostError("tar failed")])
def test_a_full_disk_ends_a_build_with_the_room_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """
    Also if only a program's own words say so; what was made goes, because it fills the disk.
    """
    usage = SimpleNamespace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    made = CachedBuild(tmp_path, "box", "2", 10**9, lambda _: None)

    def fill() -> None:
        usage.free = 3_000_000
        raise error

    with pytest.raises(HostError) as raised, made:
        made.step("filling the disk", fill)
    words = str(raised.value)
    assert "full" in words or "tar failed" in words
    assert f"{tmp_path}/box had 3 MB free then; free some, or set BRIDGETOLL_CACHE" in words
    assert list((tmp_path / "box").iterdir()) == []


def test_another_failure_of_a_build_is_told_as_it_is(tmp_path: Path) -> None:
    """
    Without a word on the disk.
    """

    def fail() -> None:
        msg = "a mirror is gone"
        raise HostError(msg)

    made = CachedBuild(tmp_path, "box", "2", 0, lambda _: None)
    with pytest.raises(HostError, match=r"^a mirror is gone$"), made:
        made.step("asking a mirror", fail)
    assert list((tmp_path / "box").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="builds need root")
def test_the_processes_of_a_build_step_end_with_a_build_that_is_killed(tmp_path: Path) -> None:
    """
    Else they would write on into what the next build removes.
    """
    mark = f"sleep 1000 {tmp_path}"
    step = ["bash", "-c", f"exec -a '{mark}' sleep 1000"]
    code = f"from experiments.lab.bootstrap import run_step; run_step({step!r}, 'it')"
    with subprocess.Popen([sys.executable, "-c", code]) as builder:
        while not running(mark):
            assert builder.poll() is None
        builder.kill()
    deadline = time.monotonic() + 60
    while running(mark):
        assert time.monotonic() < deadline


def running(mark: str) -> bool:
    """
    Whether a process of this name is there.
    """
    for path in PROC.glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(mark.encode()):
                return True
        except OSError:
            continue
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="builds need root")
def test_a_failed_step_says_what_was_run_and_its_last_words(tmp_path: Path) -> None:
    """
    With the program's own name, and with the settings that it had.
    """
    script = 'echo "no room in $PLACE" >&2; exit 3'
    with pytest.raises(
        HostError, match=rf"was built, sh failed with status 3: no room in {tmp_path}"
    ):
        run_step(["sh", "-c", script], "the userland", f"PLACE={tmp_path}")


def test_the_lab_that_makes_the_image_holds_the_lock_of_its_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the build is killed, its lab writes for another moment.
    """
    held: list[Any] = []

    class StubLab:
        def __init__(self, *, kept_open: list[int], **_more: object) -> None:
            held.extend(kept_open)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None:
            pass

        def wait(self, _limit_s: float) -> int:
            return 0

    monkeypatch.setattr(userland, "Lab", StubLab)
    userland.make_image(tmp_path, tmp_path, tmp_path, [7])
    assert held == [7]

    def never_ends(_lab: StubLab, limit_s: float) -> int:
        raise subprocess.TimeoutExpired([], limit_s)

    monkeypatch.setattr(StubLab, "wait", never_ends)
    with pytest.raises(HostError, match="the Docker image did not end within 1800 s; try again"):
        userland.make_image(tmp_path, tmp_path, tmp_path, [7])


def test_a_build_has_the_same_modes_whatever_the_caller_keeps_private(tmp_path: Path) -> None:
    """
    Its folders are part of the box, and its programs inherit the mask.
    """
    before = os.umask(0o077)
    try:
        with CachedBuild(tmp_path, "userland", "2", 0, lambda _: None) as made:
            (made.partial / "root").mkdir()
        private = os.umask(0o077)
    finally:
        os.umask(before)
    assert private == 0o077
    for folder in (made.partial, made.scratch, made.partial / "root"):
        assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["a:b", 'a"b'])
def test_a_path_in_which_apt_cannot_build_is_refused(tmp_path: Path, name: str) -> None:
    """
    Its own words would be of missing keys.
    """
    with pytest.raises(HostError, match=rf"cannot build in .*/{name}, because .* BRIDGETOLL_CACHE"):
        CachedBuild(tmp_path / name, "box", "2", 0, lambda _: None).__enter__()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="builds need root")
def test_a_failed_download_is_told_with_what_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Another Debian mirror would not help pip.
    """
    pip = tmp_path / "python"
    pip.write_text("#!/bin/sh\necho 'cannot connect to proxy' >&2\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(HostError, match=r"(?s)cannot connect to proxy.*PIP_INDEX_URL") as raised:
        userland.fetch_wheels(tmp_path / "wheels")
    assert "--mirror" not in str(raised.value)


def test_an_image_that_was_being_copied_goes_with_the_vm(tmp_path: Path) -> None:
    """
    Else the pool's folder would not be empty, and would be refused as somebody else's.
    """
    image = tmp_path / "box.img"
    image.write_text("")
    image.with_suffix(".partial").write_text("")
    (tmp_path / "mine").write_text("")
    libvirt.remove_image(image)
    libvirt.remove_image(image)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_stop_while_a_failed_build_is_removed_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A tree of a system takes seconds to remove.
    """

    def stopped(directory: Path) -> None:
        if directory.exists():
            signal.raise_signal(signal.SIGTERM)
            shutil.rmtree(directory)

    monkeypatch.setattr("experiments.lab.cached_build.remove", stopped)
    made = CachedBuild(tmp_path, "box", "2", 0, lambda _: None)
    msg = "a step failed"
    with stops_handled_by(interrupt), pytest.raises(HostError, match=msg), made:
        raise HostError(msg)
    assert not list((tmp_path / "box").iterdir())
