"""
The data of the latency figure: quantiles and curves by variant.
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

    ``quantiles_us`` has an interval for each quantile with enough requests. ``curve_us`` has pairs
    of a share of requests and the latency that this share exceeds; it may be empty. An
    ``overloaded`` variant has neither.
    """

    variant: str
    trials: int
    quantiles_us: dict[str, Interval]
    curve_us: list[tuple[float, float]]
    overloaded: bool = False


def by_schedule(measured: Latencies) -> list[Waits]:
    """
    Every variant in the open loop, at the common rate.
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
        for level in measured.levels
        if level.fraction is None
        for cell in level.cells
    ]


def by_closed_loop(names: Sequence[str], trials: Sequence[TrialRecord]) -> list[Waits]:
    """
    Every variant in the closed loop, as means over trials.
    """
    all_waits = []
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
            all_waits.append(Waits(variant, len(loads), quantiles_us, _printed_curve(loads)))
    return all_waits


def _printed_curve(loads: Sequence[LoadResult]) -> list[tuple[float, float]]:
    """
    The percentiles that ab printed, as means over trials.

    Percentiles with too few requests beyond them in some trial are left out.
    """
    tables = [load.details.percentiles_ms if load.details else {} for load in loads]
    fewest = min(load.requests_completed for load in loads)
    shared = set.intersection(*(set(table) for table in tables))
    return [
        ((100 - percent) / 100, float(np.mean([table[percent] for table in tables])) * 1e3)
        for percent in sorted(shared)
        if fewest * (100 - percent) / 100 >= LEAST_BEYOND
        # ab rounds short latencies to 0, which a logarithmic axis cannot show.
        and any(table[percent] for table in tables)
    ]


def _printed_us(load: LoadResult, name: str) -> float:
    return {
        "p50": load.latency_p50_us,
        "p90": load.latency_p90_us,
        "p99": load.latency_p99_us,
    }[name]
