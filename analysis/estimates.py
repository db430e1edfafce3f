"""
Estimates over trials: means per variant, and paired differences, each with its interval.

The trial is the replicate: a thousand requests to one deployment are one observation. Differences
are paired within blocks, because trials of one block share what the machine was doing then.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.intervals import Interval, bca_interval, t_interval
from experiments.records import OK, UNDER_LOAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.records import LoadResult, TrialRecord

METRICS: dict[str, Callable[[LoadResult], float]] = {
    "requests_per_second": lambda load: load.requests_per_second,
    "us_per_request": lambda load: 1e6 / load.requests_per_second,
    "latency_mean_us": lambda load: load.latency_mean_us,
    "latency_p50_us": lambda load: load.latency_p50_us,
    "latency_p99_us": lambda load: load.latency_p99_us,
}
"""What is estimated, by name; ``us_per_request`` is time over requests, the inverse of the rate."""


@dataclass(frozen=True)
class VariantSummary:
    """
    One variant over its trials.

    ``means`` maps each of METRICS to its mean over trials, and ``ranges`` to its least and greatest
    value. The rate's mean is the harmonic one, so it and the time per request say the same (Hoefler
    and Belli, "Scientific Benchmarking of Parallel Computing Systems", SC 2015). ``errors`` counts
    the trials without a result, ``aborted`` those of them that ended while requests were under way.
    ``requests`` are all that were asked for, by aborted too; ``requests_failed`` and
    ``responses_non_2xx`` are sums over whole loads; ``reliability`` is the share of ``requests``
    answered as they should be, where an aborted load counts as none of its requests answered, so
    it is a lower bound then. None when nothing was asked.
    """

    variant: str
    trials: int
    errors: int
    aborted: int
    means: dict[str, Interval]
    ranges: dict[str, tuple[float, float]]
    requests: int
    requests_failed: int
    responses_non_2xx: int
    reliability: float | None


@dataclass(frozen=True)
class Difference:
    """
    What a treatment differs by from its baseline, over the blocks in which both have a trial.

    ``relative`` maps each of METRICS to its relative difference (0.1 is ten per cent more), taken
    from the mean log-ratio; ``us_per_request`` is the absolute one, in microseconds, and
    ``baseline_us`` what the baseline takes per request in these blocks. ``log_ratios`` are of the
    time per request, one for each block, and ``bootstrapped`` is their relative difference with the
    interval of the bootstrap.
    """

    blocks: int
    relative: dict[str, Interval]
    us_per_request: Interval
    baseline_us: Interval
    log_ratios: list[float]
    bootstrapped: Interval


def summarise(
    variant: str, trials: Sequence[TrialRecord], requests_per_trial: int
) -> VariantSummary:
    """
    Summarise the trials of one variant; trials of others are passed over.
    """
    own = [trial for trial in trials if trial.variant == variant]
    loads = [trial.load for trial in own if trial.status == OK and trial.load is not None]
    values = {name: [metric(load) for load in loads] for name, metric in METRICS.items()}
    aborted = sum(trial.status != OK and trial.failed_phase in UNDER_LOAD for trial in own)
    requests = sum(load.requests for load in loads) + aborted * requests_per_trial
    return VariantSummary(
        variant=variant,
        trials=len(loads),
        errors=len(own) - len(loads),
        aborted=aborted,
        means=_means(values),
        ranges={name: (min(each), max(each)) for name, each in values.items() if each},
        requests=requests,
        requests_failed=sum(load.requests_failed for load in loads),
        responses_non_2xx=sum(load.responses_non_2xx for load in loads),
        reliability=sum(load.requests_ok for load in loads) / requests if requests else None,
    )


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, Interval]:
    means = {name: t_interval(each) for name, each in values.items() if each}
    if means:
        cost = means["us_per_request"]
        means["requests_per_second"] = Interval(
            1e6 / cost.estimate,
            None if cost.high is None else 1e6 / cost.high,
            # A spread so wide that its interval reaches zero sets the rate no upper limit.
            None if cost.low is None or cost.low <= 0 else 1e6 / cost.low,
        )
    return means


def compare(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> Difference | None:
    """
    The paired difference, or None when no block has both.
    """
    pairs = [
        (loads[baseline], loads[treatment])
        for loads in loads_by_block(trials).values()
        if baseline in loads and treatment in loads
    ]
    if not pairs:
        return None
    logs = {
        name: [math.log(metric(after) / metric(before)) for before, after in pairs]
        for name, metric in METRICS.items()
    }
    cost = METRICS["us_per_request"]
    return Difference(
        blocks=len(pairs),
        relative={name: t_interval(each).map(math.expm1) for name, each in logs.items()},
        us_per_request=t_interval([cost(after) - cost(before) for before, after in pairs]),
        baseline_us=t_interval([cost(before) for before, _ in pairs]),
        log_ratios=logs["us_per_request"],
        bootstrapped=bca_interval(logs["us_per_request"]).map(math.expm1),
    )


def loads_by_block(trials: Sequence[TrialRecord]) -> dict[int, dict[str, LoadResult]]:
    """
    The loads of the good trials, by block and variant, in the order of the blocks.
    """
    blocks: dict[int, dict[str, LoadResult]] = defaultdict(dict)
    for trial in trials:
        if trial.status == OK and trial.load is not None:
            blocks[trial.block][trial.variant] = trial.load
    return dict(sorted(blocks.items()))


def us_per_request(variant: str, trials: Sequence[TrialRecord]) -> tuple[Interval, int] | None:
    """
    Microseconds per request of one variant, as a mean with its interval, and its trials.

    None when there is no trial. The mean of times is the harmonic mean of rates.
    """
    costs = [
        METRICS["us_per_request"](loads[variant])
        for loads in loads_by_block(trials).values()
        if variant in loads
    ]
    return (t_interval(costs), len(costs)) if costs else None
