"""
Samples beside a load: a few requests of its own, whose whole answers are looked at.

ab looks at the status and the length of every answer, and at no body. So a thread of the runner, in
the client's network namespace and on the client's CPU, sends some of the same requests at moments
drawn beforehand. A check before or after a load would miss an answer that is wrong only under load.
All variants get the same number, so what it costs is the same in both arms.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import structs
from pyroute2 import netns

from experiments.errors import WrongAnswerError
from experiments.load.open_client import CHUNK_BYTES, request_of, split_answer

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from experiments.load import Client, LoadGenerator, LoadPlan
    from experiments.records.trials import LoadResult

REQUESTS_PER_SAMPLE = 125
"""A load has one sample for so many requests, at least one: less than one per cent more work."""

TIMEOUT_S = 30
"""The time for one sample, as for ab's requests."""

STARTING_S = 0.03
"""About the time that ab takes to start; no sample comes before."""

LATEST = 0.8
"""The last moment of a sample, as a share of the expected duration of the load."""

MOST_BYTES = 2**24
"""More of an answer is not read."""

ANSWERS_FILE = "sampled-answers.json"


class Sampled:
    """
    A load generator with samples beside its loads; see ``experiments.load.LoadGenerator``.

    A load without a reference answer has none.
    """

    def __init__(self, inner: LoadGenerator) -> None:
        """
        ``inner`` makes the loads.
        """
        self._inner = inner
        self.name = inner.name

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Run one load; sampled answers are stored before they are looked at.

        Raises WrongAnswerError if all of them were wrong.
        """
        if plan.reference is None:
            return self._inner.run(plan, client, directory)
        samples = Samples(plan)
        with ThreadPoolExecutor(max_workers=1) as executor:
            sampling = executor.submit(samples.take, client.network_namespace_path)
            try:
                load = self._inner.run(plan, client, directory)
            except BaseException:
                samples.break_off()
                raise
            samples.over.set()
        answers = sampling.result()
        text = json.dumps([answer.decode("latin-1") for answer in answers], indent=1)
        (directory / ANSWERS_FILE).write_text(text)
        return judged(load, plan, answers)

    def times_ms(self, directory: Path) -> Counter[int]:
        """
        The times of the load itself; samples are not in it.
        """
        return self._inner.times_ms(directory)


class Samples:
    """
    The samples of one load; after ``over``, no further one is sent.
    """

    def __init__(self, plan: LoadPlan) -> None:
        """
        Draw the moments, which are the same for the same seed.
        """
        self.over = threading.Event()
        self._plan = plan
        draw = random.Random(plan.seed)  # noqa: S311 - moments need no cryptography
        span_s = LATEST * plan.expected_s
        count = max(1, plan.requests // REQUESTS_PER_SAMPLE)
        self._moments_s = sorted(STARTING_S + span_s * draw.random() for _ in range(count))
        self._connection: socket.socket | None = None

    def take(self, network_namespace_path: str) -> list[bytes]:
        """
        Send the samples from this thread, which joins the namespace, and return the answers.

        Like ab, it takes what came before the connection ended as the answer.
        """
        # A thread can join a network namespace without the rest of the process.
        netns.setns(network_namespace_path, flags=0, fork=False)
        host, _, port = self._plan.address.rpartition(":")
        request = request_of(self._plan.address, self._plan.workload)
        began = time.monotonic()
        answers = []
        for moment_s in self._moments_s:
            if self.over.wait(max(0.0, began + moment_s - time.monotonic())):
                break
            answers.append(self._ask((host, int(port)), request))
        return answers

    def break_off(self) -> None:
        """
        End them now, because the load has failed.
        """
        self.over.set()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def _ask(self, address: tuple[str, int], request: bytes) -> bytes:
        deadline = time.monotonic() + TIMEOUT_S
        answer = bytearray()
        with suppress(OSError), socket.create_connection(address, TIMEOUT_S) as connection:
            self._connection = connection
            connection.sendall(request)
            while chunk := connection.recv(CHUNK_BYTES):
                answer += chunk
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                if len(answer) > MOST_BYTES:
                    break
        self._connection = None
        return bytes(answer)


def judged(load: LoadResult, plan: LoadPlan, answers: list[bytes]) -> LoadResult:
    """
    The load with its good answers reduced by the share of the samples that is wrong.

    Only samples count that look good to ab, because it counts the others itself. Raises
    WrongAnswerError if all of these are wrong.
    """
    unseen = [answer for answer in answers if looks_good(answer, plan.length)]
    faults = [plan.workload.fault_in(*split_answer(each), plan.length) for each in unseen]
    wrong = [fault for fault in faults if fault]
    if wrong and len(wrong) == len(unseen):
        msg = f"all {len(wrong)} answers that were sampled under load were wrong: {wrong[0]}"
        raise WrongAnswerError(msg)
    good = load.requests_ok * (len(unseen) - len(wrong)) // len(unseen) if wrong else None
    return structs.replace(
        load,
        requests_ok=load.requests_ok if good is None else good,
        sampled=len(answers),
        sampled_bad=len(wrong),
    )


def looks_good(answer: bytes, length: int | None) -> bool:
    """
    Whether ab counts an answer as good: by its status, and by its length if that is known.

    With ``-l``, it counts a connection that is closed without an answer, too.
    """
    if not answer:
        return length is None
    status, body = split_answer(answer)
    return 200 <= status < 300 and length in {None, len(body)}
