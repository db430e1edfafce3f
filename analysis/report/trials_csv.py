"""
``trials.csv``: one row per trial, for spreadsheets and other programs.

Column names are the records' field names, with the unit at the end. A value that a trial does not
have is an empty cell. Recorded numbers keep all digits. ``rounds`` counts the whole loads of a
trial; the load's columns hold sums and quantiles over them. ``others_ran_us`` is the CPU time that
frozen deployments took during these loads.
"""

from __future__ import annotations

import csv
import io
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from analysis.statistics.estimates import METRICS
from experiments.records.cpu import CLIENT, DAEMON, LOG_READER, PROXY, RUNNER, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import LoadResult, TrialRecord

    Cell = str | int | float | None
    Column = tuple[str, Callable[[TrialRecord], Cell]]

PHASES = (
    *("deploy", "check", "cold", "warmup"),
    *("load", "at_once", "open", "prove", "teardown"),
)
"""Phases of a trial in order; a run's other phases come after them."""

OF_LOAD = (
    "requests",
    "concurrency",
    "requests_completed",
    "requests_ok",
    "requests_failed",
    "responses_non_2xx",
    "sampled",
    "sampled_bad",
    "requests_per_second",
    "latency_mean_us",
    "latency_p50_us",
    "latency_p90_us",
    "latency_p99_us",
    "latency_max_us",
)
"""Columns with the name and value of a field of the load."""

DIGITS = 12

SERVICES, UNACCOUNTED = "services", "unaccounted"
GROUPS = {
    DAEMON: "docker",
    PROXY: "proxy",
    LOG_READER: "readers",
    CLIENT: "client",
    RUNNER: "runner",
}
"""Column names of the groups of processes that are not services."""


def trials_csv(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    The whole file with its header; lines end with a line feed alone.
    """
    columns = _columns(manifest, trials)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows([value(trial) for _, value in columns] for trial in trials)
    return text.getvalue()


def _columns(manifest: Manifest, trials: Sequence[TrialRecord]) -> list[Column]:
    """
    All columns in order, each with its value of a trial.
    """
    levels = manifest.levels
    factors = sorted({name for each in levels.values() for name in each})
    others = sorted({name for trial in trials for name in trial.phases_s} - set(PHASES))
    groups = (SERVICES, *GROUPS.values(), UNACCOUNTED)
    return [
        ("run", lambda _: manifest.run),
        *_fields("number", "block", "part", "position", "variant"),
        *(
            (f"factor_{name}", lambda trial, name=name: levels.get(trial.variant, {}).get(name))
            for name in factors
        ),
        *_fields("status", "started_at"),
        *(
            (f"phase_{name}_s", lambda trial, name=name: trial.phases_s.get(name))
            for name in (*PHASES, *others)
        ),
        *((name, partial(_of_load, name)) for name in OF_LOAD),
        ("us_per_request", lambda trial: _us_per_request(trial.load)),
        ("rounds", _rounds),
        ("others_ran_us", _others_ran_us),
        ("at_once_us_per_request", lambda trial: _us_per_request(trial.at_once)),
        *_fields("first_answer_s"),
        ("cold_us_per_request", lambda trial: _us_per_request(trial.cold)),
        *((f"cpu_{name}_us_per_request", partial(_cpu_us_per_request, name)) for name in groups),
        ("client_share", lambda trial: trial.cpu.client_share if trial.cpu else None),
        ("throttled_s", _throttled_s),
        *_fields("failed_phase", "error"),
    ]


def _fields(*names: str) -> list[Column]:
    """
    Columns with the name and value of a field of the trial.
    """
    return [(name, attrgetter(name)) for name in names]


def _of_load(name: str, trial: TrialRecord) -> Cell:
    return getattr(trial.load, name) if trial.load else None


def _us_per_request(load: LoadResult | None) -> float | None:
    return METRICS["us_per_request"](load) if load else None


def _rounds(trial: TrialRecord) -> int | None:
    return sum(load.is_whole for load in trial.loads) if trial.loads else None


def _others_ran_us(trial: TrialRecord) -> int | None:
    return sum(load.others_ran_us for load in trial.loads) if trial.loads else None


def _throttled_s(trial: TrialRecord) -> float | None:
    return _rounded(sum(trial.cpu.throttled_s.values(), 0.0)) if trial.cpu else None


def _cpu_us_per_request(group: str, trial: TrialRecord) -> float | None:
    """
    CPU time of a group of processes; 0 if the trial has none of them, None without a record.
    """
    if trial.cpu is None or trial.load is None or not trial.load.requests_completed:
        return None
    seconds, requests = trial.cpu.unaccounted_s, trial.load.served
    if group != UNACCOUNTED:
        seconds = sum(
            part.total_s
            for name, part in trial.cpu.parts.items()
            if GROUPS.get(part_of(name), SERVICES) == group
        )
        requests = trial.load.requests_of(group)
    return _rounded(seconds * 1e6 / requests)


def _rounded(number: float) -> float:
    """
    A sum of floats, rounded, so that every Python version writes the same file.

    Since Python 3.12, ``sum`` of floats has a smaller rounding error.
    """
    return float(f"{number:.{DIGITS}g}")
