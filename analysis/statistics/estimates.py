"""
Estimates over trials: means per variant, and paired differences, each with its interval.

The trial is the replicate: a thousand requests to one deployment are one observation, in one load
or in many. Differences are paired within rounds, whose loads lie a second apart, then averaged over
the rounds of a block: the trials of one block share what the machine was doing then.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from analysis.statistics.intervals import Interval, bca_interval, t_interval
from experiments.records.trials import OK, are_comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.records.trials import LoadResult, TrialRecord

METRICS: dict[str, Callable[[LoadResult], float]] = {
    "requests_per_second": lambda load: load.requests_per_second,
    "us_per_request": lambda load: 1e6 / load.requests_per_second,
    "latency_mean_us": lambda load: load.latency_mean_us,
    "latency_p50_us": lambda load: load.latency_p50_us,
    "latency_p99_us": lambda load: load.latency_p99_us,
}
"""What is estimated, by name; ``us_per_request`` is time over requests, the inverse of the rate."""


AT_ONCE = "at_once"
"""The phase of a trial in which it is loaded at once."""


@dataclass(frozen=True)
class VariantSummary:
    """
    One variant over its trials.

    ``means`` maps each of METRICS to its mean over trials, and ``ranges`` to its least and greatest
    value. The rate's mean is the harmonic one, so it and the time per request say the same (Hoefler
    and Belli, "Scientific Benchmarking of Parallel Computing Systems", SC 2015). ``errors`` counts
    the trials without a result, and ``aborted`` the loads that broke off. ``requests`` are all that
    were asked for, by those too; ``requests_failed`` and ``responses_non_2xx`` are sums over whole
    loads; ``reliability`` is the share of ``requests`` answered as they should be, where a load
    that broke off counts as none of its requests answered, so it is a lower bound then. None when
    nothing was asked.
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

    ``rounds`` are the pairs of loads of the same round that it rests on, in all blocks; none where
    the trials have no rounds. ``relative`` maps each of METRICS to its relative difference (0.1 is
    ten per cent more), taken from the mean log-ratio; ``us_per_request`` is the absolute one, in
    microseconds, and ``baseline_us`` what the baseline takes per request in these blocks.
    ``log_ratios`` are of the time per request, one for each block. All these but the
    quantiles of latency are at equal place (see places.py). ``good_shares`` are the shares of good
    answers of the baseline's trials and of the treatment's.
    """

    blocks: int
    rounds: int
    relative: dict[str, Interval]
    us_per_request: Interval
    baseline_us: Interval
    log_ratios: list[float]
    good_shares: tuple[float, float]

    @property
    def comparable(self) -> bool:
        """
        Whether the difference is one in time, because both have as many good answers.
        """
        return are_comparable(self.good_shares)

    @cached_property
    def bootstrapped(self) -> Interval:
        """
        The relative difference in time per request with the interval of the bootstrap.
        """
        return bca_interval(self.log_ratios).map(math.expm1)


@dataclass(frozen=True)
class Pair:
    """
    Two trials of one part of a block, and what they differ by over the rounds that both have.

    ``log_ratios`` maps each of METRICS to the logarithm of treatment over baseline; times are in
    microseconds per request.
    """

    baseline: TrialRecord
    treatment: TrialRecord
    rounds: int
    log_ratios: dict[str, float]
    baseline_us: float
    difference_us: float


def summarise(variant: str, trials: Sequence[TrialRecord]) -> VariantSummary:
    """
    Summarise the trials of one variant; trials of others are passed over.
    """
    own = [trial for trial in trials if trial.variant == variant]
    loads = [trial.load for trial in own if trial.status == OK and trial.load is not None]
    values = {name: [metric(load) for load in loads] for name, metric in METRICS.items()}
    requests = sum(load.requests for load in loads) + sum(trial.requests_lost for trial in own)
    return VariantSummary(
        variant=variant,
        trials=len(loads),
        errors=len(own) - len(loads),
        aborted=sum(trial.requests_lost > 0 for trial in own),
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


class Differences:
    """
    The paired differences between the variants of a run, at equal place, each computed once.
    """

    def __init__(self, trials: Sequence[TrialRecord]) -> None:
        """
        Takes trials that are at equal place (at_equal_place).
        """
        self.trials = trials
        self._known: dict[tuple[str, str], Difference | None] = {}

    def between(self, baseline: str, treatment: str) -> Difference | None:
        """
        The treatment's difference from its baseline; None when no block has both.
        """
        pair = (baseline, treatment)
        if pair not in self._known:
            self._known[pair] = _difference(baseline, treatment, self.trials)
        return self._known[pair]


def at_once(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """
    The trials that have a load at once, with it in place of the short loads; also if it broke off.
    """
    return [
        replace(
            trial,
            load=trial.at_once,
            loads=[],
            requests_lost=trial.requests_lost if trial.failed_phase == AT_ONCE else 0,
        )
        for trial in trials
        if trial.at_once is not None or trial.failed_phase == AT_ONCE
    ]


def _difference(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> Difference | None:
    blocks = pairs_by_block(baseline, treatment, trials)
    if not blocks:
        return None
    each_block = list(blocks.values())
    logs = {
        name: [statistics.fmean(pair.log_ratios[name] for pair in own) for own in each_block]
        for name in METRICS
    }
    differences = [statistics.fmean(pair.difference_us for pair in own) for own in each_block]
    baselines = [statistics.fmean(pair.baseline_us for pair in own) for own in each_block]
    return Difference(
        blocks=len(blocks),
        rounds=sum(pair.rounds for own in each_block for pair in own),
        relative={name: t_interval(each).map(math.expm1) for name, each in logs.items()},
        us_per_request=t_interval(differences),
        baseline_us=t_interval(baselines),
        log_ratios=logs["us_per_request"],
        good_shares=good_shares(baseline, treatment, trials),
    )


def pairs_by_block(
    baseline: str, treatment: str, trials: Sequence[TrialRecord]
) -> dict[int, list[Pair]]:
    """
    For each block that has good trials of both in one part: their pairs, one for each such part.
    """
    blocks: dict[int, list[Pair]] = defaultdict(list)
    for (block, _), own in trials_by_part(trials).items():
        if baseline in own and treatment in own:
            pair = _pair(own[baseline], own[treatment])
            if pair is not None:
                blocks[block].append(pair)
    return dict(blocks)


def _pair(baseline: TrialRecord, treatment: TrialRecord) -> Pair | None:
    """
    Two good trials of one part, paired by round; None when they share no round.
    """
    rows = shared_rounds(baseline, treatment)
    if not rows or baseline.load is None or treatment.load is None:
        return None
    logs = {
        name: math.log(metric(treatment.load) / metric(baseline.load))
        for name, metric in METRICS.items()
    }
    in_rounds = bool(baseline.loads and treatment.loads)
    if in_rounds:
        # The rate is the inverse of the time, and the mean latency concurrency times the time.
        ratio = statistics.fmean(math.log(after / before) for before, after in rows)
        logs |= {"us_per_request": ratio, "latency_mean_us": ratio, "requests_per_second": -ratio}
    return Pair(
        baseline=baseline,
        treatment=treatment,
        rounds=len(rows) if in_rounds else 0,
        log_ratios=logs,
        baseline_us=statistics.fmean(before for before, _ in rows),
        difference_us=statistics.fmean(after - before for before, after in rows),
    )


def shared_rounds(baseline: TrialRecord, treatment: TrialRecord) -> list[tuple[float, float]]:
    """
    The microseconds per request of two good trials of one part, for each round that both have.

    Only loads that were whole count. Where a trial has no rounds, both count as one load.
    """
    if not (baseline.loads and treatment.loads):
        cost = METRICS["us_per_request"]
        return [
            (cost(one), cost(two)) for one, two in [(baseline.load, treatment.load)] if one and two
        ]
    before, after = (
        {load.round: load.us_per_request for load in trial.loads if load.is_whole}
        for trial in (baseline, treatment)
    )
    return [(before[number], after[number]) for number in sorted(before.keys() & after.keys())]


def trials_by_part(trials: Sequence[TrialRecord]) -> dict[tuple[int, int], dict[str, TrialRecord]]:
    """
    The good trials, by block and part, and then by variant, in the order of the blocks.
    """
    parts: dict[tuple[int, int], dict[str, TrialRecord]] = defaultdict(dict)
    for trial in trials:
        if trial.status == OK and trial.load is not None:
            parts[trial.block, trial.part][trial.variant] = trial
    return dict(sorted(parts.items()))


def good_shares(
    baseline: str, treatment: str, trials: Sequence[TrialRecord]
) -> tuple[float, float]:
    """
    The shares of the requests of two variants that were answered as they should be.

    Those of a load that broke off count as not answered, whether the trial is good or not.
    """
    before, after = (summarise(name, trials).reliability for name in (baseline, treatment))
    return (1.0 if before is None else before, 1.0 if after is None else after)


def us_per_request(variant: str, trials: Sequence[TrialRecord]) -> tuple[Interval, int] | None:
    """
    Microseconds per request of one variant, as a mean with its interval, and its trials.

    The mean of times is the harmonic mean of rates; the trials of one block are one value. None
    when there is no trial.
    """
    blocks: dict[int, list[float]] = defaultdict(list)
    for (block, _), own in trials_by_part(trials).items():
        load = own[variant].load if variant in own else None
        if load is not None:
            blocks[block].append(METRICS["us_per_request"](load))
    if not blocks:
        return None
    costs = [statistics.fmean(each) for each in blocks.values()]
    return t_interval(costs), sum(map(len, blocks.values()))
