"""
The program that takes the pulse of a load: ``python -m experiments.probes.beat``.

It says READY, beats until its standard input ends, and then prints all beats. It runs on the CPUs
of the stack and looks at the network namespace that it is in; standard library only, so that it
starts at once.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path

READY = "ready"
BEAT_S = 0.025
PIECES = 21
STEPS = 400
"""
A beat is so many equal pieces of work, each a loop of so many steps: about 0.4 milliseconds.

The loop stays in a CPU's nearest cache, so that what runs beside it, which is what is measured,
changes it as little as can be. Of the pieces the median counts: the kernel charges an interrupt to
whom it interrupts, and there are more of them beside Docker, so that the sum of all pieces would
feel the treatment (it was 7 per cent longer beside Docker as published).
"""

MOST_SHARE = 0.02
"""The pulse of a slow machine, such as an emulated one, is slower, so that it takes no more."""

TCP_COUNTERS = Path("/proc/self/net/snmp")


def fixed_work_us() -> float:
    """
    Do the fixed work; what it takes without interruptions, in microseconds.
    """
    pieces_ns = []
    for _ in range(PIECES):
        started_ns = time.perf_counter_ns()
        total = 0
        for step in range(STEPS):
            total += step
        pieces_ns.append(time.perf_counter_ns() - started_ns)
    return PIECES * sorted(pieces_ns)[PIECES // 2] / 1e3


def active_opens(text: str) -> int:
    """
    The connections that were opened, in a text like /proc/net/snmp.
    """
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])


def main() -> None:
    """
    Beat, each time on the next of the CPUs that there are.
    """
    cpus = sorted(os.sched_getaffinity(0))
    before = active_opens(TCP_COUNTERS.read_text())
    interval_s = max(BEAT_S, min(fixed_work_us() for _ in range(3)) / 1e6 / MOST_SHARE)
    print(READY, flush=True)
    started = time.monotonic()
    at_s, opened, work_us = [], [], []
    ended, beat = False, 0
    while not ended:
        wait_s = max(0.0, started + beat * interval_s - time.monotonic())
        # The last beat is taken when the load has ended.
        ended = bool(select.select([sys.stdin], [], [], wait_s)[0])
        if len(cpus) > 1:
            os.sched_setaffinity(0, {cpus[beat % len(cpus)]})
        at_s.append(round(time.monotonic() - started, 3))
        opened.append(active_opens(TCP_COUNTERS.read_text()) - before)
        work_us.append(round(fixed_work_us(), 1))
        # A beat that was missed is left out, not made up for.
        beat = max(beat + 1, int((time.monotonic() - started) / interval_s) + 1)
    print(json.dumps({"at_s": at_s, "opened": opened, "work_us": work_us}))


if __name__ == "__main__":
    main()
