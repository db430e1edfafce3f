"""
What each version of ab counts of what happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.ab_model.events import End

if TYPE_CHECKING:
    from tests.ab_model.events import Load, Request
    from tests.ab_model.versions import Version

RESET = "apr_socket_recv: Connection reset by peer (104)"
REFUSED = "\nTest aborted after 10 failures\n\napr_socket_connect(): Connection refused (111)"


@dataclass
class Counts:
    """
    ab's counters at the end, with the names of ``support/ab.c`` spelled out.

    ``counted`` are the requests of which ab keeps the times, which it calls done. ``ended_well`` is
    its variable ``good``. ``aborted`` is what it prints when it gives up.
    """

    server: str = ""
    document_length: int = 0
    ended_well: int = 0
    failed: int = 0
    failed_connect: int = 0
    failed_receive: int = 0
    failed_length: int = 0
    failed_exceptions: int = 0
    non_2xx: int = 0
    kept_alive: int = 0
    kept_alive_aborts: int = 0
    bytes_read: int = 0
    bytes_html: int = 0
    bytes_posted: int = 0
    counted: list[Request] = field(default_factory=list)
    aborted: str | None = None

    @property
    def done(self) -> int:
        """
        What ab calls complete, whether it was or not.
        """
        return len(self.counted)

    @property
    def good(self) -> int:
        """
        The truth that ab does not print: how many of them a client would be content with.
        """
        return sum(request.good for request in self.counted)


def count(version: Version, load: Load) -> Counts:
    """
    Count the requests one by one, as the version would have.
    """
    counts = Counts()
    for request in (*load.requests, *load.late):
        (_end_in_trunk if version.is_trunk else _end)(counts, request, version, load)
        if counts.aborted is not None:
            return counts
    for request in load.under_way:
        _read(counts, request, load)
    return counts


def _read(counts: Counts, request: Request, load: Load) -> None:
    """
    ``read_connection`` adds what comes at once, and looks at the status when the head is whole.

    A request without a whole head has no bytes of HTML. The server's name is in the heads that come
    before anything has ended well. ``write_request`` adds what was sent.
    """
    counts.bytes_posted += load.options.posted_bytes
    counts.bytes_read += request.head_bytes
    if request.status is not None:
        if counts.ended_well == 0:
            counts.server = load.server
        counts.bytes_read += request.body_bytes
        counts.bytes_html += request.body_bytes
        counts.non_2xx += request.status // 100 != 2


def _end(counts: Counts, request: Request, version: Version, load: Load) -> None:
    """
    ``read_connection``: an end of file and a whole answer end well, a failed read does not.

    1.3 takes a failed read for an end of file. 2.0 to 2.2.8 give up. Since 2.2.9, -r counts it
    under "Receive", and ``close_connection`` may count it under "Length", too. ``test``: if the
    poll reported an error, it counts under "Exceptions", whatever else happened (1.3: does not).
    """
    if request.end is End.REFUSED:
        # start_connect, test: not done. The twelfth failure is the end, in 1.3 the eleventh.
        if counts.failed > (9 if version.before(2) else 10):
            counts.aborted = REFUSED
        counts.failed += 1
        counts.failed_connect += 1
        return
    _read(counts, request, load)
    if request.end is not End.RESET or version.before(2):
        counts.ended_well += 1
    elif version.before(2, 2, 9) or not load.options.go_on:
        counts.aborted = RESET
        return
    else:
        counts.failed += 1
        counts.failed_receive += 1
    _close(counts, request, version, load)
    if request.polled and not version.before(2):
        counts.failed += 1
        counts.failed_exceptions += 1


def _close(counts: Counts, request: Request, version: Version, load: Load) -> None:
    """
    ``close_connection``, and the same lines in ``read_connection`` for a kept connection.

    While one request has ended well, the length of whatever ends is taken as the document's, also
    that of a failed read. Times are kept of as many requests as were asked for; before 2.2.9, a
    kept connection is counted before that is looked at.
    """
    length = 0 if request.status is None else request.body_bytes
    if counts.ended_well == 1:
        counts.document_length = length
    elif length != counts.document_length and not load.options.any_length:
        counts.failed += 1
        counts.failed_length += 1
    wanted = counts.done < load.options.asked
    if wanted:
        counts.counted.append(request)
    if request.end is End.KEPT and (wanted or version.before(2, 2, 9)):
        counts.kept_alive += 1


def _end_in_trunk(counts: Counts, request: Request, _: Version, load: Load) -> None:
    """
    ``finalize_connection``: a request fails once, or not at all; lengths differ without failures.

    Good is an answer with a whole head and, where the server keeps connections, with as many bytes
    as it announced. What fails is closed first, so that it is never in the state in which its
    length is compared: "Length" stays zero. A kept connection that is closed before the next answer
    is no request. ``try_reconnect``: what is refused is done; ab gives up only at first.
    """
    if request.reused and request.head_bytes == 0:
        counts.kept_alive -= 1
        counts.kept_alive_aborts += 1
        return
    lost = request.end is End.REFUSED or (request.end is End.RESET and not request.reused)
    if request.end is End.REFUSED:
        counts.failed_connect += 1
        if counts.ended_well == 0 and counts.failed_connect > 10:
            counts.aborted = REFUSED
    else:
        _read(counts, request, load)
        counts.failed_receive += lost
        if lost and not load.options.go_on:
            counts.aborted = RESET
    if not lost and request.status and (request.whole or not load.options.keep_alive):
        if counts.ended_well == 0:
            counts.document_length = request.body_bytes
        counts.ended_well += 1
    else:
        counts.failed += 1
    counts.counted.append(request)
    if request.end is End.KEPT and counts.done < load.options.asked:
        counts.kept_alive += 1
