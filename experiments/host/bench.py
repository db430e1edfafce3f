"""
The bench: the duration of every phase, in several repetitions, beside its target.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

from experiments.commands import run_command
from experiments.errors import HostError
from experiments.lab import userland
from experiments.lab.lab import Lab
from experiments.machines.host_packages import TO_BUILD, TO_ENTER, ensure
from experiments.machines.lock import RunLock
from experiments.paths import PROJECT
from experiments.plan.stopping import Estimates
from experiments.processes import Process
from experiments.records.files import PILOT_TRIALS, latest_run
from experiments.records.store import read_manifest, read_trials
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.lab.userland import Userland
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

REPEATS = 3
PROBE_BLOCKS_PER_REPEAT = 3
"""The cost of the probes is small, so more blocks are needed to measure it."""

RUN_TIMEOUT_S = 1200
OWN = str(Process.of(os.getpid()))
MEASURE = (sys.executable, "-m", "experiments", "--owner", OWN, "measure")


@dataclass(frozen=True)
class Timing:
    """
    One phase: its measured values, and the target for their median.
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
        # If single values miss the target, the median may have met it by chance.
        return "yes" if max(self.values) <= self.target else "in the median only"


def bench(arguments: Sequence[str], cache: Path) -> int:
    """
    Measure every phase and print the table; return 0, whether or not the targets are met.

    Raises HostError if a phase fails.
    """
    parser = argparse.ArgumentParser(
        prog="nox -s bench",
        usage="nox -s bench -- [--repeats N] [--userland-builds N]",
        description="Time every phase and compare it with its target. The machine should be idle.",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=REPEATS,
        metavar="N",
        help="repetitions of every phase. Default: %(default)s",
    )
    parser.add_argument(
        "--userland-builds",
        type=int,
        default=REPEATS,
        metavar="N",
        help="builds of the userland into an empty cache; 0 skips them. Default: %(default)s",
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
    say("the cost of the probes, three minutes")
    timings.append(_probes(options.repeats * PROBE_BLOCKS_PER_REPEAT))
    say("the main measurement up to its first block, some minutes")
    timings += _invocations(options.repeats)
    say("the width of intervals after 3 and after 12 minutes")
    timings += _widths()
    say("analysis of ten million requests, a minute or two")
    timings += _analysis()
    say("the report of a run with 200 MB of records")
    timings += _report()
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
    Announce the next phase.
    """
    print(f"timing: {phase} …", flush=True)


def _analysis() -> list[Timing]:
    """
    Duration and memory of the analysis of ten million requests, in a separate process.
    """
    command = [sys.executable, "-m", "analysis.bench_records"]
    ended = run_command(command, limit_s=RUN_TIMEOUT_S, directory=PROJECT)
    if not ended.ok:
        raise HostError(ended.failure())
    found = json.loads(ended.text)
    what = f"analysis of {found['records'] / 1e6:g} million requests"
    return [
        Timing(what, "s", [found["duration_s"]], found["target_s"]),
        Timing(
            f"{what}: memory, peak", "MB", [found["peak_bytes"] / 1e6], found["target_bytes"] / 1e6
        ),
    ]


def _report() -> list[Timing]:
    """
    Duration and memory of the report of a long run.
    """
    command = [sys.executable, "-m", "analysis.bench_report"]
    ended = run_command(command, limit_s=RUN_TIMEOUT_S, directory=PROJECT)
    if not ended.ok:
        raise HostError(ended.failure())
    found = json.loads(ended.text)
    what = f"report of {found['records_bytes'] / 1e6:.0f} MB of records"
    return [
        Timing(what, "s", [found["duration_s"]], found["target_s"]),
        Timing(f"{what}: memory, peak", "MB", [found["peak_bytes"] / 1e6], 500),
    ]


def _lab_entry(built: Userland, repeats: int) -> Timing:
    """
    The time from the call until the lab's command starts.
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
    Deployment and teardown of every runtime, side by side in one run.
    """
    with tempfile.TemporaryDirectory() as results:
        command = [*MEASURE, "--results", results, "--variants", "netns,seccomp,docker"]
        command += ["--blocks", str(repeats), "--rounds", "1", "--minutes", "60"]
        _run(command, RUN_TIMEOUT_S)
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


def _probes(blocks: int) -> Timing:
    """
    The throughput that the probes cost, from equal trials of which every other one is probed.
    """
    with tempfile.TemporaryDirectory() as results:
        # Three variants, so that the probed ones change from block to block.
        command = [*MEASURE, "--results", results, "--variants-file", str(_twins(Path(results)))]
        command += ["--blocks", str(blocks), "--rounds", "6", "--minutes", "60"]
        _run([*command, "--probes", "alternate"], RUN_TIMEOUT_S)
        trials = read_trials(latest_run(Path(results)))
    lost = []
    for block in range(1, blocks + 1):
        own = [trial for trial in trials if trial.block == block and trial.load is not None]
        looked, alone = (
            [
                1e6 / trial.load.requests_per_second
                for trial in own
                if trial.load is not None and bool(trial.cpu) is probed
            ]
            for probed in (True, False)
        )
        if looked and alone:
            lost.append((1 - statistics.fmean(alone) / statistics.fmean(looked)) * 100)
    if len(lost) != blocks:
        msg = f"{blocks - len(lost)} of {blocks} blocks failed"
        raise HostError(msg)
    return Timing("throughput lost to the probes", "%", lost, 1)


def _twins(folder: Path) -> Path:
    """
    A variants file with three equal variants.
    """
    path = folder / "twins.toml"
    names = ("one", "two", "three")
    path.write_text(
        "\n".join(f'[variants.{name}]\nabout = "netns"\nlike = "netns"\n' for name in names)
    )
    return path


def _invocations(repeats: int) -> list[Timing]:
    """
    The time from the command line to the first loads, with everything built; the runner's memory.

    The seeds differ, so that the first deployment is not always of the same variant.
    """
    pilots, blocks, peaks = [], [], []
    for seed in range(1, repeats + 1):
        run = _nox(["netns", "docker", "optimized"], ["--minutes", "0.1", "--seed", str(seed)])
        pilots.append(_first_load_s(run.pilot) - run.began)
        blocks.append(_first_load_s(run.trials) - run.began)
        seen = run.manifest.environment
        peaks.append((seen.runner_peak_bytes or 0) / 1e6)
    return [
        Timing("main measurement: command to a pilot's first load", "s", pilots, 8),
        Timing("main measurement: command to the first block's first load", "s", blocks, 60),
        Timing("runner's memory, peak", "MB", peaks, 200),
    ]


def _widths() -> list[Timing]:
    """
    The widest interval of the focal pairs after some minutes of both systems alone.
    """
    timings = []
    for minutes, target in ((3, 1.0), (12, 0.5)):
        asked = ["--minutes", str(minutes), "--half-width", str(target)]
        run = _nox(["netns", "docker"], asked)
        estimates = Estimates()
        for trial in run.trials:
            estimates.add(trial)
        found = [estimates.of(*pair) for pair in run.manifest.focal]
        reached = [
            math.inf if each is None or each.half_width is None else each.half_width * 100
            for each in found
        ]
        what = f"half-width of the focal pairs after {minutes} min"
        timings.append(Timing(what, "%", [max(reached)], target))
    return timings


@dataclass(frozen=True)
class Invocation:
    """
    A run by nox; its command ``began`` in seconds since the epoch.
    """

    began: float
    manifest: Manifest
    trials: list[TrialRecord]
    pilot: list[TrialRecord]


def _nox(sessions: Sequence[str], options: Sequence[str]) -> Invocation:
    command = [os.environ.get("BRIDGETOLL_NOX_PYTHON", sys.executable), "-m", "nox", "-s"]
    with tempfile.TemporaryDirectory() as results:
        began = time.time()
        _run([*command, *sessions, "--", *options, "--results", results], RUN_TIMEOUT_S)
        run = latest_run(Path(results))
        pilot = read_trials(run, PILOT_TRIALS)
        return Invocation(began, read_manifest(run), read_trials(run), pilot)


def _first_load_s(trials: Sequence[TrialRecord]) -> float:
    return min(load.started_at for trial in trials for load in trial.loads)


def _userland_build(builds: int, cache: Path) -> Timing:
    """
    The build into an empty cache: wheels, Debian packages, and the Docker image.
    """
    seconds = []
    for _ in range(builds):
        # In the cache, so that it is on the same file system.
        with tempfile.TemporaryDirectory(dir=cache) as empty:
            started = time.monotonic()
            userland.build(Path(empty))
            seconds.append(time.monotonic() - started)
    return Timing("userland build", "s", seconds, 90)


def _run(command: list[str], timeout_s: float) -> None:
    ended = run_command(command, limit_s=timeout_s, directory=PROJECT, merge=True)
    if not ended.ok:
        raise HostError(ended.failure())
