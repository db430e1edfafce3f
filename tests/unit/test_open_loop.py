"""
The open loop: seeded schedules, and real requests to a real server that stalls, refuses or lies.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import socket
import statistics
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from scipy import stats

from analysis.topics.latency.findings import HEADER as HEADER_READ
from analysis.topics.latency.findings import quantile_us, read_log
from experiments.declare.workloads import choose_workload
from experiments.errors import LoadError
from experiments.lab.cgroups import ControlGroup
from experiments.load import Client
from experiments.load.open_client import HEADER, Schedule, request_of, status_of
from experiments.load.open_loop import OpenLoop, OpenPlan, result_of, schedule_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BODY = b'{"message":"fixed"}\n'
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)

CLIENT = Client("", ControlGroup("client", []))


def plan(address: str, rate_per_s: float, requests: int, connections: int = 64) -> OpenPlan:
    """
    A load of the constant answer at the common rate.
    """
    workload = choose_workload("fixed")
    return OpenPlan(address, workload, rate_per_s, requests, "1", 30, None, connections)


@contextmanager
def serving(answer: Callable[[int, bytes], bytes]) -> Iterator[str]:
    """
    A server that takes one request after the other; ``answer`` gets its number, from 0, and bytes.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def serve() -> None:
            for number in itertools.count():
                connection, _ = listener.accept()
                with connection:
                    request = connection.recv(65536)
                    if not request:
                        return
                    connection.sendall(answer(number, request))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        yield f"{host}:{port}"
        # A connection without a request is its end.
        socket.create_connection((host, port)).close()
        thread.join(10)


@pytest.fixture
def no_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The client is started right here, in no namespace and no control group.
    """
    monkeypatch.setattr(
        "experiments.load.open_loop.launch_command", lambda _group, _namespace, command: command
    )


def rows(log: Path) -> list[list[int]]:
    """
    The lines of a log, as numbers.
    """
    header, *lines = log.read_text().splitlines()
    assert header == HEADER
    return [[int(cell) for cell in line.split(",")] for line in lines]


def test_a_schedule_is_its_seed_s() -> None:
    """
    The same arguments give the same starts, another seed gives others.
    """
    assert schedule_us(50, 100, "1") == schedule_us(50, 100, "1")
    assert schedule_us(50, 100, "1") != schedule_us(50, 100, "2")


def test_a_schedule_is_a_poisson_process_of_its_rate() -> None:
    """
    Gaps have the mean that was asked for, vary as much as it is, and pass for exponential ones.
    """
    starts = schedule_us(200, 20_000, "1")
    gaps = [after - before for before, after in itertools.pairwise([0, *starts])]
    assert starts == sorted(starts)
    assert statistics.fmean(gaps) == pytest.approx(5000, rel=0.03)
    assert statistics.stdev(gaps) / statistics.fmean(gaps) == pytest.approx(1, abs=0.03)
    assert stats.kstest(gaps, "expon", args=(0, 5000)).pvalue > 0.01


def test_a_schedule_without_a_rate_is_refused() -> None:
    """
    It would never send anything.
    """
    with pytest.raises(ValueError, match="a rate above 0 per second, not 0"):
        schedule_us(0, 10, "1")


def test_the_analysis_knows_the_log_by_the_same_header() -> None:
    """
    It imports nothing of the generators, so this holds the two together.
    """
    assert HEADER_READ == HEADER


@pytest.mark.usefixtures("no_lab")
def test_every_request_is_sent_by_the_schedule_and_logged(tmp_path: Path) -> None:
    """
    Never before its intended start, and in its order.
    """
    raw = tmp_path / "raw" / "1"
    raw.mkdir(parents=True)
    with serving(lambda _number, _request: ANSWER) as address:
        load = OpenLoop().run(plan(address, 200, 50), CLIENT, raw, tmp_path)
    assert (load.requests_completed, load.requests_ok) == (50, 50)
    assert load.log == "raw/1/open-common.csv"
    found = rows(tmp_path / load.log)
    assert [row[0] for row in found] == schedule_us(200, 50, "1")
    assert all(intended <= sent <= done for intended, sent, done, *_ in found)
    assert {(status, good) for *_, status, good in found} == {(200, 1)}
    assert load.latest_us == max(sent - intended for intended, sent, *_ in found)
    span_us = max(row[2] for row in found) - found[0][0]
    assert load.achieved_per_s == pytest.approx(50e6 / span_us)
    assert '"cpu_s"' in (raw / "open-common.txt").read_text()


@pytest.mark.usefixtures("no_lab")
def test_a_stall_is_in_the_corrected_latency_only(tmp_path: Path) -> None:
    """
    One answer takes a second: as sent one request waited, as intended about a hundred did.
    """

    def stalling(number: int, _request: bytes) -> bytes:
        if number == 20:
            time.sleep(1)
        return ANSWER

    with serving(stalling) as address:
        wanted = plan(address, 100, 200, connections=1)
        load = OpenLoop().run(wanted, CLIENT, tmp_path, tmp_path)
    assert load.requests_ok == 200
    log = read_log(tmp_path, load.log)
    assert quantile_us(log.corrected_us, "p99") > 500_000
    assert quantile_us(log.uncorrected_us, "p99") < 250_000


@pytest.mark.usefixtures("no_lab")
def test_a_workload_s_body_is_posted(tmp_path: Path) -> None:
    """
    As JSON, with its length.
    """
    seen = []

    def keeping(_number: int, request: bytes) -> bytes:
        seen.append(request)
        body = {"id": len(seen), "product_id": 1, "quantity": 2, "status": "created"}
        return b"HTTP/1.1 201 Created\r\n\r\n" + json.dumps(body).encode()

    with serving(keeping) as address:
        wanted = dataclasses.replace(
            plan(address, 500, 3), workload=choose_workload("orders"), fraction=0.3
        )
        load = OpenLoop().run(wanted, CLIENT, tmp_path, tmp_path)
    assert (load.requests_ok, load.log) == (3, "open-030.csv")
    assert seen[0].startswith(b"POST /api/orders HTTP/1.0\r\n")
    body = b'{"product_id": 1, "quantity": 2}'
    assert b"\r\nContent-length: %d\r\n" % len(body) in seen[0]
    assert seen[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.usefixtures("no_lab")
def test_refused_connections_are_failed_requests(tmp_path: Path) -> None:
    """
    With status 0, and no rate; the load ends with the last of them, and not at its limit.
    """
    started = time.monotonic()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        load = OpenLoop().run(plan(address, 500, 20), CLIENT, tmp_path, tmp_path)
    assert time.monotonic() - started < 20
    assert (load.requests_completed, load.requests_ok, load.achieved_per_s) == (0, 0, 0)
    assert [row[3] for row in rows(tmp_path / load.log)] == [0] * 20


@pytest.mark.usefixtures("no_lab")
def test_other_statuses_are_completed_but_not_ok(tmp_path: Path) -> None:
    """
    And an answer that is cut off is neither.
    """
    answers = [ANSWER, b"HTTP/1.0 503 Busy\r\n\r\n", ANSWER[:-1], b"", b"rubbish"]
    with serving(lambda number, _request: answers[number]) as address:
        load = OpenLoop().run(plan(address, 500, 5, connections=1), CLIENT, tmp_path, tmp_path)
    assert (load.requests_completed, load.requests_ok) == (2, 1)
    assert [row[3:] for row in rows(tmp_path / load.log)] == [
        [200, 1],
        [503, 0],
        *[[0, 0]] * 3,
    ]


@pytest.mark.usefixtures("no_lab")
def test_a_wrong_body_is_completed_but_not_ok(tmp_path: Path) -> None:
    """
    Of the same length or of another, and as slow as any failed request in the latencies.
    """
    answers = [
        ANSWER,
        ANSWER.replace(b"fixed", b"mixed"),
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY.strip(),
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    ]
    wanted = dataclasses.replace(plan("", 500, 4, connections=1), length=len(BODY))
    with serving(lambda number, _request: answers[number]) as address:
        load = OpenLoop().run(
            dataclasses.replace(wanted, address=address), CLIENT, tmp_path, tmp_path
        )
    assert (load.requests_completed, load.requests_ok) == (4, 2)
    log = tmp_path / load.log
    assert [row[4] for row in rows(log)] == [1, 0, 0, 1]
    assert read_log(tmp_path, load.log).failed == 2
    # A client that looked at no body wrote no such column.
    log.write_text("\n".join(line.rpartition(",")[0] for line in log.read_text().splitlines()))
    assert read_log(tmp_path, load.log).failed == 0


def test_what_has_no_answer_at_the_limit_has_failed_there() -> None:
    """
    Also what was never sent, so that a log has every request.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        schedule = Schedule((host, port), b"GET", [0, 1000, 900_000], 1)
        schedule.run(0.2)
    log = schedule.log(lambda status, _body: status == 200)
    lines = [[int(cell) for cell in line.split(",")] for line in log.splitlines()[1:]]
    assert [line[3] for line in lines] == [0, 0, 0]
    assert lines[0][2] >= 200_000
    assert lines[1][1] == lines[1][2] >= 200_000
    assert lines[2] == [900_000] * 3 + [0, 0]


def test_a_request_without_an_answer_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Counted from when it was sent; the next one then has its place.
    """
    monkeypatch.setattr("experiments.load.open_client.REQUEST_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        schedule = Schedule((host, port), b"GET", [0, 1000], 1)
        schedule.run(10)
    assert list(schedule.status) == [0, 0]
    assert schedule.done_us[0] - schedule.sent_us[0] >= 100_000
    assert schedule.sent_us[1] >= schedule.done_us[0]


def test_a_server_that_closes_late_has_not_answered_late() -> None:
    """
    Its close is awaited, and is no part of the latency.
    """
    held_s = 0.5
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(ANSWER)
                time.sleep(held_s)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        schedule = Schedule(listener.getsockname(), b"GET", [0], 1)
        began = time.monotonic()
        schedule.run(10)
        took_us = (time.monotonic() - began) * 1e6
        thread.join(10)
    assert list(schedule.status) == [200]
    assert took_us - schedule.done_us[0] >= held_s * 0.9e6


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (ANSWER, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.0 200 OK\r\ncontent-length:2\r\n\r\n{}", 200),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n{}", 0),
        (b"HTTP/1.0 200 OK\r\n", 0),
        (b"SSH-2.0 200\r\n\r\n", 0),
        (b"HTTP/1.0\r\n\r\n", 0),
        (b"", 0),
    ],
)
def test_only_a_whole_answer_has_a_status(answer: bytes, status: int) -> None:
    """
    The rest is as good as none.
    """
    assert status_of(answer) == status


def test_a_request_is_ab_s() -> None:
    """
    One connection each.
    """
    assert request_of("198.18.0.1:3000", choose_workload("fixed")) == (
        b"GET /api/fixed HTTP/1.0\r\nHost: 198.18.0.1:3000\r\n"
        b"User-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with intended_us"),
        (f"{HEADER}\n1,2,3,200,1\n", "has 1 requests, but the plan has 2"),
        (f"{HEADER}\n1,2,3,200,1\n1,2\n", "request 2, is not five numbers"),
        (f"{HEADER}\n1,2,x,200,1\n", "request 1, is not five numbers"),
        (f"{HEADER}\n1,2,1,200,1\n", "in order: it was to start at 1, did at 2, ended at 1"),
        (f"{HEADER}\n-1,2,3,200,1\n", "in order: it was to start at -1"),
    ],
)
def test_a_broken_log_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    """
    That says what is wrong with it.
    """
    log = tmp_path / "open-common.csv"
    log.write_text(text)
    with pytest.raises(LoadError, match=message):
        result_of(log, plan("127.0.0.1:1", 1, 2), "open-common.csv")


@pytest.mark.parametrize(
    ("script", "message", "text"),
    [
        ("echo no; exit 3", "status 3: no; its whole output is in open-common.txt", "no\n"),
        ("echo slow; exec sleep 60", "did not finish 2 requests to 127.0.0.1:1", "slow\n"),
        ("true", "the open loop wrote no log", ""),
    ],
)
def test_a_client_that_fails_or_hangs_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str, text: str
) -> None:
    """
    With what it printed kept.
    """
    monkeypatch.setattr(
        "experiments.load.open_loop.launch_command",
        lambda _group, _namespace, _command: ["sh", "-c", script],
    )
    monkeypatch.setattr("experiments.load.open_loop.GRACE_S", 0)
    wanted = dataclasses.replace(plan("127.0.0.1:1", 1, 2), limit_s=0.5)
    with pytest.raises(LoadError, match=message):
        OpenLoop().run(wanted, CLIENT, tmp_path, tmp_path)
    assert (tmp_path / "open-common.txt").read_text() == text
