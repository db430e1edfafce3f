"""
Benchmark of the latency analysis: ``python -m analysis.bench_records``.

Prints one line of JSON: seconds, peak memory and their targets.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.topics.latency.findings import HEADER, latencies
from experiments.declare.variants import Comparison, Variant
from experiments.declare.workloads import Workload
from experiments.records.manifest import COMPLETE, MachineRecord, Manifest, UserlandRecord
from experiments.records.store import append_trial, read_manifest, read_trials, write_manifest
from experiments.records.trials import OK, LoadResult, OpenLoad, TrialPlacement, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET_S = 20.0
TARGET_BYTES = 10**9

VARIANTS = ("netns", "docker")
FRACTIONS = (0.3, 0.6, 0.9)
REQUESTS = 2000
"""Requests per load; the last load has the rest."""

MAKE_TIMEOUT_S = 600
RATE_PER_S = 100.0
SEED = 1

CLOSED = LoadResult(
    tool="ab",
    command=[],
    requests=1,
    concurrency=1,
    requests_completed=1,
    requests_failed=0,
    requests_ok=1,
    responses_non_2xx=0,
    duration_s=1 / RATE_PER_S,
    requests_per_second=RATE_PER_S,
    latency_mean_us=1e6 / RATE_PER_S,
    latency_p50_us=1e6 / RATE_PER_S,
    latency_p90_us=1e6 / RATE_PER_S,
    latency_p99_us=1e6 / RATE_PER_S,
    latency_max_us=1e6 / RATE_PER_S,
)
"""The closed loop of each trial, without which it would have no result."""


def make(run: Path, records: int) -> None:
    """
    Write a synthetic run with so many ``records`` of requests; latencies are lognormal.
    """
    generator = np.random.default_rng(SEED)
    write_manifest(run, _manifest())
    number = 0
    while records > 0:
        variant = VARIANTS[number % len(VARIANTS)]
        number += 1
        loads = []
        for fraction in (*FRACTIONS, None):
            requests = min(records, REQUESTS)
            if requests:
                name = f"{number:05d}-{fraction or 'common'}.csv"
                (run / name).write_text(_log(generator, requests))
                loads.append(_load(fraction, requests, name))
                records -= requests
        append_trial(run, _trial(number, variant, loads))


def _log(generator: np.random.Generator, requests: int) -> str:
    gaps_us = generator.exponential(1e6 / RATE_PER_S, requests)
    intended_us = np.cumsum(gaps_us).astype(np.int64)
    sent_us = intended_us + generator.integers(20, 200, requests)
    done_us = sent_us + generator.lognormal(8.5, 0.6, requests).astype(np.int64)
    status, good = np.full(requests, 200), np.ones(requests, dtype=int)
    rows = np.column_stack([intended_us, sent_us, done_us, status, good]).tolist()
    return "\n".join([HEADER, *(",".join(map(str, row)) for row in rows), ""])


def _load(fraction: float | None, requests: int, log: str) -> OpenLoad:
    return OpenLoad(
        fraction=fraction,
        rate_per_s=RATE_PER_S,
        requests=requests,
        requests_completed=requests,
        requests_ok=requests,
        achieved_per_s=RATE_PER_S,
        latest_us=200,
        log=log,
    )


def _trial(number: int, variant: str, loads: list[OpenLoad]) -> TrialRecord:
    return TrialRecord(
        number=number,
        block=(number - 1) // len(VARIANTS) + 1,
        position=1,
        variant=variant,
        status=OK,
        started_at=0.0,
        phases_s={},
        check=None,
        placement=TrialPlacement([0], [1], apart=True, pinned=True),
        load=CLOSED,
        open_loads=loads,
    )


def _manifest() -> Manifest:
    return Manifest(
        run="bench",
        state=COMPLETE,
        seed=SEED,
        profile="bench",
        blocks=1,
        minutes=0,
        requests=0,
        concurrency=0,
        warmup_requests=0,
        any_length=True,
        workload=Workload("bench", "", (), "/", 200, None),
        variants=[Variant(name, "", {}) for name in VARIANTS],
        comparisons=[Comparison("matched", "", *VARIANTS)],
        variants_file="",
        machine=MachineRecord(),
        userland=UserlandRecord(),
        git=None,
        created_at=0.0,
        open_fractions=list(FRACTIONS),
        open_requests=REQUESTS,
        common_rate_per_s=RATE_PER_S,
    )


def main(arguments: Sequence[str]) -> int:
    """
    Time the analysis of synthetic records; return 1 if it misses a target.

    A child process writes the records, so that peak memory is the analysis's alone.
    """
    parser = argparse.ArgumentParser(prog="python -m analysis.bench_records")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make is not None:
        make(options.make, options.records)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "analysis.bench_records", "--make", directory]
        command += ["--records", str(options.records)]
        subprocess.run(command, check=True, timeout=MAKE_TIMEOUT_S)
        run = Path(directory)
        started_s = time.monotonic()
        analysed = latencies(read_manifest(run), read_trials(run), run)
        duration_s = time.monotonic() - started_s
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    requests = sum(cell.requests for level in analysed.levels for cell in level.cells)
    print(
        json.dumps(
            {
                "records": requests,
                "duration_s": round(duration_s, 2),
                "target_s": TARGET_S,
                "peak_bytes": peak_bytes,
                "target_bytes": TARGET_BYTES,
            }
        )
    )
    return int(duration_s > TARGET_S or peak_bytes > TARGET_BYTES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
