"""
The files of a run's folder, which the lab can write to: no name in it leads the host elsewhere.

Each step of a path is opened in the folder before it, and no link is followed, however late it was
made. What no run makes is refused by its name before it is opened: links, files with several names,
pipes, sockets, devices. So nothing is waited for, and no device is touched.

The path of the folder itself is the user's, and may lead over links. This needs the standard
library only, because nox reads runs too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, FileIO
from typing import TYPE_CHECKING, NoReturn

from experiments.errors import FULL, ResultsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LARGEST_FILE_BYTES = 500_000_000
"""The most that one file may hold; 100 times what a file of the reference holds."""

DEEPEST = 8
"""Folders within each other that are looked into; a run makes three."""

BY_HANDLE = os.open in os.supports_dir_fd
"""Whether the system opens names in an open folder. Those that do not have no lab either."""

PLAIN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NO_LINK = PLAIN | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
FOLDER = PLAIN | getattr(os, "O_DIRECTORY", 0)

KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


ADVICE = {
    errno.EACCES: "check permissions",
    errno.EPERM: "check permissions",
    errno.ENOTDIR: "a file is where a folder should be",
    errno.EEXIST: "a file is where a folder should be",
    errno.ENOENT: "its folder is not there, and cannot be made",
}
"""What to look at if something cannot be written, by the system's reason."""


def opened(run: Path, name: str) -> BufferedReader:
    """
    A file for reading; ``name`` is its path in the run, with slashes.

    Raises ResultsError for anything but a file of at most LARGEST_FILE_BYTES, and OSError as
    ``open`` does.
    """
    with _naming(run, name), _place(run, name) as (folder, last):
        _check(run, name, os.stat(last, dir_fd=folder, follow_symlinks=False))
        handle = os.open(last, os.O_RDONLY | NO_LINK, dir_fd=folder)
        file: BufferedReader = BufferedReader(FileIO(handle), 1 << 20)
        try:
            # Once more, because something else may have taken its name.
            _check(run, name, os.fstat(handle))
        except BaseException:
            file.close()
            raise
    return file


def write(run: Path, name: str, content: bytes) -> None:
    """
    Write a file in one step, and the folders on its way: a full disk leaves what was there.

    Whatever has this name is replaced, unless it is a folder. Raises ResultsError for a folder, and
    OSError if nothing can be written.
    """
    with _naming(run, name), _place(run, name, make=True) as (folder, last):
        partial = f"{last}.partial"
        _unlink(run, f"{name}.partial", folder, partial)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK
        handle = os.open(partial, flags, 0o666, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                _give(handle)
                file.write(content)
                file.flush()
                # Or a crash of the machine may leave an empty file.
                os.fsync(handle)
            os.replace(partial, last, src_dir_fd=folder, dst_dir_fd=folder)
            _sync(folder)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(partial, dir_fd=folder)
            if isinstance(error, IsADirectoryError):
                _refuse(run, name, "is a folder")
            raise


def append(run: Path, name: str, content: bytes) -> None:
    """
    Append to a file and flush it to the disk: all of ``content``, or nothing.

    Raises ResultsError for anything but a file, and OSError if it cannot be written.
    """
    with _naming(run, name), _place(run, name) as (folder, last):
        is_new = True
        with contextlib.suppress(FileNotFoundError):
            _check(run, name, os.stat(last, dir_fd=folder, follow_symlinks=False))
            is_new = False
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK
        handle = os.open(last, flags, 0o666, dir_fd=folder)
        with os.fdopen(handle, "ab", buffering=0) as file:
            before = os.fstat(handle)
            _check(run, name, before)
            try:
                while content:
                    content = content[file.write(content) :]
                os.fsync(handle)
                if is_new:
                    _sync(folder)
            except BaseException:
                # Or the next record would end the torn line of this one.
                file.truncate(before.st_size)
                raise


def move(run: Path, name: str, to: str) -> None:
    """
    Give an entry of the run another name in it, and make the folders on the way there.

    Raises OSError if it cannot be moved.
    """
    with (
        _naming(run, name),
        _place(run, name) as (folder, last),
        _place(run, to, make=True) as (other, there),
    ):
        os.rename(last, there, src_dir_fd=folder, dst_dir_fd=other)


def remove(run: Path, name: str) -> None:
    """
    Remove whatever has this name, if there is something; raises ResultsError for a folder.
    """
    with (
        _naming(run, name),
        contextlib.suppress(FileNotFoundError),
        _place(run, name) as (folder, last),
    ):
        _unlink(run, name, folder, last)


def files(run: Path, name: str = "") -> list[str]:
    """
    The paths in the run of all files below one of its folders, sorted.

    Raises ResultsError for an entry that no run makes, and for a name that cannot be printed.
    """
    found = []
    with _naming(run, name):
        for entry in _entries(run, _parts(run, name)):
            if not entry.path.isprintable():
                _refuse(run, entry.path, "has a name that no run gives")
            if not stat.S_ISDIR(entry.status.st_mode):
                _check(run, entry.path, entry.status)
                found.append(entry.path)
            elif entry.is_deep:
                _refuse(run, entry.path, "lies deeper than any folder of a run")
    return sorted(found)


def claim(run: Path) -> list[str]:
    """
    Take over what the lab left in a run: it belongs to the user now, and gives nobody any rights.

    Links, files with several names, pipes, sockets and devices are removed. Returns a sentence on
    each of them, and on what could not be taken over. Without root there is nothing to take.
    """
    if os.geteuid() != 0:
        return []
    said = []
    try:
        with _folder(run, []) as folder:
            if folder is not None:
                _take(folder)
        for entry in _entries(run, []):
            try:
                said += _claim(entry, _shown(run, entry.path))
            except OSError as error:
                words = f"cannot be taken over: {error.strerror}"
                said.append(f"{_shown(run, entry.path)} {words}")
    except OSError as error:
        said.append(f"{run} cannot be taken over: {error.strerror}")
    return said


def _claim(entry: _Entry, path: str) -> list[str]:
    if fault := _fault(entry.status):
        os.unlink(entry.last, dir_fd=entry.folder)
        return [f"{path} {fault}, so it was removed"]
    handle = os.open(entry.last, os.O_RDONLY | NO_LINK, dir_fd=entry.folder)
    try:
        _take(handle)
    finally:
        os.close(handle)
    if entry.is_deep and stat.S_ISDIR(entry.status.st_mode):
        return [f"{path} lies deeper than any folder of a run; what is in it was left as it is"]
    return []


def user() -> tuple[int, int]:
    """
    The numbers of the user and the group that a run belongs to: whoever called sudo.
    """
    ids = [os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if os.geteuid() == 0 and all(map(str.isdecimal, ids)):
        return int(ids[0]), int(ids[1])
    return os.geteuid(), os.getegid()


def make_folder(path: Path) -> None:
    """
    Make a folder of the user's and those on its way; under sudo the new ones are the user's too.
    """
    if not path.exists():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        if user()[0] != os.geteuid():
            os.chown(path, *user(), follow_symlinks=False)


def unwritable(error: OSError, where: Path) -> str:
    """
    What cannot be written, why, and what to do; it is ``where`` if the error names no file.
    """
    what = f"{error.filename or where} cannot be written: {error.strerror}"
    if error.errno not in FULL:
        advice = ADVICE.get(error.errno or 0, "")
        return f"{what}; {advice}" if advice else what
    there = next(path for path in (where, *where.parents) if path.exists())
    free = shutil.disk_usage(there).free
    return f"{what}. {there} has {free / 1e6:.1f} MB free; free some, then repeat the command"


@dataclass(frozen=True)
class _Entry:
    """
    An entry below a run's folder: its path in the run, the folder that it is in, its name there.
    """

    path: str
    folder: int | None
    last: str
    status: os.stat_result
    is_deep: bool


def _entries(run: Path, parts: Sequence[str]) -> Iterator[_Entry]:
    """
    All entries below a folder, each folder before what is in it.
    """
    with _folder(run, parts) as folder:
        with os.scandir(run.joinpath(*parts) if folder is None else folder) as found:
            names = sorted(entry.name for entry in found)
        is_deep = len(parts) >= DEEPEST
        for name in names:
            last = _last(run, [*parts, name])
            status = os.stat(last, dir_fd=folder, follow_symlinks=False)
            yield _Entry("/".join([*parts, name]), folder, last, status, is_deep)
            if stat.S_ISDIR(status.st_mode) and not is_deep:
                yield from _entries(run, [*parts, name])


@contextmanager
def _place(run: Path, name: str, *, make: bool = False) -> Iterator[tuple[int | None, str]]:
    """
    The folder that an entry is in, and the entry's name there.
    """
    parts = _parts(run, name)
    with _folder(run, parts[:-1], make=make) as folder:
        yield folder, _last(run, parts)


def _last(run: Path, parts: Sequence[str]) -> str:
    """
    The name of an entry in the folder of ``_folder``; without one, its whole path.
    """
    return parts[-1] if BY_HANDLE else str(run.joinpath(*parts))


def _parts(run: Path, name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts:
        _refuse(run, name, "lies outside of the run")
    return parts


@contextmanager
def _folder(run: Path, parts: Sequence[str], *, make: bool = False) -> Iterator[int | None]:
    """
    A folder of the run, open; None where the system does not open names in an open folder.
    """
    if not BY_HANDLE:
        if make:
            run.joinpath(*parts).mkdir(parents=True, exist_ok=True)
        yield None
        return
    handle = os.open(run, FOLDER)
    try:
        for number, part in enumerate(parts, start=1):
            made = make and _make(part, handle)
            try:
                below = os.open(part, FOLDER | NO_LINK, dir_fd=handle)
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                    raise
                mode = os.stat(part, dir_fd=handle, follow_symlinks=False).st_mode
                what = KINDS.get(stat.S_IFMT(mode), "a file")
                _refuse(run, "/".join(parts[:number]), f"is {what} where a folder should be")
            os.close(handle)
            handle = below
            if made:
                _give(handle)
        yield handle
    finally:
        os.close(handle)


def _sync(folder: int | None) -> None:
    """
    Put the names in a folder on the disk: a file is there after a crash only if its name is.
    """
    # Not every file system can do it.
    with contextlib.suppress(OSError):
        if folder is not None:
            os.fsync(folder)


def _make(name: str, folder: int) -> bool:
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _give(handle: int) -> None:
    """
    Give what this process has just made to the user who called sudo.
    """
    if BY_HANDLE and user()[0] != os.geteuid():
        os.fchown(handle, *user())


def _take(handle: int) -> None:
    mode = os.fstat(handle).st_mode
    os.fchown(handle, *user())
    # Without the rights that a set user or group id would give.
    os.fchmod(handle, stat.S_IMODE(mode) & 0o755)


def _unlink(run: Path, name: str, folder: int | None, last: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
            _refuse(run, name, "is a folder")
        os.unlink(last, dir_fd=folder)


def _fault(status: os.stat_result) -> str:
    """
    What makes an entry one that no run makes, in words; empty for a file or a folder.
    """
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        return "is a file with several names" if status.st_nlink > 1 else ""
    return "" if kind == stat.S_IFDIR else f"is {KINDS.get(kind, 'no file')}"


def _check(run: Path, name: str, status: os.stat_result) -> None:
    if fault := "is a folder" if stat.S_ISDIR(status.st_mode) else _fault(status):
        _refuse(run, name, fault)
    if status.st_size > LARGEST_FILE_BYTES:
        _refuse(run, name, f"is larger than {LARGEST_FILE_BYTES / 1e6:g} MB")


def _refuse(run: Path, name: str, fault: str) -> NoReturn:
    msg = f"{_shown(run, name)} {fault}, which no run makes; remove it, or fetch the original"
    raise ResultsError(msg)


def _shown(run: Path, name: str) -> str:
    path = f"{run}/{name}"
    return path if path.isprintable() else repr(path)


@contextmanager
def _naming(run: Path, name: str) -> Iterator[None]:
    """
    Name the whole path in errors of the system, which know its last part or nothing.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, _shown(run, name)) from error
