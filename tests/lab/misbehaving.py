"""
A server that misbehaves by a schedule, under ab: run in the lab, it prints what both of them say.

Each schedule is drawn from its seed: what the server does to one request after the other, and ab's
options. A line of JSON for each has ab's command, ab's text, and what the server did, in the order
in which it was done. The standard library is enough.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAUSE_S = 0.01
"""Between what is sent and a reset: else ab's poll may tell of both at once, and it drops both."""

STALL_S = 0.05
LONGEST_S = 20.0
RESET_AT_CLOSE = struct.pack("ii", 1, 0)

GOOD, EMPTY, SHORT = "good", "empty", "short"
ERROR, ALIKE = "error", "error of the same length"
NOTHING, HALF_A_HEAD, UNREAD = "closed without a byte", "closed within the head", "closed unread"
RESET, RESET_IN_HEAD, RESET_IN_BODY = "reset", "reset after the head", "reset in the body"
STALL = "good after a stall"

ANSWERED = (GOOD, EMPTY, ERROR, ALIKE, STALL)
"""What may leave the connection open."""

RESETS = (RESET, RESET_IN_HEAD, RESET_IN_BODY)


@dataclass
class Schedule:
    """
    What happens to each request, and how ab is called.

    ``done`` are the actions in the order of their ends; the requests beyond the last action are
    answered well. ``closing`` is whether each kept connection is closed before its second answer.
    """

    seed: int
    options: list[str]
    requests: int
    body_bytes: int
    error_bytes: int
    actions: list[str]
    closing: bool = False
    done: list[str] = field(default_factory=list)
    text: str = ""


def drawn(seed: int) -> Schedule:
    """
    The schedule of a seed.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    requests = dice.choice([20, 60, 150, 300, 1000, 1000])
    options = ["-n", str(requests), "-c", str(dice.choice([1, 1, 4, 8]))]
    if seed % 20 == 19:
        options = ["-t", "1", *options[2:]]
    kept, any_length = dice.random() < 0.4, dice.random() < 0.25
    go_on = dice.random() < 0.6
    options += ["-k"] * kept + ["-l"] * any_length + ["-r"] * go_on
    kinds = dice.sample(
        [EMPTY, SHORT, ERROR, ERROR, ALIKE, NOTHING, HALF_A_HEAD, UNREAD, STALL],
        dice.choice([0, 1, 1, 1, 2, 3]),
    )
    if go_on:
        kinds += dice.sample(RESETS, dice.choice([0, 1, 2]))
    share = dice.choice([0.004, 0.02, 0.2, 0.5])
    actions = [
        dice.choice(kinds) if kinds and dice.random() < share else GOOD for _ in range(requests)
    ]
    if kinds and dice.random() < 0.5:
        actions[0] = dice.choice(kinds)
    return Schedule(
        seed=seed,
        options=options,
        requests=requests,
        body_bytes=dice.choice([1, 45, 1542, 40_000]),
        error_bytes=dice.choice([0, 20, 207, 5000]),
        actions=actions,
        closing=kept and dice.random() < 0.25,
    )


class Server:
    """
    The server of one schedule, on a free port of the loopback interface.
    """

    def __init__(self, schedule: Schedule) -> None:
        """
        It listens at once, and serves in threads.
        """
        self.schedule = schedule
        self.actions = iter(schedule.actions)
        self.lock = threading.Lock()
        self.serving: list[threading.Thread] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    @property
    def address(self) -> str:
        """
        The host and the port.
        """
        host, port = self.listener.getsockname()
        return f"{host}:{port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                thread.start()
                self.serving.append(thread)

    def stop(self) -> None:
        """
        Wait for what is under way, so that all of it is in the schedule.
        """
        # Unlike a close, this wakes the thread that accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepting.join(LONGEST_S)
        for thread in self.serving:
            thread.join(LONGEST_S)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            served = 0
            while self._answer(connection, served):
                served += 1

    def _answer(self, connection: socket.socket, served: int) -> bool:
        """
        Do to one request what is scheduled; whether the connection stays open.
        """
        if not connection.recv(1, socket.MSG_PEEK):
            return False
        with self.lock:
            action = NOTHING if served and self.schedule.closing else next(self.actions, GOOD)
        if action != UNREAD:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += connection.recv(65_536)
        kept = "-k" in self.schedule.options and action in ANSWERED
        try:
            self._do(connection, action, kept=kept)
        finally:
            with self.lock:
                self.schedule.done.append(action)
        return kept

    def _do(self, connection: socket.socket, action: str, *, kept: bool) -> None:
        schedule = self.schedule
        status = "500 Internal Server Error" if action in {ERROR, ALIKE} else "200 OK"
        length = {EMPTY: 0, ERROR: schedule.error_bytes}.get(action, schedule.body_bytes)
        head = (
            f"HTTP/1.1 {status}\r\nServer: misbehaving\r\nContent-Length: {length}\r\n"
            f"Connection: {'keep-alive' if kept else 'close'}\r\n\r\n"
        ).encode()
        body = b"x" * length
        sent = {
            SHORT: head + body[: length // 2],
            NOTHING: b"",
            UNREAD: b"",
            RESET: b"",
            HALF_A_HEAD: head[: len(head) // 2],
            RESET_IN_HEAD: head,
            RESET_IN_BODY: head + body[: length // 2],
        }.get(action, head + body)
        if action == STALL:
            connection.sendall(sent[: len(head) + length // 2])
            time.sleep(STALL_S)
            sent = sent[len(head) + length // 2 :]
        connection.sendall(sent)
        if action in RESETS:
            time.sleep(PAUSE_S)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)


def loaded(schedule: Schedule) -> Schedule:
    """
    The schedule with what ab printed, and with what was done.
    """
    server = Server(schedule)
    # After two seconds without an answer ab gives up: what it dropped is not asked for again.
    command = ["ab", "-s", "2", *schedule.options, f"http://{server.address}/"]
    finished = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LONGEST_S,
        check=False,
    )
    server.stop()
    schedule.text = finished.stdout.decode()
    schedule.options = command
    return schedule


def main(seeds: Sequence[str]) -> None:
    """
    Print a line for each seed from the first number to the last.
    """
    first, last = map(int, seeds)
    for seed in range(first, last + 1):
        print(json.dumps(asdict(loaded(drawn(seed)))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
