"""
What the figure of latencies shows: quantiles by variant, and the curves that they lie on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.statistics.intervals import t_interval
from analysis.topics.latency.findings import LEAST_BEYOND
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.intervals import Interval
    from analysis.topics.latency.findings import Latencies
    from experiments.records.trials import LoadResult, TrialRecord


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


def by_schedule(found: Latencies) -> list[Waits]:
    """
    Every variant at the rate that all have in common.
    """
    return [
        Waits(
            variant=cell.variant,
            trials=cell.trials,
            quantiles_us={
                name: quantile.latency_us
                for name, quantile in cell.corrected.items()
                if quantile.latency_us is not None
            },
            curve_us=cell.curve_us,
            overloaded=cell.overloaded,
        )
        for level in found.levels
        if level.fraction is None
        for cell in level.cells
    ]


def by_closed_loop(names: Sequence[str], trials: Sequence[TrialRecord]) -> list[Waits]:
    """
    Every variant by all requests of each trial's loads, as means over trials.
    """
    found = []
    for variant in names:
        loads = [
            trial.load
            for trial in trials
            if trial.variant == variant and trial.status == OK and trial.load is not None
        ]
        if loads:
            quantiles_us = {
                name: t_interval([_printed_us(load, name) for load in loads])
                for name in ("p50", "p90", "p99")
            }
            found.append(Waits(variant, len(loads), quantiles_us, _printed_curve(loads)))
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
