"""
A run's folder: whatever the lab made in it, the host goes nowhere else and waits for nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analysis.__main__ import main as report
from analysis.folders import PAGE_SUFFIX, REPORT, TRIALS_CSV, VERDICTS
from analysis.reference import archive
from experiments.errors import ResultsError
from experiments.records import folder
from experiments.records.files import MANIFEST, RAW, TRIALS
from experiments.records.folder import append, claim, files, opened, remove, unwritable, write
from experiments.records.raw import raw_digest
from experiments.records.store import append_trial, read_manifest, write_manifest
from tests.unit.samples import manifest, stored, trial
from tests.unit.topics.samples import pair_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Made = Callable[[Path, Path], None]

NAME = "raw/001-netns/ab.txt"
CONTENT = "what only root may read"


def link(path: Path, outside: Path) -> None:
    """
    A symbolic link to a file outside.
    """
    path.symlink_to(outside / "secret")


def dangling_link(path: Path, outside: Path) -> None:
    """
    A symbolic link to a file that whoever writes through it would make.
    """
    path.symlink_to(outside / "new")


def hard_link(path: Path, outside: Path) -> None:
    """
    A second name of a file outside.
    """
    path.hardlink_to(outside / "secret")


def pipe(path: Path, _outside: Path) -> None:
    """
    A pipe without anybody at its other end.
    """
    os.mkfifo(path)


def a_socket(path: Path, _outside: Path) -> None:
    """
    A socket, bound by a short name.
    """
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{os.open(path.parent, os.O_RDONLY)}/{path.name}")


def device(path: Path, _outside: Path) -> None:
    """
    A device of the host, by its number.
    """
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def directory(path: Path, _outside: Path) -> None:
    """
    A folder where a file should be.
    """
    path.mkdir()


HOSTILE: dict[Made, str] = {
    link: "is a symbolic link",
    dangling_link: "is a symbolic link",
    hard_link: "is a file with several names",
    pipe: "is a named pipe",
    a_socket: "is a socket",
    device: "is a device",
    directory: "is a folder",
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """
    A folder beside the run with a file that no reader or writer of a run may reach.
    """
    made = tmp_path / "outside"
    made.mkdir()
    (made / "secret").write_text(CONTENT)
    return made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """
    A run with a folder for raw data.
    """
    made = tmp_path / "run"
    (made / NAME).parent.mkdir(parents=True)
    return made


def untouched(outside: Path) -> bool:
    """
    Whether nothing outside was written, made, given away or removed.
    """
    secret = outside / "secret"
    names = [path.name for path in outside.iterdir()]
    return names == ["secret"] and secret.read_text() == CONTENT


@pytest.mark.parametrize("make", HOSTILE)
def test_what_no_run_makes_is_not_read(run: Path, outside: Path, make: Made) -> None:
    """
    Neither its content nor what it leads to; the error names it.
    """
    make(run / NAME, outside)
    words = rf"run/{NAME} {HOSTILE[make]}, which no run makes"
    with pytest.raises(ResultsError, match=words):
        opened(run, NAME)
    if make is not directory:
        for listing in (files, raw_digest):
            with pytest.raises(ResultsError, match=words):
                listing(run, RAW)
        with pytest.raises(ResultsError, match=words):
            archive(run)


@pytest.mark.parametrize("make", HOSTILE)
def test_what_no_run_makes_is_replaced_and_not_written_to(
    run: Path, outside: Path, make: Made
) -> None:
    """
    Also if it is there under the name that the file has before it is complete.
    """
    make(run / NAME, outside)
    make(run / f"{NAME}.partial", outside)
    if make is directory:
        with pytest.raises(ResultsError, match=r"ab\.txt\.partial is a folder"):
            write(run, NAME, b"new")
        (run / f"{NAME}.partial").rmdir()
        with pytest.raises(ResultsError, match=r"ab\.txt is a folder"):
            write(run, NAME, b"new")
        assert [path.name for path in (run / NAME).parent.iterdir()] == ["ab.txt"]
    else:
        write(run, NAME, b"new")
        with opened(run, NAME) as file:
            assert file.read() == b"new"
        assert files(run) == [NAME]
    assert untouched(outside)


@pytest.mark.parametrize("make", HOSTILE)
def test_nothing_is_appended_to_what_no_run_makes(run: Path, outside: Path, make: Made) -> None:
    """
    A record goes into a file, or nowhere.
    """
    make(run / NAME, outside)
    with pytest.raises(ResultsError, match=rf"{NAME} {HOSTILE[make]}"):
        append(run, NAME, b"new")
    assert untouched(outside)


@pytest.mark.parametrize("make", HOSTILE)
def test_removing_takes_the_name_and_not_what_it_leads_to(
    run: Path, outside: Path, make: Made
) -> None:
    """
    Except a folder, which is refused.
    """
    make(run / NAME, outside)
    if make is directory:
        with pytest.raises(ResultsError, match=r"ab\.txt is a folder"):
            remove(run, NAME)
    else:
        remove(run, NAME)
        assert list((run / NAME).parent.iterdir()) == []
    remove(run, "raw/none")
    assert untouched(outside)


@pytest.mark.parametrize("make", [link, dangling_link, pipe, a_socket, device])
@pytest.mark.parametrize("act", [opened, write, append, remove, files, raw_digest])
def test_no_folder_on_the_way_is_another_thing(
    run: Path, outside: Path, act: Callable[..., object], make: Made
) -> None:
    """
    A link to a folder is no folder of a run.
    """
    (run / NAME).parent.rmdir()
    make(run / "raw/001-netns", outside)
    if make is link:
        (run / "raw/001-netns").unlink()
        (run / "raw/001-netns").symlink_to(outside)
    more = [b"new"] if act in {write, append} else []
    name = "raw/001-netns/secret"
    words = f"raw/001-netns {HOSTILE[make]} where a folder should be"
    with pytest.raises(ResultsError, match=words):
        act(run, name, *more)
    assert untouched(outside)


@pytest.mark.parametrize("name", ["../outside/secret", "raw/../../outside/secret", "/etc/passwd"])
def test_no_name_leads_out_of_a_run(run: Path, outside: Path, name: str) -> None:
    """
    Whatever a record says.
    """
    for act in (opened, remove, files):
        with pytest.raises(ResultsError, match="lies outside of the run"):
            act(run, name)
    with pytest.raises(ResultsError, match="lies outside of the run"):
        write(run, name, b"new")
    assert untouched(outside)


def test_a_link_that_takes_the_place_of_a_file_just_then_is_not_followed(
    run: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Between the look and the opening.
    """
    (run / NAME).write_text("")
    genuine = os.stat

    def slow(*arguments: Any, **more: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat
        seen = genuine(*arguments, **more)
        (run / NAME).unlink()
        link(run / NAME, outside)
        return seen

    monkeypatch.setattr(os, "stat", slow)
    with pytest.raises(OSError, match="symbolic links") as raised:
        opened(run, NAME)
    assert raised.value.errno == errno.ELOOP
    (run / NAME).unlink()
    (run / NAME).touch()
    with pytest.raises(OSError, match="symbolic links"):
        append(run, NAME, b"new")
    monkeypatch.undo()
    assert untouched(outside)


def test_a_huge_file_is_refused_although_it_takes_no_room(run: Path) -> None:
    """
    A terabyte of holes would be read for hours.
    """
    with (run / NAME).open("wb") as file:
        file.truncate(10**12)
    for act in (opened, files, raw_digest):
        with pytest.raises(ResultsError, match=r"ab\.txt is larger than 500 MB"):
            act(run, NAME if act is opened else RAW)


@pytest.mark.parametrize("name", [b"two\nlines", b"\xff\xfe", b"\x1b[2J"])
def test_a_name_that_cannot_be_printed_is_refused_in_printable_words(
    run: Path, name: bytes
) -> None:
    """
    It could write another line into a terminal, or stop whoever prints it.
    """
    (run / os.fsdecode(name)).write_text("")
    with pytest.raises(ResultsError, match="has a name that no run gives") as raised:
        files(run)
    assert str(raised.value).isprintable()
    str(raised.value).encode()


def test_folders_without_end_are_refused(run: Path) -> None:
    """
    Each open folder takes a file descriptor.
    """
    deep = run.joinpath(*["x"] * 40)
    deep.mkdir(parents=True)
    with pytest.raises(ResultsError, match="lies deeper than any folder of a run"):
        files(run)
    write(run, "raw/a/b/c/d", b"")
    assert "raw/a/b/c/d" in files(run, RAW)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_user_gets_the_run_without_anything_of_the_lab_s_making(
    run: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    No link is followed, no device is given away, and no program keeps the rights of its owner.
    """
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    for make in HOSTILE:
        make(run / make.__name__, outside)
    (run / "to-a-folder").symlink_to(outside)
    (run / NAME).write_text("")
    (run / NAME).chmod(0o6777)
    run.chmod(0o1777)
    (run / "raw/001-netns").chmod(0)
    deep = run.joinpath(*["x"] * 40)
    deep.mkdir(parents=True)
    said = claim(run)
    removed = [make.__name__ for make in HOSTILE if make is not directory] + ["to-a-folder"]
    for name in removed:
        assert any(f"run/{name} is a" in words and "removed" in words for words in said)
    assert any("lies deeper" in words for words in said)
    assert len(said) == len(removed) + 1
    for name in ("", "raw", "raw/001-netns", NAME, "directory"):
        found = (run / name).stat()
        assert (found.st_uid, found.st_gid) == (1234, 1235)
        assert found.st_mode & 0o7022 == 0
    assert untouched(outside)
    for path in (outside, outside / "secret"):
        assert path.stat().st_uid == 0
    assert claim(outside / "none") == [
        f"{outside}/none cannot be taken over: No such file or directory"
    ]
    write(run, "figures/new", b"")
    for name in ("figures", "figures/new"):
        assert (run / name).stat().st_uid == 1234


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_was_there_before_a_run_keeps_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Under sudo only new folders are given to the user: --results may name a folder of the system.
    """
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    (tmp_path / "system").mkdir()
    folder.make_folder(tmp_path / "system/results/run")
    owners = [(tmp_path / name).stat().st_uid for name in ("system", "system/results")]
    assert owners == [0, 1234]
    assert (tmp_path / "system/results/run").stat().st_uid == 1234


@pytest.mark.parametrize("make", [link, dangling_link, hard_link, pipe, a_socket, device])
def test_a_report_overwrites_nothing_outside(tmp_path: Path, outside: Path, make: Made) -> None:
    """
    Whatever the lab left under the names of what a report writes, and of the manifest.
    """
    run = tmp_path / "20260101T000000Z"
    stored(run, manifest(), pair_of([1.19, 1.2, 1.21]))
    page = Path(REPORT).with_suffix(PAGE_SUFFIX).name
    (run / "figures").mkdir()
    names = (REPORT, page, TRIALS_CSV, VERDICTS, "figures/comparisons.svg", "figures/cpu.csv")
    for name in names:
        make(run / name, outside)
    assert report([str(run)]) == 0
    assert untouched(outside)
    assert (run / REPORT).stat().st_nlink == 1
    write_manifest(run, manifest())
    (run / MANIFEST).unlink()
    make(run / MANIFEST, outside)
    with pytest.raises(ResultsError, match=f"{MANIFEST} {HOSTILE[make]}"):
        read_manifest(run)
    write_manifest(run, manifest())
    assert read_manifest(run) == manifest()
    assert untouched(outside)


def test_figures_are_not_written_through_a_link(tmp_path: Path, outside: Path) -> None:
    """
    The folder may be the link.
    """
    run = tmp_path / "20260101T000000Z"
    stored(run, manifest(), pair_of([1.19, 1.2, 1.21]))
    (run / "figures").symlink_to(outside)
    assert report([str(run)]) == 1
    assert untouched(outside)


def test_a_file_that_is_written_is_on_the_disk_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Else a crash of the machine leaves a new file without a name, or an old one under this name.
    """
    synced: list[tuple[bool, list[str]]] = []

    def sync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append((is_folder, sorted(path.name for path in tmp_path.iterdir())))

    monkeypatch.setattr(os, "fsync", sync)
    folder.write(tmp_path, "a", b"1")
    folder.append(tmp_path, "b", b"1")
    folder.append(tmp_path, "b", b"2")
    written = [(False, ["a.partial"]), (True, ["a"])]
    assert synced == [*written, (False, ["a", "b"]), (True, ["a", "b"]), (False, ["a", "b"])]


def test_a_record_that_does_not_fit_on_the_disk_leaves_no_torn_line(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The next one would end that line, and both would be lost.
    """
    append_trial(run, trial(1, 1, "netns", 250.0))
    before = (run / TRIALS).read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResultsError, match=r"No space left on device\. .* MB free; free some"):
            append_trial(run, trial(2, 1, "docker", 250.0))
    assert (run / TRIALS).read_bytes() == before
    assert [path.name for path in run.iterdir()] == ["raw", TRIALS]


def test_a_full_disk_is_told_with_its_free_space(tmp_path: Path) -> None:
    """
    And with the nearest folder that exists, which is on that disk.
    """
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    words = unwritable(error, tmp_path / "not" / "there")
    assert words.startswith(f"{tmp_path}/not/there cannot be written: No space left on device. ")
    assert f"{tmp_path} has " in words
    assert words.endswith(" MB free; free some, then repeat the command")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "Permission denied; check permissions"),
        (errno.ENOTDIR, "Not a directory; a file is where a folder should be"),
        (errno.EEXIST, "File exists; a file is where a folder should be"),
        (errno.EROFS, "Read-only file system"),
    ],
)
def test_what_cannot_be_written_is_told_with_what_to_look_at(
    tmp_path: Path, number: int, words: str
) -> None:
    """
    Permissions, only where these are the reason.
    """
    error = OSError(number, os.strerror(number), "name")
    assert unwritable(error, tmp_path) == f"name cannot be written: {words}"
