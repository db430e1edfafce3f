"""
What the lab prints reaches the caller's terminal, which nothing in the lab has.
"""

from __future__ import annotations

import os
import signal
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from experiments.machines import terminal
from experiments.machines.terminal import own_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 30


@pytest.fixture
def caller_s(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """
    Both ends of a terminal that is the standard output and error, with 33 lines of 77 characters.
    """
    shown, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (33, 77))
    monkeypatch.setattr(terminal, "STREAMS", {"stdout": theirs, "stderr": theirs})
    yield shown, theirs
    os.close(theirs)


def test_the_lab_s_terminal_is_another_one_and_shows_everything_on_the_caller_s(
    caller_s: tuple[int, int],
) -> None:
    """
    Also what is printed last.
    """
    shown, theirs = caller_s
    with own_terminal() as given:
        assert set(given) == {"stdout", "stderr"}
        assert os.ttyname(given["stdout"]) != os.ttyname(theirs)
        subprocess.run(["printf", "\\rone\\ntwo"], stdout=given["stdout"], check=True)
    assert os.read(shown, 100) == b"\rone\r\ntwo"
    os.close(shown)


def test_it_has_the_size_of_the_caller_s_also_when_that_changes(
    caller_s: tuple[int, int],
) -> None:
    """
    The live progress is cut to the width.
    """
    shown, theirs = caller_s
    before = signal.getsignal(signal.SIGWINCH)
    with own_terminal() as given:
        assert os.get_terminal_size(given["stdout"]) == (77, 33)
        termios.tcsetwinsize(theirs, (40, 120))
        os.kill(os.getpid(), signal.SIGWINCH)
        assert os.get_terminal_size(given["stdout"]) == (120, 40)
    assert signal.getsignal(signal.SIGWINCH) == before
    os.close(shown)


def test_a_caller_s_terminal_that_is_closed_does_not_stop_the_lab(
    caller_s: tuple[int, int],
) -> None:
    """
    However much it prints.
    """
    shown, _ = caller_s
    with own_terminal() as given:
        os.close(shown)
        much = ["head", "--bytes=1000000", "/dev/zero"]
        subprocess.run(much, stdout=given["stdout"], check=True, timeout=TIMEOUT_S)


def test_what_is_no_terminal_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file or a pipe gives nobody a way to type.
    """
    reading, writing = os.pipe()
    monkeypatch.setattr(terminal, "STREAMS", {"stdout": writing, "stderr": writing})
    with own_terminal() as given:
        assert given == {}
    os.close(reading)
    os.close(writing)
