"""
The check of the answer before any load: status and body must be as expected.
"""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pyroute2 import netns

from experiments.declare.workloads import shown
from experiments.errors import NoAnswerError, TooSlowError, WrongAnswerError
from experiments.records.trials import Answer, Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from experiments.declare.workloads import Workload

TIMEOUT_S = 30
MOST_BYTES = 2**26
"""The longest body that is read: an endless one would fill the memory."""

ANSWERS = 4
"""Answers to check: with round-robin over two backends, two from each."""


PATIENCE_S = 30.0
"""The time in which a service without a health check, or one behind it, begins to answer."""

RETRY_S = 0.02
NOT_YET = (502, 503, 504)
"""Answers of a gateway whose own services do not answer."""


def check_answers(
    network_namespace_path: str,
    address: str,
    workload: Workload,
    may_begin: Callable[[], bool] = lambda: False,
) -> tuple[Check, float]:
    """
    Send a few requests and compare the answers with the workload's expectation.

    A service that does not answer yet is asked again for half a minute, as long as it
    ``may_begin`` to. Returns the check, and the time of the first answer on the monotonic clock.
    Raises WrongAnswerError with the answer if it is not as expected, and TooSlowError or
    NoAnswerError if there is none.
    """
    # In a thread, which can join a network namespace without the rest of the process.
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(netns.setns, network_namespace_path, flags=0, fork=False).result()
        answers = [executor.submit(_ask_patiently, address, workload, may_begin).result()]
        answered_at = time.monotonic()
        answers += [executor.submit(_ask, address, workload).result() for _ in range(ANSWERS - 1)]
    for status, body, _ in answers:
        if fault := workload.fault_in(status, body, len(answers[0][1])):
            raise WrongAnswerError(fault)
    status, body, server = answers[-1]
    last = Answer(status, len(body), hashlib.sha256(body).hexdigest())
    return Check(address, len(answers), server, last), answered_at


def _ask_patiently(
    address: str, workload: Workload, may_begin: Callable[[], bool]
) -> tuple[int, bytes, str]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            answer = _ask(address, workload)
        except NoAnswerError:
            if time.monotonic() >= deadline or not may_begin():
                raise
        else:
            if answer[0] not in NOT_YET or time.monotonic() >= deadline or not may_begin():
                return answer
        time.sleep(RETRY_S)


def _ask(address: str, workload: Workload) -> tuple[int, bytes, str]:
    where = f"http://{address}{workload.path}"
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    late = threading.Event()
    try:
        connection.connect()
        with _closing_in_time(connection.sock, late):
            headers = dict(workload.headers)
            if workload.content is not None:
                headers["Content-Type"] = workload.content_type
            connection.request(workload.verb, workload.path, workload.content, headers)
            # It takes the connection over where the server closes after its answer.
            with connection.getresponse() as answer:
                content = answer.read(MOST_BYTES)
                missing = answer.length or 0
        if late.is_set():
            raise TimeoutError
        if len(content) == MOST_BYTES:
            msg = f"{where}: the body is longer than {MOST_BYTES / 1e6:g} MB: {shown(content)}"
            raise WrongAnswerError(msg)
        if missing:
            msg = (
                f"{where}: the body ends after {len(content)} of {len(content) + missing} bytes: "
                f"{shown(content)}"
            )
            raise WrongAnswerError(msg)
        return answer.status, content, answer.getheader("Server", "")
    except (OSError, http.client.HTTPException) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            msg = f"{where} does not answer within {TIMEOUT_S} s"
            raise TooSlowError(msg) from error
        if isinstance(error, OSError):
            msg = (
                f"{where} does not answer: {error}; does the service listen on this port, and on "
                "0.0.0.0?"
            )
            raise NoAnswerError(msg) from error
        msg = f"{where} answers something else than HTTP: {error!r}"
        raise WrongAnswerError(msg) from error
    finally:
        connection.close()


@contextmanager
def _closing_in_time(connection: socket.socket, late: threading.Event) -> Iterator[None]:
    """
    Close a connection at the time limit, which a socket only has for each piece of an answer.
    """

    def give_up() -> None:
        late.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(TIMEOUT_S, give_up)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
