"""
Estimates over trials: medians per variant, and paired differences with intervals.

The trial is the replicate: a thousand requests to one deployment are one observation. Differences
are paired within blocks, because trials of one block share what the machine was doing then.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import stats

from experiments.records import OK, UNDER_LOAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.records import LoadResult, TrialRecord

CONFIDENCE = 0.95

METRICS: dict[str, Callable[[LoadResult], float]] = {
    "requests_per_second": lambda load: load.requests_per_second,
    "us_per_request": lambda load: 1e6 / load.requests_per_second,
    "latency_mean_us": lambda load: load.latency_mean_us,
    "latency_p50_us": lambda load: load.latency_p50_us,
    "latency_p99_us": lambda load: load.latency_p99_us,
}
"""What is estimated, by name; ``us_per_request`` is time over requests, the inverse of the rate."""


@dataclass(frozen=True)
class Interval:
    """
    An estimate with its 95 % confidence interval; the limits are None for fewer than two blocks.
    """

    estimate: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """
        Whether zero is outside of the interval.
        """
        return self.low is not None and self.high is not None and self.low * self.high > 0


@dataclass(frozen=True)
class VariantSummary:
    """
    One variant over its trials.

    ``medians`` maps each of METRICS to its median over trials and ``ranges`` to its least and
    greatest value. ``errors`` counts the trials without a result, ``aborted`` those of them that
    ended while requests were under way. ``requests`` are all that were asked for, by aborted too;
    ``requests_failed`` and ``responses_non_2xx`` are sums over whole loads; ``reliability`` is the
    share of ``requests`` answered as they should be, where an aborted load counts as none of its
    requests answered, so it is a lower bound then. None when nothing was asked.
    """

    variant: str
    trials: int
    errors: int
    aborted: int
    medians: dict[str, float]
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
    from the mean log-ratio; ``us_per_request`` is the absolute one, in microseconds.
    """

    blocks: int
    relative: dict[str, Interval]
    us_per_request: Interval


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
        medians={name: statistics.median(each) for name, each in values.items() if each},
        ranges={name: (min(each), max(each)) for name, each in values.items() if each},
        requests=requests,
        requests_failed=sum(load.requests_failed for load in loads),
        responses_non_2xx=sum(load.responses_non_2xx for load in loads),
        reliability=sum(load.requests_ok for load in loads) / requests if requests else None,
    )


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
    relative = {}
    for name, metric in METRICS.items():
        logs = t_interval([math.log(metric(after) / metric(before)) for before, after in pairs])
        relative[name] = Interval(
            math.expm1(logs.estimate),
            None if logs.low is None else math.expm1(logs.low),
            None if logs.high is None else math.expm1(logs.high),
        )
    cost = METRICS["us_per_request"]
    absolute = t_interval([cost(after) - cost(before) for before, after in pairs])
    return Difference(len(pairs), relative, absolute)


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


def t_interval(values: Sequence[float]) -> Interval:
    """
    The mean with its 95 % interval by Student's t; without limits for a single value.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None)
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Interval(mean, mean - half, mean + half)
