"""
Samples beside a load: what they look at, and what they make of its good answers.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from pyroute2 import netns

from experiments.declare.workloads import choose_workload
from experiments.errors import LoadError, WrongAnswerError
from experiments.lab.cgroups import ControlGroup
from experiments.load import Client, LoadPlan, sampled
from experiments.load.sampled import ANSWERS_FILE, Sampled, Samples, judged, looks_good
from experiments.records.trials import Answer
from tests.unit.samples import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from experiments.records.trials import LoadResult

BODY = b'{"message":"fixed"}\n'
GOOD = b"HTTP/1.0 200 OK\r\n\r\n" + BODY
WRONG = GOOD.replace(b"fixed", b"mixed")
ERROR = b"HTTP/1.0 500 Broken\r\n\r\n{}"
CLIENT = Client("", ControlGroup("client", []))
PLAN = LoadPlan(
    "198.18.0.1:3000",
    choose_workload("fixed"),
    250,
    50,
    30,
    reference=Answer(200, len(BODY), ""),
    seed="1",
)


@contextmanager
def serving(answer: Callable[[int], bytes | None]) -> Iterator[str]:
    """
    A server that gives the answers to its requests by their number, from 0; None for no answer.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as held:

        def serve() -> None:
            for number in itertools.count():
                with ExitStack() as used:
                    connection = used.enter_context(listener.accept()[0])
                    if not connection.recv(65536):
                        return
                    content = answer(number)
                    if content is None:
                        held.push(used.pop_all())
                    else:
                        connection.sendall(content)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        yield f"{host}:{port}"
        # A connection without a request is its end.
        socket.create_connection((host, port)).close()
        thread.join(10)


class Loads:
    """
    A load generator whose load takes so long, or breaks off.
    """

    name = "ab"

    def __init__(self, seconds: float, *, breaks: bool = False) -> None:
        """
        Nothing is loaded.
        """
        self._seconds = seconds
        self._breaks = breaks

    def run(self, plan: LoadPlan, _client: Client, _directory: Path) -> LoadResult:
        """
        A load without a bad answer.
        """
        time.sleep(self._seconds)
        if self._breaks:
            msg = "ab gave up"
            raise LoadError(msg)
        return structs.replace(load(500.0), requests=plan.requests)

    def times_ms(self, _directory: Path) -> Counter[int]:
        """
        Two milliseconds.
        """
        return Counter({2: 1})


@pytest.fixture
def no_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    There is no namespace to join.
    """
    monkeypatch.setattr(netns, "setns", lambda *_, **__: None)


@pytest.mark.usefixtures("no_lab")
def test_whole_answers_are_taken_beside_a_load_and_kept(tmp_path: Path) -> None:
    """
    The same number for every load of this length; what is wrong in them is missing in good answers.
    """
    with serving(lambda number: [GOOD, WRONG][number]) as address:
        plan = dataclasses.replace(PLAN, address=address)
        found = Sampled(Loads(0.3)).run(plan, CLIENT, tmp_path)
    assert (found.sampled, found.sampled_bad, found.requests_ok) == (2, 1, 500)
    kept = json.loads((tmp_path / ANSWERS_FILE).read_text())
    assert [answer.encode("latin-1") for answer in kept] == [GOOD, WRONG]


@pytest.mark.usefixtures("no_lab")
def test_no_sample_is_sent_after_the_load(tmp_path: Path) -> None:
    """
    It would look at a stack that is not under load.
    """
    plan = dataclasses.replace(PLAN, requests=1000, expected_s=1e4)
    found = Sampled(Loads(0)).run(plan, CLIENT, tmp_path)
    assert (found.sampled, found.sampled_bad, found.requests_ok) == (0, 0, 1000)


@pytest.mark.usefixtures("no_lab")
def test_a_load_that_breaks_off_ends_its_samples(tmp_path: Path) -> None:
    """
    However long an answer takes.
    """
    began = time.monotonic()
    with serving(lambda _: None) as address:
        plan = dataclasses.replace(PLAN, address=address)
        with pytest.raises(LoadError, match="ab gave up"):
            Sampled(Loads(0.3, breaks=True)).run(plan, CLIENT, tmp_path)
    assert time.monotonic() - began < sampled.TIMEOUT_S / 2


def test_a_load_without_a_reference_has_no_samples(tmp_path: Path) -> None:
    """
    The length artefact is loaded before it can answer well.
    """
    plan = dataclasses.replace(PLAN, reference=None)
    assert Sampled(Loads(0)).run(plan, CLIENT, tmp_path).sampled == 0
    assert not list(tmp_path.iterdir())


def test_samples_are_spread_over_the_load_by_their_seed() -> None:
    """
    The same moments for the same seed, in order, and all within the expected time.
    """

    def moments_s(seed: str) -> list[float]:
        plan = dataclasses.replace(PLAN, requests=1000, expected_s=2.0, seed=seed)
        return Samples(plan)._moments_s

    first = moments_s("1")
    assert first == moments_s("1") == sorted(first)
    assert first != moments_s("2")
    assert len(first) == 8
    assert first[0] > 0
    assert first[-1] < 2
    assert len(Samples(dataclasses.replace(PLAN, requests=20))._moments_s) == 1


@pytest.mark.parametrize(
    ("answer", "length", "looks"),
    [
        (GOOD, len(BODY), True),
        (WRONG, len(BODY), True),
        (GOOD, len(BODY) + 1, False),
        (ERROR, None, False),
        (b"", len(BODY), False),
        # With -l, a connection that is closed without an answer is a good answer to ab.
        (b"", None, True),
        (GOOD, None, True),
    ],
)
def test_only_what_looks_good_to_ab_is_judged(
    answer: bytes, length: int | None, *, looks: bool
) -> None:
    """
    Ab counts the rest itself, and nothing is counted twice.
    """
    assert looks_good(answer, length) is looks


def test_a_wrong_sample_takes_its_share_of_the_good_answers() -> None:
    """
    Rounded down, so that none is without effect.
    """
    of_ab = structs.replace(load(250.0, non_2xx=10))
    found = judged(of_ab, PLAN, [GOOD, WRONG, ERROR, GOOD])
    assert (found.sampled, found.sampled_bad) == (4, 1)
    assert found.requests_ok == 660
    assert judged(of_ab, PLAN, [GOOD, ERROR]).requests_ok == 990
    assert judged(of_ab, PLAN, []).requests_ok == 990


def test_a_load_whose_samples_are_all_wrong_is_an_error_with_the_body() -> None:
    """
    There is no good answer to measure.
    """
    why = r"all 2 answers .* under load were wrong: workload fixed .*mixed[\S\s]* should contain"
    with pytest.raises(WrongAnswerError, match=why):
        judged(load(250.0), PLAN, [WRONG, ERROR, WRONG])


@settings(derandomize=True, deadline=None)
@given(st.binary())
def test_no_answer_of_a_service_breaks_a_trial_otherwise(answer: bytes) -> None:
    """
    Whatever it is, it is good, counted as bad, or a wrong answer.
    """
    for each in (answer, b"HTTP/1.0 200 OK\r\n\r\n" + answer):
        with suppress(WrongAnswerError):
            assert judged(load(250.0), PLAN, [each, GOOD]).requests_ok in {500, 1000}


def test_answers_whose_length_varies_are_judged_by_their_content() -> None:
    """
    A growing number makes no wrong answer.
    """
    plan = dataclasses.replace(PLAN, workload=choose_workload("orders"))
    order = {"product_id": 1, "quantity": 2, "status": "created"}
    answers = [
        b"HTTP/1.0 201 Created\r\n\r\n" + json.dumps({"id": number, **order}).encode()
        for number in (9, 10)
    ]
    found = judged(load(250.0), plan, answers)
    assert (found.sampled, found.sampled_bad, found.requests_ok) == (2, 0, 1000)
    assert judged(load(250.0), plan, [*answers, b"", b""]).requests_ok == 500
