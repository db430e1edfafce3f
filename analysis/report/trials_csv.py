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
from typing import TYPE_CHECKING

from analysis.statistics.estimates import METRICS
from analysis.topics.cpu.findings import BESIDE
from experiments.records.cpu import CLIENT, DAEMON, LOG_READER, PROXY, RUNNER, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import LoadResult, TrialRecord

Cell = str | int | float | None

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
    "requests_per_second",
    "latency_mean_us",
    "latency_p50_us",
    "latency_p90_us",
    "latency_p99_us",
    "latency_max_us",
)
"""Columns with the name and value of a field of the load."""

COMPUTED = ("cpu_", "throttled_s")
"""Prefixes of the columns whose numbers are computed from the records."""

DIGITS = 12

SERVICES = "services"
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
    levels = manifest.levels
    factors = sorted({name for each in levels.values() for name in each})
    others = sorted({name for trial in trials for name in trial.phases_s} - set(PHASES))
    phases = [*PHASES, *others]
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(factors, phases), lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        variant_levels = levels.get(trial.variant, {})
        writer.writerow(
            _rounded(
                {
                    "run": manifest.run,
                    "number": trial.number,
                    "block": trial.block,
                    "part": trial.part,
                    "position": trial.position,
                    "variant": trial.variant,
                    **{f"factor_{name}": variant_levels.get(name) for name in factors},
                    "status": trial.status,
                    "started_at": trial.started_at,
                    **{f"phase_{name}_s": trial.phases_s.get(name) for name in phases},
                    **({name: getattr(trial.load, name) for name in OF_LOAD} if trial.load else {}),
                    "us_per_request": _us_per_request(trial.load),
                    **_of_rounds(trial),
                    "at_once_us_per_request": _us_per_request(trial.at_once),
                    "first_answer_s": trial.first_answer_s,
                    "cold_us_per_request": _us_per_request(trial.cold),
                    **_cpu(trial),
                    "failed_phase": trial.failed_phase,
                    "error": trial.error,
                }
            )
        )
    return text.getvalue()


def _rounded(row: dict[str, Cell]) -> dict[str, Cell]:
    """
    Round computed numbers, so that every Python version writes the same file.

    Since Python 3.12, ``sum`` of floats has a smaller rounding error.
    """
    return {
        name: float(f"{value:.{DIGITS}g}")
        if isinstance(value, float) and name.startswith(COMPUTED)
        else value
        for name, value in row.items()
    }


def _columns(factors: Sequence[str], phases: Sequence[str]) -> list[str]:
    """
    All columns in order; they depend on factors and phases, and not on what was recorded.
    """
    groups = (SERVICES, *GROUPS.values(), "unaccounted")
    return [
        *("run", "number", "block", "part", "position", "variant"),
        *(f"factor_{name}" for name in factors),
        *("status", "started_at"),
        *(f"phase_{name}_s" for name in phases),
        *OF_LOAD,
        *("us_per_request", "rounds", "others_ran_us", "at_once_us_per_request"),
        *("first_answer_s", "cold_us_per_request"),
        *(_cpu_column(name) for name in groups),
        *("client_share", "throttled_s", "failed_phase", "error"),
    ]


def _cpu_column(group: str) -> str:
    return f"cpu_{group}_us_per_request"


def _of_rounds(trial: TrialRecord) -> dict[str, Cell]:
    """
    The columns of a trial's rounds; none where it has no rounds.
    """
    if not trial.loads:
        return {}
    return {
        "rounds": sum(load.requests_completed == load.requests for load in trial.loads),
        "others_ran_us": sum(load.others_ran_us for load in trial.loads),
    }


def _us_per_request(load: LoadResult | None) -> float | None:
    return METRICS["us_per_request"](load) if load else None


def _cpu(trial: TrialRecord) -> dict[str, Cell]:
    """
    CPU time by group of processes; no columns where it was not recorded.

    A group that does not occur in a trial spent 0 µs.
    """
    if trial.cpu is None:
        return {}
    cells: dict[str, Cell] = {
        "client_share": trial.cpu.client_share,
        "throttled_s": sum(trial.cpu.throttled_s.values(), 0.0),
    }
    if trial.load is None or not trial.load.requests_completed:
        return cells
    spent_s = dict.fromkeys([SERVICES, *GROUPS.values()], 0.0)
    for name, part in trial.cpu.parts.items():
        kind = part_of(name)
        group = GROUPS[kind] if kind in BESIDE else SERVICES
        spent_s[group] += part.user_s + part.system_s
    spent_s["unaccounted"] = trial.cpu.unaccounted_s
    return cells | {
        _cpu_column(group): seconds * 1e6 / trial.load.requests_completed
        for group, seconds in spent_s.items()
    }
