"""
All trials of a run as CSV, one row for each: for spreadsheets and other programs.

Names are those of the records, with the unit at the end. An empty cell is what a trial does not
have. Numbers have every digit that they need to be read back as they were. ``rounds`` are the
whole loads of a trial, of which the columns of the load hold sums and quantiles;
``others_ran_us`` is the CPU time that frozen deployments took during them.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from analysis.statistics.estimates import METRICS
from analysis.topics.cpu.findings import BESIDE, CLIENT, DAEMON, PROXY, READER, RUNNER, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import LoadResult, TrialRecord

Cell = str | int | float | None

PHASES = (
    *("deploy", "check", "settle", "cold", "warmup"),
    *("load", "at_once", "open", "prove", "teardown"),
)
"""Phases of a trial in their order; those that a run has beyond them come after."""

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
"""Columns that are the load's field of that name."""

COMPUTED = ("cpu_", "throttled_s")
"""What the columns begin with whose numbers are sums of what was recorded."""

DIGITS = 12

SERVICES = "services"
GROUPS = {
    DAEMON: "docker",
    PROXY: "proxy",
    READER: "readers",
    CLIENT: "client",
    RUNNER: "runner",
}
"""What is no service, with its name in a column."""


def trials_csv(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    The whole file, with a header; lines end with a line feed alone.
    """
    levels = manifest.levels
    factors = sorted({name for each in levels.values() for name in each})
    others = sorted({name for trial in trials for name in trial.phases_s} - set(PHASES))
    phases = [*PHASES, *others]
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(factors, phases), lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        own = levels.get(trial.variant, {})
        writer.writerow(
            _rounded(
                {
                    "run": manifest.run,
                    "number": trial.number,
                    "block": trial.block,
                    "part": trial.part,
                    "position": trial.position,
                    "variant": trial.variant,
                    **{f"factor_{name}": own.get(name) for name in factors},
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
    What was computed, to so many digits that no interpreter's way to add up makes another file.

    Python 3.12 adds floating-point numbers up more exactly than those before it.
    """
    return {
        name: float(f"{value:.{DIGITS}g}")
        if isinstance(value, float) and name.startswith(COMPUTED)
        else value
        for name, value in row.items()
    }


def _columns(factors: Sequence[str], phases: Sequence[str]) -> list[str]:
    """
    Every column in its order; the same for all runs with these factors, whatever they recorded.
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
    How many whole loads a trial has, and what others did meanwhile; nothing without any rounds.
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
    CPU time by where it was spent; nothing where it was not looked at, or per no request.

    A group that a trial has no part of spent nothing.
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
