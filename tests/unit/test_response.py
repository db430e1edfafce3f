"""
The check of the answer, against servers that misbehave.
"""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from experiments.declare.workloads import choose_workload
from experiments.errors import LoadError, NoAnswerError, TooSlowError, WrongAnswerError
from experiments.probes import response
from experiments.probes.response import _ask, _ask_patiently

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXED = choose_workload("fixed")
HEAD = b"HTTP/1.0 200 OK\r\n"


@contextmanager
def server(pieces: list[bytes], pause_s: float = 0.0) -> Iterator[str]:
    """
    The address of a server that answers one request by these pieces.
    """

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            asked = connection.recv(9999)
            while asked.startswith(b"POST") and not asked.endswith(b"}"):
                asked += connection.recv(9999)
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except OSError:
                    return
                time.sleep(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("pieces", "kind", "words"),
    [
        ([HEAD + b"Content-Length: 9\r\n\r\n{"], WrongAnswerError, "ends after 1 of 9 bytes: {"),
        ([HEAD + b"Content-Length: 9\r\n\r\n"], WrongAnswerError, r"0 of 9 bytes: \(empty\)"),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"],
            WrongAnswerError,
            "something else than HTTP: IncompleteRead",
        ),
        ([b"220 smtp\r\n"], WrongAnswerError, "something else than HTTP: .*220 smtp"),
        ([], NoAnswerError, "does not answer: .* on 0.0.0.0"),
    ],
)
def test_half_an_answer_is_a_wrong_one(
    pieces: list[bytes], kind: type[LoadError], words: str
) -> None:
    """
    With what came; a connection that is closed without an answer has none.
    """
    with server(pieces) as address, pytest.raises(kind, match=words):
        _ask(address, FIXED)


def test_an_answer_that_drips_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However soon each piece follows the one before.
    """
    monkeypatch.setattr(response, "TIMEOUT_S", 0.5)
    with (
        server([HEAD + b"\r\n", *[b"x"] * 99], pause_s=0.05) as address,
        pytest.raises(TooSlowError, match=r"does not answer within 0\.5 s"),
    ):
        _ask(address, FIXED)


def test_an_endless_answer_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is given up after so many bytes.
    """
    monkeypatch.setattr(response, "MOST_BYTES", 2**16)
    with (
        server([HEAD + b"\r\n", *[b"x" * 2**16] * 99]) as address,
        pytest.raises(WrongAnswerError, match=r"longer than 0\.065536 MB: xxx"),
    ):
        _ask(address, FIXED)


def test_a_good_answer_comes_whole() -> None:
    """
    Also in pieces, and to a request with a body.
    """
    orders = dataclasses.replace(FIXED, post_json={"a": 1})
    for workload in (FIXED, orders):
        with server([HEAD + b"Server: x\r\n\r\n", b"{", b"}"], pause_s=0.01) as address:
            assert _ask(address, workload) == (200, b"{}", "x")


class Beginning:
    """
    Asks a service that does not answer at first.
    """

    def __init__(self, *answers: int | None) -> None:
        """
        ``answers`` are the statuses; None is no answer.
        """
        self._answers = list(answers)
        self.times = 0

    def __call__(self, _address: str, _workload: object) -> tuple[int, bytes, str]:
        """
        The next answer; the last one for ever.
        """
        self.times += 1
        status = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if status is None:
            raise NoAnswerError
        return status, b"", ""


@pytest.mark.parametrize(
    ("answers", "status"), [((None, 502, 200), 200), ((503, 404, 200), 404), ((500, 200), 500)]
)
def test_a_service_that_only_just_began_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[int | None, ...], status: int
) -> None:
    """
    Until it answers, or a gateway before it has an answer; any other answer counts.
    """
    monkeypatch.setattr(response, "_ask", Beginning(*answers))
    assert _ask_patiently("web:1", FIXED, lambda: True)[0] == status


@pytest.mark.parametrize(("patience_s", "lives"), [(0.1, False), (0.0, True)])
def test_a_service_that_has_ended_or_never_answers_is_an_error(
    monkeypatch: pytest.MonkeyPatch, patience_s: float, *, lives: bool
) -> None:
    """
    At once, or after the time for beginning.
    """
    asked = Beginning(None)
    monkeypatch.setattr(response, "_ask", asked)
    monkeypatch.setattr(response, "PATIENCE_S", patience_s)
    with pytest.raises(NoAnswerError):
        _ask_patiently("web:1", FIXED, lambda: lives)
    assert asked.times == 1
