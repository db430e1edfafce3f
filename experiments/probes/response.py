"""
The check of the answer before any load: status and body must be as expected.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyroute2 import netns

from experiments.declare.workloads import contains
from experiments.errors import NoAnswerError, TooSlowError, WrongAnswerError
from experiments.records.trials import Answer, Check

if TYPE_CHECKING:
    from experiments.declare.workloads import Workload

TIMEOUT_S = 30
SHOWN_CHARACTERS = 300
ANSWERS = 4
"""Answers to check: with round-robin over two backends, two from each."""


def check_answers(
    network_namespace_path: str, address: str, workload: Workload
) -> tuple[Check, float]:
    """
    Send a few requests and compare the answers with the workload's expectation.

    Returns the check, and the time of the first answer on the monotonic clock. Raises
    WrongAnswerError with the answer if it is not as expected, and TooSlowError or NoAnswerError if
    there is none.
    """
    # In a thread, which can join a network namespace without the rest of the process.
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(netns.setns, network_namespace_path, flags=0, fork=False).result()
        answers = [executor.submit(_ask, address, workload).result()]
        answered_at = time.monotonic()
        answers += [executor.submit(_ask, address, workload).result() for _ in range(ANSWERS - 1)]
    for status, body, _ in answers:
        _compare(status, body, workload)
    status, body, server = answers[-1]
    last = Answer(status, len(body), hashlib.sha256(body).hexdigest())
    return Check(address, len(answers), server, last), answered_at


def _ask(address: str, workload: Workload) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        if workload.post_json is None:
            connection.request("GET", workload.path)
        else:
            body = json.dumps(workload.post_json)
            headers = {"Content-Type": "application/json"}
            connection.request("POST", workload.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Server", "")
    except TimeoutError as error:
        msg = f"http://{address}{workload.path} does not answer within {TIMEOUT_S} s"
        raise TooSlowError(msg) from error
    except (OSError, http.client.HTTPException) as error:
        msg = f"http://{address}{workload.path} does not answer: {error!r}"
        raise NoAnswerError(msg) from error
    finally:
        connection.close()


def _compare(status: int, body: bytes, workload: Workload) -> None:
    shown = body[:SHOWN_CHARACTERS].decode(errors="replace")
    where = f"workload {workload.name} ({workload.path})"
    if status != workload.expect_status:
        msg = f"{where}: status {status}, expected {workload.expect_status}; the body: {shown}"
        raise WrongAnswerError(msg)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = f"{where}: the body is not JSON: {shown}"
        raise WrongAnswerError(msg) from error
    if not contains(content, workload.expect_json):
        expected = json.dumps(workload.expect_json)[:SHOWN_CHARACTERS]
        msg = f"{where}: the body is {shown}, but should contain {expected}"
        raise WrongAnswerError(msg)
