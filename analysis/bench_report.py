"""
Benchmark of the report of a long run: ``python -m analysis.bench_report``.

The run is the reference's records many times over. Prints one line of JSON: seconds, peak memory
and their targets.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from analysis.folders import REFERENCE, RESULTS
from experiments.records.decoding import encoded
from experiments.records.files import TRIALS
from experiments.records.store import read_manifest, read_trials, write_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET_S = 10.0
TARGET_BYTES = 500_000_000


def make(run: Path, size_bytes: int) -> None:
    """
    Write a run with records of at least this size: the reference's blocks, repeated.
    """
    reference = RESULTS / REFERENCE
    manifest, trials = read_manifest(reference), read_trials(reference)
    number = written = rounds = 0
    with (run / TRIALS).open("wb") as file:
        while written < size_bytes:
            for trial in trials:
                number += 1
                block = trial.block + rounds * len(manifest.order)
                written += file.write(
                    encoded(structs.replace(trial, number=number, block=block)) + b"\n"
                )
            rounds += 1
    order = manifest.order * rounds
    write_manifest(run, replace(manifest, run="bench", order=order, blocks=len(order)))


def main(arguments: Sequence[str]) -> int:
    """
    Time the command that writes the report, in a process of its own.
    """
    parser = argparse.ArgumentParser(prog="python -m analysis.bench_report")
    parser.add_argument("--megabytes", type=float, default=200.0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory)
        make(run, int(options.megabytes * 1e6))
        size_bytes = (run / TRIALS).stat().st_size
        started_s = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "analysis", directory], check=True, stdout=subprocess.DEVNULL
        )
        duration_s = time.monotonic() - started_s
    peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "records_bytes": size_bytes,
                "duration_s": round(duration_s, 2),
                "target_s": TARGET_S,
                "peak_bytes": peak_bytes,
                "target_bytes": TARGET_BYTES,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
