"""
The open-loop client: a program that sends requests by a schedule and logs every one of them.

It is one thread with one epoll, and needs only the standard library. A request is sent when it is
due, regardless of earlier ones. If too many are under way, it is sent late, which the log shows
beside the intended start. Nothing is written, and no answer judged, before the last request has
ended. Every request has the bytes of ab's without ``-k``, and its own connection. Its latency ends
with the last byte of the answer. The client then waits until the server closes the connection
(Flask's server takes ten milliseconds), so that the ports in TIME_WAIT are the server's.
"""

from __future__ import annotations

import argparse
import errno
import gc
import json
import select
import socket
import sys
import time
from array import array
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.declare.workloads import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEADER = "intended_us,sent_us,done_us,status,good"
"""
The first line of the log.

Times are since the start of the load, status 0 is no answer, and a good answer (1) has the status,
the length and the content that the workload expects.
"""

REQUEST_TIMEOUT_S = 30
"""A request without a complete answer after this time has failed, as with ab's ``-s``."""

NO_ANSWER = 0
CHUNK_BYTES = 65536


@dataclass(slots=True)
class Exchange:
    """
    A request under way: its index, its connection, the rest to send, and the answer so far.

    If ``answered``, it only waits for the server to close the connection.
    """

    index: int
    connection: socket.socket
    unsent: bytes
    answer: bytes = b""
    answered: bool = False


class Schedule:
    """
    Requests by their intended starts, in ascending microseconds since the start of the load.

    ``sent_us``, ``done_us``, ``status`` and ``body`` are their results; ``body`` is an index of
    ``bodies``, all different ones, so that each is judged once.
    """

    def __init__(
        self, address: tuple[str, int], request: bytes, intended_us: Sequence[int], connections: int
    ) -> None:
        """
        ``connections`` is the maximum of concurrent requests. Nothing is sent yet.
        """
        self.intended_us = array("q", intended_us)
        self.sent_us = array("q", bytes(8 * len(intended_us)))
        self.done_us = array("q", bytes(8 * len(intended_us)))
        self.status = array("i", bytes(4 * len(intended_us)))
        self.body = array("i", bytes(4 * len(intended_us)))
        self.bodies = {b"": 0}
        self._address = address
        self._request = request
        self._connections = connections
        self._next = 0
        self._began_ns = 0
        # By file descriptor, in the order of sending, so that the first one is the oldest.
        self._under_way: dict[int, Exchange] = {}

    def run(self, limit_s: float) -> None:
        """
        Send all requests and wait for all answers.

        A request without an answer at the limit fails then.
        """
        limit_us = int(limit_s * 1e6)
        with select.epoll() as self._epoll:
            self._began_ns = time.monotonic_ns()
            while self._next < len(self.intended_us) or self._under_way:
                if self._now_us() >= limit_us:
                    self._give_up()
                    return
                self._send_due()
                self._await(limit_us)
                self._expire()

    def _now_us(self) -> int:
        return (time.monotonic_ns() - self._began_ns) // 1000

    def _send_due(self) -> None:
        while (
            self._next < len(self.intended_us)
            and len(self._under_way) < self._connections
            and self.intended_us[self._next] <= self._now_us()
        ):
            self._send(self._next)
            self._next += 1

    def _send(self, index: int) -> None:
        self.sent_us[index] = self._now_us()
        try:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            # Too many open files.
            self.done_us[index] = self._now_us()
            return
        exchange = Exchange(index, connection, self._request)
        self._under_way[connection.fileno()] = exchange
        if connection.connect_ex(self._address) not in {0, errno.EINPROGRESS}:
            self._end(exchange)
            return
        self._epoll.register(connection.fileno(), select.EPOLLOUT)
        # Within one machine the connection is often established already.
        self._advance(exchange)

    def _await(self, limit_us: int) -> None:
        """
        Wait until a connection is ready, or until a request or a timeout is due.
        """
        if self._next == len(self.intended_us) and not self._under_way:
            # The last request failed immediately.
            return
        until_us = limit_us
        if self._next < len(self.intended_us) and len(self._under_way) < self._connections:
            until_us = min(until_us, self.intended_us[self._next])
        if self._under_way:
            until_us = min(until_us, self._oldest_us() + REQUEST_TIMEOUT_S * 1_000_000)
        # The timeout of epoll is in whole milliseconds; that of select is finer.
        wait_s = max(0, until_us - self._now_us()) / 1e6
        if select.select([self._epoll], [], [], wait_s)[0]:
            for descriptor, _ in self._epoll.poll(0):
                self._advance(self._under_way[descriptor])

    def _oldest_us(self) -> int:
        return self.sent_us[next(iter(self._under_way.values())).index]

    def _advance(self, exchange: Exchange) -> None:
        try:
            if exchange.unsent:
                # A refused connection raises an error here.
                sent = exchange.connection.send(exchange.unsent)
                exchange.unsent = exchange.unsent[sent:]
                if not exchange.unsent:
                    self._epoll.modify(exchange.connection.fileno(), select.EPOLLIN)
                return
            while chunk := exchange.connection.recv(CHUNK_BYTES):
                exchange.answer += chunk
                if not exchange.answered and is_whole(exchange.answer):
                    self._note(exchange)
                    exchange.answered = True
        except BlockingIOError:
            return
        except OSError:
            exchange.answer = b""
        self._end(exchange)

    def _note(self, exchange: Exchange) -> None:
        self.done_us[exchange.index] = self._now_us()
        self.status[exchange.index] = status_of(exchange.answer)
        body = split_answer(exchange.answer)[1]
        self.body[exchange.index] = self.bodies.setdefault(body, len(self.bodies))

    def _end(self, exchange: Exchange) -> None:
        if not exchange.answered:
            self._note(exchange)
        # Closing a socket removes it from the epoll.
        del self._under_way[exchange.connection.fileno()]
        exchange.connection.close()

    def _expire(self) -> None:
        while (
            self._under_way and self._now_us() - self._oldest_us() >= REQUEST_TIMEOUT_S * 1_000_000
        ):
            self._fail(next(iter(self._under_way.values())))

    def _fail(self, exchange: Exchange) -> None:
        exchange.answer = b""
        self._end(exchange)

    def _give_up(self) -> None:
        for exchange in list(self._under_way.values()):
            self._fail(exchange)
        for index in range(self._next, len(self.intended_us)):
            now_us = self._now_us()
            self.sent_us[index] = self.done_us[index] = max(now_us, self.intended_us[index])

    def log(self, is_good: Callable[[int, bytes], bool]) -> str:
        """
        The header and one line per request, in the order of the schedule.

        ``is_good`` judges an answer by its status and body, each different one once.
        """
        judge = cache(is_good)
        bodies = list(self.bodies)
        good = [
            int(judge(status, bodies[body]))
            for status, body in zip(self.status, self.body, strict=True)
        ]
        rows = zip(self.intended_us, self.sent_us, self.done_us, self.status, good, strict=True)
        return "\n".join([HEADER, *(",".join(map(str, row)) for row in rows), ""])


def is_whole(answer: bytes) -> bool:
    """
    Whether an answer is complete by its Content-Length; False without one.
    """
    head, end, body = answer.partition(b"\r\n\r\n")
    return bool(end) and _content_length(head) == len(body)


def split_answer(answer: bytes) -> tuple[int, bytes]:
    """
    The status of an answer, NO_ANSWER if it is not HTTP, and its body as far as it came.
    """
    head, end, body = answer.partition(b"\r\n\r\n")
    protocol, _, rest = head.partition(b" ")
    status = rest[:3]
    if not end or not protocol.startswith(b"HTTP/") or len(status) < 3 or not status.isdigit():
        return NO_ANSWER, body
    return int(status), body


def _content_length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return int(value)
    return None


def status_of(answer: bytes) -> int:
    """
    The status of a complete answer; NO_ANSWER if it is cut off or not HTTP.
    """
    status, body = split_answer(answer)
    length = _content_length(answer.partition(b"\r\n\r\n")[0])
    return status if length is None or length == len(body) else NO_ANSWER


def request_of(address: str, workload: Workload) -> bytes:
    """
    The same bytes as ab's request, so that a service cannot tell who asks.
    """
    body = workload.content
    lines = [f"{workload.verb} {workload.path} HTTP/1.0"]
    if body is not None:
        lines += [f"Content-length: {len(body)}", f"Content-type: {workload.content_type}"]
    lines += [f"{name}: {value}" for name, value in workload.headers.items()]
    given = {name.lower() for name in workload.headers}
    own = {"Host": address, "User-Agent": "ApacheBench/2.3", "Accept": "*/*"}
    lines += [f"{name}: {value}" for name, value in own.items() if name.lower() not in given]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def main(arguments: Sequence[str]) -> int:
    """
    Send the requests, write the log, and print the client's CPU time as one line of JSON.
    """
    parser = argparse.ArgumentParser(prog="python -m experiments.load.open_client")
    parser.add_argument("--address", required=True, help="IPv4 address and port, host:port")
    parser.add_argument("--workload", type=Path, required=True, help="file with its fields as JSON")
    parser.add_argument("--length", type=int, help="bytes of every good body, if known")
    parser.add_argument(
        "--schedule", type=Path, required=True, help="file with one start per line, in µs"
    )
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--limit-s", type=float, required=True)
    options = parser.parse_args(arguments)
    host, _, port = options.address.rpartition(":")
    workload = Workload(**json.loads(options.workload.read_text()))
    schedule = Schedule(
        (host, int(port)),
        request_of(options.address, workload),
        [int(line) for line in options.schedule.read_text().splitlines()],
        options.connections,
    )
    # A garbage collection would pause the client, and there are no cycles to collect.
    gc.disable()
    started_s, started_cpu_s = time.monotonic(), time.process_time()
    schedule.run(options.limit_s)
    cost = {
        "duration_s": round(time.monotonic() - started_s, 6),
        "cpu_s": round(time.process_time() - started_cpu_s, 6),
    }

    def is_good(status: int, body: bytes) -> bool:
        return not workload.fault_in(status, body, options.length)

    options.log.write_text(schedule.log(is_good))
    print(json.dumps(cost))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
