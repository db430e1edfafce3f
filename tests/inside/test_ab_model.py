"""
The userland's ab counts and prints what the model in ``tests/ab_model`` says.

A server that misbehaves on schedule knows what became of every request. So whatever the unit tests
say of the model's outputs holds for this ab, too.
"""

from __future__ import annotations

import csv
import random
import socket
import struct
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.ab_model.counting import count
from tests.ab_model.events import End, Load, Options, Request, scheduled
from tests.ab_model.printing import printed
from tests.ab_model.versions import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

DEBIAN = BY_NAME["Debian"]
SERVER = "scheduled/1"
ABORTS = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing resets the connection."""

COUNTED = (
    "Server Software",
    "Document Length",
    "Complete requests",
    "Failed requests",
    "   (Connect",
    "Write errors",
    "Non-2xx",
    "Keep-Alive",
    "Total transferred",
    "HTML transferred",
    "Total of",
)
"""Lines that the requests decide, whatever their times."""

TIMED = ("Total: ", "  5", "  6", "  7", "  8", "  9", " 100%")
"""Lines that the total times decide."""


def head(status: int, length: int | None) -> bytes:
    """
    The head of an answer; with a length, the connection may be kept.
    """
    lines = [f"HTTP/1.0 {status} X", f"Server: {SERVER}"]
    if length is not None:
        lines += ["Connection: keep-alive", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def kinds(*, keep_alive: bool, go_on: bool) -> list[Request]:
    """
    Everything that may become of a request; a part of a head is shorter than any head.
    """
    good = Request(End.KEPT if keep_alive else End.CLOSED, body_bytes=100)
    nothing = Request(End.CLOSED, None, 0, whole=False)
    found = [
        *[good] * 4,
        replace(good, body_bytes=77),
        replace(good, status=502, body_bytes=7),
        replace(good, end=End.CLOSED),
        replace(good, end=End.CLOSED, body_bytes=40, whole=False),
        nothing,
        replace(nothing, head_bytes=14),
    ]
    # Debian's ab polls by epoll, which reports a reset, too.
    reset = replace(nothing, end=End.RESET, polled=True)
    resets = [reset, replace(reset, status=200), replace(reset, status=200, body_bytes=30)]
    return found + resets if go_on else found


def sent(request: Request, *, keep_alive: bool) -> bytes:
    """
    What the server sends of an answer.
    """
    if request.status is None:
        return head(200, None)[: request.head_bytes]
    announced = request.body_bytes if request.whole else 100
    keeps = keep_alive and (request.end is End.KEPT or not request.whole)
    return head(request.status, announced if keeps else None) + b"x" * request.body_bytes


def asked(connection: socket.socket) -> bool:
    """
    Wait for a request; false if the client has closed the connection.
    """
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        part = connection.recv(10_000)
        if not part:
            return False
        text += part
    return True


def serve(listener: socket.socket, answers: Iterable[tuple[bytes, End]]) -> None:
    """
    Give each request the next answer, one connection after the other.
    """
    waiting = iter(answers)
    # The listener, or the connection of a client that gives up, is shut down at the end.
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                end = End.KEPT
                while end is End.KEPT and asked(connection):
                    content, end = next(waiting, (b"", End.CLOSED))
                    connection.sendall(content)
                    if end is End.RESET:
                        # What ab has not read by now is lost with the connection.
                        time.sleep(0.01)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTS)


def run(load: Load, file: Path) -> str:
    """
    What ab prints to standard output; the file is that of the percentiles.
    """
    options = load.options
    switches = {"-k": options.keep_alive, "-r": options.go_on, "-l": options.any_length}
    command = ["ab", "-n", str(options.asked), "-e", str(file)]
    command += [switch for switch, given in switches.items() if given]
    answers = [
        (sent(request, keep_alive=options.keep_alive), request.end) for request in load.requests
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, answers))
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        ended = subprocess.run(
            [*command, url], capture_output=True, text=True, timeout=60, check=False
        )
        listener.shutdown(socket.SHUT_RDWR)
        server.join(10)
    return ended.stdout


def lines(text: str, beginnings: Sequence[str]) -> list[str]:
    """
    The lines that begin so; what ab prints after the dots is a line of its own.
    """
    whole = text.replace("(be patient)...", "\n")
    return [line for line in whole.splitlines() if line.startswith(tuple(beginnings))]


def a_load(requests: Sequence[Request], options: Options) -> Load:
    """
    The requests one after the other, with the sizes of their heads.
    """
    keep_alive = options.keep_alive
    sized = [
        replace(
            request,
            head_bytes=len(sent(request, keep_alive=keep_alive)) - request.body_bytes,
        )
        for request in requests
    ]
    return Load(options, tuple(scheduled(sized, 1)), 10**6, server=SERVER)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("go_on", [False, True], ids=["plain", "resets"])
@pytest.mark.parametrize("keep_alive", [False, True], ids=["closing", "keep-alive"])
def test_ab_counts_what_the_model_counts(
    *, keep_alive: bool, go_on: bool, seed: int, tmp_path: Path
) -> None:
    """
    Whatever becomes of the requests, in whatever order, with and without -l.
    """
    drawn = random.Random(seed)  # noqa: S311 - a schedule
    requests = drawn.choices(kinds(keep_alive=keep_alive, go_on=go_on), k=30)
    options = Options(30, keep_alive=keep_alive, go_on=go_on, any_length=seed % 3 == 0)
    load = a_load(requests, options)
    text = run(load, tmp_path / "percentiles.csv")
    assert lines(text, COUNTED) == lines(printed(DEBIAN, load, errors=False), COUNTED)


def test_ab_gives_up_where_the_model_does(tmp_path: Path) -> None:
    """
    At the first reset without -r.
    """
    good, reset = Request(End.CLOSED, body_bytes=5), Request(End.RESET, None, 0, whole=False)
    load = a_load([good, good, reset, good], Options(4))
    assert count(DEBIAN, load).done == 2
    text = run(load, tmp_path / "percentiles.csv")
    assert lines(text, COUNTED) == lines(printed(DEBIAN, load, errors=False), COUNTED)


def test_ab_prints_what_the_model_prints_of_the_same_times(tmp_path: Path) -> None:
    """
    Of 100 requests, the file of percentiles has each total time to the microsecond.
    """
    file = tmp_path / "percentiles.csv"
    load = a_load([Request(End.CLOSED, body_bytes=5)] * 100, Options(100))
    text = run(load, file)
    with file.open() as rows:
        times_us = [round(1000 * float(row["Time in ms"])) for row in csv.DictReader(rows)]
    timed = [
        replace(request, total_us=time_us)
        for request, time_us in zip(load.requests, times_us, strict=False)
    ]
    load = replace(load, requests=tuple(timed))
    assert lines(text, TIMED) == lines(printed(DEBIAN, load), TIMED)
