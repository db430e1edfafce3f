"""
What the figure of latencies shows: quantiles by variant, and the curves that they lie on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.statistics.intervals import t_interval
from analysis.topics.latency.findings import (
    FAILED_US,
    LEAST_BEYOND,
    OVERLOAD_SHARE,
    QUANTILES,
    over_trials,
    read_log,
)
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from analysis.statistics.intervals import Interval
    from analysis.topics.latency.findings import RequestLog
    from experiments.records.manifest import Manifest
    from experiments.records.trials import LoadResult, TrialRecord

CURVE_POINTS = 80
"""More cannot be seen."""


@dataclass(frozen=True)
class Waits:
    """
    The latencies of one variant.

    ``quantiles_us`` has an interval for each quantile that it can support; ``curve_us`` is by the
    share of requests that are slower, and empty where that is not known. An ``overloaded`` variant
    has neither.
    """

    variant: str
    trials: int
    quantiles_us: dict[str, Interval]
    curve_us: list[tuple[float, float]]
    overloaded: bool = False


def by_schedule(manifest: Manifest, trials: Sequence[TrialRecord], run: Path) -> list[Waits]:
    """
    Every variant at the rate that all have in common, from the logs below the run's folder.

    Raises ResultsError for a log that is missing or broken.
    """
    found = []
    for each in manifest.variants:
        logs = [
            read_log(run / load.log)
            for trial in trials
            if trial.variant == each.name and trial.status == OK
            for load in trial.open_loads
            if load.fraction is None
        ]
        if logs:
            found.append(_waits(each.name, logs))
    return found


def _waits(variant: str, logs: Sequence[RequestLog]) -> Waits:
    if float(np.median([log.achieved_share for log in logs])) < OVERLOAD_SHARE:
        return Waits(variant, len(logs), {}, [], overloaded=True)
    rising = [log.corrected_us for log in logs]
    quantiles_us = {}
    for name in QUANTILES:
        latency_us = over_trials(rising, name).latency_us
        if latency_us is not None:
            quantiles_us[name] = latency_us
    return Waits(variant, len(logs), quantiles_us, _curve(np.sort(np.concatenate(rising))))


def _curve(rising_us: NDArray[np.int64]) -> list[tuple[float, float]]:
    """
    Latency by the share of requests that are slower, as far as enough are, and enough are not.

    The requests that failed are slower than any latency, so the curve ends before them.
    """
    requests = len(rising_us)
    if requests < 2 * LEAST_BEYOND:
        return []
    # As close to each other at the quick end as at the slow one.
    slowest = np.geomspace(LEAST_BEYOND, requests / 2, CURVE_POINTS // 2).round().astype(int)
    beyond = np.union1d(slowest, requests - slowest)
    latencies_us = rising_us[requests - 1 - beyond]
    return [
        (int(count) / requests, float(latency_us))
        for count, latency_us in zip(beyond, latencies_us, strict=True)
        if latency_us != FAILED_US
    ]


def by_closed_loop(manifest: Manifest, trials: Sequence[TrialRecord]) -> list[Waits]:
    """
    Every variant by all requests of each trial's loads, as means over trials.
    """
    found = []
    for each in manifest.variants:
        loads = [
            trial.load
            for trial in trials
            if trial.variant == each.name and trial.status == OK and trial.load is not None
        ]
        if loads:
            quantiles_us = {
                name: t_interval([_printed_us(load, name) for load in loads])
                for name in ("p50", "p90", "p99")
            }
            found.append(Waits(each.name, len(loads), quantiles_us, _printed_curve(loads)))
    return found


def _printed_curve(loads: Sequence[LoadResult]) -> list[tuple[float, float]]:
    """
    The table of percentiles of each trial's requests, as means over trials.

    As far as enough requests are beyond a percentile in every trial; empty where there is none.
    """
    tables = [load.details.percentiles_ms if load.details else {} for load in loads]
    fewest = min(load.requests_completed for load in loads)
    shared = set.intersection(*(set(each) for each in tables))
    return [
        ((100 - percent) / 100, float(np.mean([each[percent] for each in tables])) * 1e3)
        for percent in sorted(shared)
        if fewest * (100 - percent) / 100 >= LEAST_BEYOND
        # A logarithmic axis has no place for what is rounded to nothing.
        and any(each[percent] for each in tables)
    ]


def _printed_us(load: LoadResult, name: str) -> float:
    return {
        "p50": load.latency_p50_us,
        "p90": load.latency_p90_us,
        "p99": load.latency_p99_us,
    }[name]
