"""
The pulse of a load: how far it is, and how slow the machine is, some twenty times a second.

The speed of a shared machine's CPUs changes by several per cent within seconds, for all of its
CPUs alike, and that is most of the noise between two trials. A fixed piece of work, timed by its
own CPU time on the client's CPU, shows that speed and knows nothing of what is measured; the
analysis takes it out. Each beat costs about a millisecond of a CPU that is nearly idle, in every
trial the same.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyroute2 import netns

from experiments.records import Pulse

if TYPE_CHECKING:
    from collections.abc import Iterator

BEAT_S = 0.05
WORK = 10_000
"""Steps of the fixed piece of work; about a millisecond."""

TCP_COUNTERS = "/proc/thread-self/net/snmp"
"""Of the network namespace in which it was opened, also when it is read again later."""


class Beats:
    """
    Takes a beat every BEAT_S seconds, in a thread of its own, until it is stopped.
    """

    def __init__(self, network_namespace: str) -> None:
        """
        ``network_namespace`` is the client's, as a path; nothing is read yet.
        """
        self._namespace = network_namespace
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._rows: list[tuple[float, int, float]] = []
        self._fault: Exception | None = None

    def start(self) -> None:
        """
        Begin; the first beat is counted from here.
        """
        self._thread.start()
        self._ready.wait()

    def stop(self) -> Pulse:
        """
        Take the last beat and give all of them back.

        Raises what the thread failed by.
        """
        self._stop.set()
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        return Pulse(
            at_s=[round(at, 3) for at, _, _ in self._rows],
            opened=[opened for _, opened, _ in self._rows],
            work_us=[round(work_us, 1) for _, _, work_us in self._rows],
        )

    def _run(self) -> None:
        try:
            # A thread can be in another network namespace than the rest of its process.
            netns.setns(self._namespace, flags=0, fork=False)
            with Path(TCP_COUNTERS).open("rb", buffering=0) as counters:
                self._beat(counters.fileno())
        except Exception as error:  # noqa: BLE001 - raised again by who stops it
            self._fault = error
        finally:
            self._ready.set()

    def _beat(self, counters: int) -> None:
        before = opened_connections(counters)
        started = time.monotonic()
        self._ready.set()
        beat = 0
        while not self._stop.wait(max(0.0, started + beat * BEAT_S - time.monotonic())):
            at = time.monotonic() - started
            opened = opened_connections(counters) - before
            self._rows.append((at, opened, fixed_work_us()))
            # A beat that was missed is left out, not made up for.
            beat = max(beat + 1, int((time.monotonic() - started) / BEAT_S) + 1)
        at = time.monotonic() - started
        self._rows.append((at, opened_connections(counters) - before, fixed_work_us()))


@contextmanager
def beating(network_namespace: str) -> Iterator[Beats]:
    """
    Beats while a load runs; when that fails they end too.
    """
    beats = Beats(network_namespace)
    beats.start()
    try:
        yield beats
    except BaseException:
        beats.stop()
        raise


def fixed_work_us() -> float:
    """
    Do the fixed piece of work; the CPU time that it took, in microseconds.
    """
    started_ns = time.thread_time_ns()
    total = 0
    for step in range(WORK):
        total += step
    return (time.thread_time_ns() - started_ns) / 1e3


def opened_connections(counters: int) -> int:
    """
    The connections that were opened from a network namespace so far; a file descriptor of it.
    """
    os.lseek(counters, 0, os.SEEK_SET)
    return active_opens(os.read(counters, 65536).decode())


def active_opens(text: str) -> int:
    """
    The counter ActiveOpens in a text like /proc/net/snmp.
    """
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])
