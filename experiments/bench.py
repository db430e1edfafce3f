"""
How long every phase takes, over several trials each, beside what it is meant to take.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

from experiments.errors import HostError
from experiments.lab import userland
from experiments.lab.lab import Lab
from experiments.lock import RunLock
from experiments.machines.host_packages import TO_BUILD, TO_ENTER, ensure
from experiments.options import PROJECT
from experiments.records import OK, latest_run, read_manifest, read_trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.lab.userland import Userland

REPEATS = 5
PROBE_PAIRS_PER_REPEAT = 3
"""What the probes cost is small, so more pairs of trials are needed to see it."""

INVOCATION_TIMEOUT_S = 300
RUN_TIMEOUT_S = 900


@dataclass(frozen=True)
class Timing:
    """
    One phase: what was measured each time, and the most that its median should be.
    """

    phase: str
    unit: str
    values: list[float]
    target: float

    def row(self) -> list[str]:
        """
        The phase as a row of cells.
        """
        middle = statistics.median(self.values)
        over = middle / self.target - 1
        return [
            self.phase,
            str(len(self.values)),
            f"{middle:.2f} {self.unit}",
            f"{min(self.values):.2f} to {max(self.values):.2f}",
            f"{self.target:g} {self.unit}",
            self._met(over),
        ]

    def _met(self, over: float) -> str:
        if over > 0:
            return f"no, {over:.0%} over"
        # Where single ones are beyond the target, noise may have decided about the median.
        return "yes" if max(self.values) <= self.target else "in the median only"


def bench(arguments: Sequence[str], cache: Path) -> int:
    """
    Measure every phase and print the table; 0, whether the targets are met or not.

    Raises HostError when something that is to be timed fails.
    """
    parser = argparse.ArgumentParser(
        prog="nox -s bench",
        usage="nox -s bench -- [--repeats N] [--userland-builds N]",
        description="Time every phase beside its target. The machine should be idle meanwhile.",
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N")
    parser.add_argument(
        "--userland-builds",
        type=int,
        default=REPEATS,
        metavar="N",
        help="builds of the userland from nothing, 0 to leave it out. Default: %(default)s",
    )
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        msg = "timing the lab needs root; run `nox -s bench` as root"
        raise HostError(msg)
    ensure([*TO_ENTER, *TO_BUILD])
    say("lab entry")
    with RunLock():
        built = userland.find(cache) or userland.build(cache)
        timings = [_lab_entry(built, options.repeats)]
    say("deployments, a minute")
    timings += _trials(options.repeats)
    say("what the probes cost, two minutes")
    timings.append(_probes(options.repeats * PROBE_PAIRS_PER_REPEAT))
    say("whole invocations, two minutes")
    timings += _invocations(options.repeats)
    say("analysis of ten million requests, a minute or two")
    timings += _analysis()
    if options.userland_builds:
        say(f"{options.userland_builds} builds of the userland, a minute each")
        with RunLock():
            timings.append(_userland_build(options.userland_builds, cache))
    headers = ["Phase", "n", "Median", "Range", "Target", "Met"]
    rows = [timing.row() for timing in timings]
    print(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True))
    return 0


def say(phase: str) -> None:
    """
    Print what is timed next.
    """
    print(f"timing: {phase} …", flush=True)


def _analysis() -> list[Timing]:
    """
    Seconds and memory for the latencies of ten million requests, in a process of their own.
    """
    command = [sys.executable, "-m", "analysis.bench_records"]
    done = subprocess.run(
        command, check=False, cwd=PROJECT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S
    )
    try:
        found = json.loads(done.stdout)
    except ValueError as error:
        msg = f"`{' '.join(command)}` failed with status {done.returncode}:\n{done.stderr.strip()}"
        raise HostError(msg) from error
    what = f"analysis of {found['records'] / 1e6:g} million requests"
    return [
        Timing(what, "s", [found["duration_s"]], found["target_s"]),
        Timing(f"{what}: memory, peak", "MB", [found["peak_bytes"] / 1e6], 1000),
    ]


def _lab_entry(built: Userland, repeats: int) -> Timing:
    """
    From the call until the lab's own command can begin.
    """
    seconds = []
    with tempfile.TemporaryDirectory() as state:
        for _ in range(repeats):
            started = time.monotonic()
            with Lab(built.root, Path(state), ["true"]) as lab:
                seconds.append(time.monotonic() - started)
                lab.wait()
    return Timing("lab entry", "s", seconds, 0.5)


def _trials(repeats: int) -> list[Timing]:
    """
    Deploy and teardown of each runtime, from one run.
    """
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "experiments", "measure", "--results", results]
        command += [
            "--variants",
            "netns,seccomp,docker",
            "--blocks",
            str(repeats),
            "--minutes",
            "60",
        ]
        _run([*command, "--requests", "200"], RUN_TIMEOUT_S)
        run = latest_run(Path(results))
        trials = [trial for trial in read_trials(run) if trial.status == OK]
    timings = []
    for variant, runtime, target in (
        ("netns", "process", 1.5),
        ("seccomp", "runc", 2.0),
        ("docker", "container", 6.0),
    ):
        seconds = [
            trial.phases_s["deploy"] + trial.phases_s["teardown"]
            for trial in trials
            if trial.variant == variant
        ]
        timings.append(Timing(f"{runtime} trial: deploy + teardown", "s", seconds, target))
    return timings


def _probes(pairs: int) -> Timing:
    """
    Throughput lost by looking at parity, path and CPU cost, in every other one of equal trials.
    """
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "experiments", "measure", "--results", results]
        command += ["--variants", "netns", "--blocks", str(2 * pairs), "--minutes", "60"]
        _run([*command, "--probes", "alternate"], RUN_TIMEOUT_S)
        trials = read_trials(latest_run(Path(results)))
    loads = [trial.load for trial in trials if trial.load is not None]
    if len(loads) != 2 * pairs:
        msg = f"{2 * pairs - len(loads)} of {2 * pairs} trials failed, so there are no pairs"
        raise HostError(msg)
    lost = [
        (1 - looked.requests_per_second / alone.requests_per_second) * 100
        for looked, alone in zip(loads[::2], loads[1::2], strict=True)
    ]
    return Timing("throughput lost to the probes", "%", lost, 1)


def _invocations(repeats: int) -> list[Timing]:
    """
    From the command line until the first request, with everything built; the runner's memory.

    Each has a seed of its own, so that the first deployment is not always of the same variant.
    """
    seconds, peaks = [], []
    command = [os.environ.get("BRIDGETOLL_NOX_PYTHON", sys.executable), "-m", "nox"]
    command += ["-s", "netns", "docker", "--", "--blocks", "1", "--requests", "20"]
    command += ["--warmup-requests", "0"]
    for seed in range(1, repeats + 1):
        with tempfile.TemporaryDirectory() as results:
            began = time.time()
            _run([*command, "--seed", str(seed), "--results", results], INVOCATION_TIMEOUT_S)
            run = latest_run(Path(results))
            first = read_trials(run)[0]
            peaks.append(read_manifest(run).environment["runner_peak_bytes"] / 1e6)
            before_load = first.phases_s["deploy"] + first.phases_s["check"]
            seconds.append(first.started_at + before_load - began)
    return [
        Timing("second invocation to first load", "s", seconds, 10),
        Timing("runner's memory, peak", "MB", peaks, 200),
    ]


def _userland_build(builds: int, cache: Path) -> Timing:
    """
    Everything from an empty cache: wheels, Debian's packages, the Docker image.
    """
    seconds = []
    for _ in range(builds):
        # Beside the real one, so that it is on the same kind of file system.
        with tempfile.TemporaryDirectory(dir=cache) as empty:
            started = time.monotonic()
            userland.build(Path(empty))
            seconds.append(time.monotonic() - started)
    return Timing("userland build", "s", seconds, 90)


def _run(command: list[str], timeout_s: float) -> None:
    done = subprocess.run(
        command,
        check=False,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        msg = f"`{' '.join(command)}` failed with status {done.returncode}:\n{tail}"
        raise HostError(msg)
