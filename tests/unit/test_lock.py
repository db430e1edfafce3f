"""
The lock of the machine, in a folder that belongs to all of its users.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from experiments.errors import HostError, LockedError
from experiments.machines.lock import RunLock, is_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER = 1234

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@pytest.fixture
def shared() -> Iterator[Path]:
    """
    A folder like /tmp: everybody makes files there, and removes only their own.
    """
    made = Path(tempfile.mkdtemp())
    made.chmod(0o1777)
    yield made
    shutil.rmtree(made)


def as_user(act: Callable[[], object]) -> int:
    """
    Do something in a process of another user, who keeps new files private; 0 if it works.
    """
    child = os.fork()
    if not child:
        status = 1
        try:
            os.umask(0o077)
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            act()
            status = 0
        except LockedError:
            status = 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def take(path: Path) -> None:
    """
    Take the lock and release it.
    """
    with RunLock(path):
        pass


@needs_root
def test_two_users_take_the_lock_one_after_the_other(shared: Path) -> None:
    """
    Whoever made it, and whatever permissions they give new files.
    """
    lock = shared / "lock"
    assert as_user(lambda: take(lock)) == 0
    assert lock.stat().st_uid == USER
    take(lock)
    assert as_user(lambda: take(lock)) == 0
    lock.unlink()
    before = os.umask(0o077)
    try:
        take(lock)
    finally:
        os.umask(before)
    assert as_user(lambda: take(lock)) == 0


@needs_root
def test_one_user_s_run_is_seen_by_the_other(shared: Path) -> None:
    """
    As locked, and not as a file that cannot be opened.
    """
    with RunLock(shared / "lock"):
        assert as_user(lambda: take(shared / "lock")) == 2
        assert not is_free(shared / "lock")
    assert is_free(shared / "lock")


@needs_root
def test_root_takes_a_lock_that_another_user_made_in_a_folder_of_all(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where the kernel protects files in such folders (fs.protected_regular), it refuses root too.
    """
    lock = shared / "lock"
    assert as_user(lambda: take(lock)) == 0
    genuine = os.open

    def protected(path: Any, flags: int, *more: Any, **named: Any) -> int:  # noqa: ANN401
        if flags & os.O_CREAT and os.path.lexists(path):
            raise PermissionError(13, "Permission denied", str(path))
        return genuine(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", protected)
    take(lock)
    lock.unlink()
    take(lock)


@needs_root
def test_a_lock_that_its_user_keeps_private_is_named_with_its_owner(shared: Path) -> None:
    """
    An older version made such files.
    """
    lock = shared / "lock"
    lock.write_text("")
    lock.chmod(0o600)

    def refused() -> None:
        words = rf"cannot open the lock {lock}: Permission denied; it belongs to user 0; remove it"
        with pytest.raises(HostError, match=words):
            take(lock)

    assert as_user(refused) == 0


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_what_another_user_put_there_is_neither_followed_nor_waited_for(
    shared: Path, kind: str
) -> None:
    """
    Root would else empty a file of its own.
    """
    lock, victim = shared / "lock", shared / "victim"
    victim.write_text("precious")
    if kind == "link":
        lock.symlink_to(victim)
    elif kind == "hard link":
        lock.hardlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(HostError, match=rf"lock.*belongs to user {os.geteuid()}; remove it"):
        take(lock)
    is_free(lock)
    assert victim.read_text() == "precious"


def test_a_note_of_anything_is_read_as_text(shared: Path) -> None:
    """
    Every user can write it.
    """
    lock = shared / "lock"
    with RunLock(lock):
        lock.write_bytes(b"\xff\0" * 10**5)
        with pytest.raises(LockedError, match="another run holds this machine"):
            take(lock)


def test_a_full_disk_below_the_lock_is_told_and_the_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With the folder and its free space.
    """
    path = tmp_path / "lock"

    def full(_file: object, _length: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", full)
        with pytest.raises(HostError, match=r"/lock cannot be written: No space .* MB free; free"):
            RunLock(path).__enter__()
    with RunLock(path):
        pass
