"""
What truly happened in a load: its requests, in the order in which they ended, and its options.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypothesis.vendor.pretty import RepresentationPrinter


class End(Enum):
    """
    How a request ended.
    """

    KEPT = "the whole answer came, by its Content-Length, and the connection stays open"
    CLOSED = "the server closed the connection, after an answer or without one"
    RESET = "reading failed: the connection was reset, or never came about"
    REFUSED = "connecting failed, and ab saw it as that"


@dataclass(frozen=True)
class Request:
    """
    One request: what came back, and how long it took.

    ``status`` is None unless a whole head came. ``whole`` says that the body is as long as the
    server meant it to be. ``polled`` says that the kernel reported the end as an error of the poll,
    too. Times count from the start of connecting, or of the request if the connection was
    ``reused``; ``wait_us`` counts from the request to the first byte.
    """

    end: End
    status: int | None = 200
    head_bytes: int = 100
    body_bytes: int = 0
    whole: bool = True
    polled: bool = False
    reused: bool = False
    start_us: int = 0
    connect_us: int = 0
    wait_us: int = 0
    total_us: int = 0

    @property
    def good(self) -> bool:
        """
        Whether a client would be content: a good status, and all of the body.
        """
        return self.end in {End.KEPT, End.CLOSED} and self.whole and self.status == 200

    @property
    def end_us(self) -> int:
        """
        When it ended, from the start of the load.
        """
        return self.start_us + self.total_us


NOT_CONNECTED = Request(End.REFUSED, None, 0, whole=False)


@dataclass(frozen=True)
class Options:
    """
    The command line: -n, -c, -k, -r, -l, -S, -q, -v, the method (-i, -p, -u), and whether by TLS.

    ``posted_bytes`` are of one request with its head, as ab counts them; zero is no body.
    """

    asked: int
    concurrency: int = 1
    keep_alive: bool = False
    go_on: bool = False
    any_length: bool = False
    no_deviations: bool = False
    quiet: bool = False
    verbosity: int = 0
    method: str = "GET"
    posted_bytes: int = 0
    tls: bool = False


@dataclass(frozen=True)
class Load:
    """
    One load of ab, as it truly was.

    ``late`` are requests that ended in the same turn of the loop as the last counted one, after it.
    ``under_way`` are those that had begun and not ended: their bytes are those that had come.
    ``interrupted`` is true if Ctrl-C ended it.
    """

    options: Options
    requests: tuple[Request, ...]
    duration_us: int
    late: tuple[Request, ...] = ()
    under_way: tuple[Request, ...] = ()
    interrupted: bool = False
    server: str = "nginx/1.26"
    host: str = "gateway.lab"
    port: int = 3000
    path: str = "/"

    def _repr_pretty_(self, printer: RepresentationPrinter, _: bool) -> None:  # noqa: FBT001
        printer.text(f"<{len(self.requests)} requests in {self.duration_us} us, {self.options}>")


def scheduled(requests: Iterable[Request], concurrency: int) -> list[Request]:
    """
    The requests with their starts, in the order of their ends.

    Each connection makes the next request as soon as its last one has ended. A request on a kept
    connection has no time to connect.
    """
    connections = [(0, slot, False) for slot in range(concurrency)]
    placed = []
    for request in requests:
        free_us, slot, kept = heapq.heappop(connections)
        made = replace(request, start_us=free_us)
        if kept:
            rest_us = request.total_us - request.connect_us
            made = replace(made, reused=True, connect_us=0, total_us=rest_us)
        heapq.heappush(connections, (made.end_us + 1, slot, made.end is End.KEPT))
        placed.append(made)
    return sorted(placed, key=lambda request: request.end_us)


def cut_at(load: Load, until_us: int, *, interrupted: bool) -> Load:
    """
    The load as it is if it ends then: of what is under way, the head and half of the body came.
    """
    under_way = [
        replace(request, body_bytes=request.body_bytes // 2, whole=False)
        for request in load.requests
        if request.start_us + request.connect_us + request.wait_us <= until_us < request.end_us
        and request.end in {End.KEPT, End.CLOSED}
    ]
    return replace(
        load,
        requests=tuple(request for request in load.requests if request.end_us <= until_us),
        under_way=tuple(under_way),
        duration_us=until_us,
        interrupted=interrupted,
    )
