"""
Estimates over trials: means per variant and paired differences, with confidence intervals.

The trial is the replicate: all requests to one deployment are one observation, in one load or in
many. Differences are paired within rounds, whose loads are a second apart, then averaged over the
rounds of a block. Pairing cancels what the machine did meanwhile, because the arms share it.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from analysis.statistics.intervals import Interval, bca_interval, t_interval
from experiments.records.trials import OK, are_comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from experiments.records.trials import LoadResult, TrialRecord

METRICS: dict[str, Callable[[LoadResult], float]] = {
    "requests_per_second": lambda load: load.requests_per_second,
    "us_per_request": lambda load: 1e6 / load.requests_per_second,
    "latency_mean_us": lambda load: load.latency_mean_us,
    "latency_p50_us": lambda load: load.latency_p50_us,
    "latency_p99_us": lambda load: load.latency_p99_us,
}
"""The metrics by name; ``us_per_request`` is duration over requests, the inverse of the rate."""


AT_ONCE = "at_once"
"""The phase of a trial's one long load, with as many requests as the published report."""


@dataclass(frozen=True)
class VariantSummary:
    """
    One variant over its trials.

    ``means`` maps each of METRICS to its mean over trials, ``ranges`` to its minimum and maximum.
    The mean of the rate is the harmonic mean, so it agrees with the time per request (Hoefler and
    Belli, "Scientific Benchmarking of Parallel Computing Systems", SC 2015). ``errors`` counts the
    trials without a result, ``aborted`` the loads that broke off. ``requests`` counts all requests
    asked for, including those of aborted loads. ``requests_failed`` and ``responses_non_2xx`` are
    sums over whole loads. ``reliability`` is the share of ``requests`` with a good answer, None
    without requests. It is a lower bound after an aborted load, which counts as all unanswered.
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
    The difference of a treatment from its baseline, over the blocks in which both have a trial.

    ``rounds`` counts the pairs of loads of the same round over all blocks, 0 for trials without
    rounds. ``relative`` maps each of METRICS to the relative difference (0.1 is ten per cent more),
    from the mean log-ratio. ``us_per_request`` is the absolute difference and ``baseline_us`` the
    baseline's time per request in these blocks, both in microseconds. ``log_ratios`` has the
    log-ratio of the time per request of each block. All of these except the quantiles of latency
    are at equal place (see places.py). ``good_shares`` are the shares of good answers of the
    baseline's trials and of the treatment's, and ``requests`` the numbers that they are of.
    """

    blocks: int
    rounds: int
    relative: dict[str, Interval]
    us_per_request: Interval
    baseline_us: Interval
    log_ratios: list[float]
    good_shares: tuple[float, float]
    requests: tuple[int, int]

    @property
    def comparable(self) -> bool:
        """
        Whether times may be compared, because both arms gave good answers.
        """
        return are_comparable(self.good_shares)

    @cached_property
    def bootstrapped(self) -> Interval:
        """
        The relative difference in time per request with the bootstrap's interval (BCa).
        """
        return bca_interval(self.log_ratios).map(math.expm1)


@dataclass(frozen=True)
class Pair:
    """
    Two trials of one part of a block, and their differences over the rounds that both have.

    ``log_ratios`` maps each of METRICS to the log-ratio of treatment to baseline; times are in
    microseconds per request.
    """

    baseline: TrialRecord
    treatment: TrialRecord
    rounds: int
    log_ratios: dict[str, float]
    baseline_us: float
    difference_us: float


@dataclass(frozen=True)
class Answers:
    """
    How many requests were made, and how many had a good answer.

    All requests of an aborted load count as unanswered, whether its trial is good or not.
    """

    requests: int
    requests_ok: int

    @property
    def good_share(self) -> float:
        """
        The share of requests with a good answer; 1 without requests.
        """
        return self.requests_ok / self.requests if self.requests else 1.0


class Trials(tuple["TrialRecord", ...]):  # noqa: SLOT001 - cached properties need a dictionary
    """
    Trials that are sorted into variants and parts once, however often that is asked for.
    """

    @classmethod
    def of(cls, trials: Iterable[TrialRecord]) -> Trials:
        """
        The trials themselves if they are such, otherwise with nothing sorted yet.
        """
        return trials if isinstance(trials, cls) else cls(trials)

    @cached_property
    def by_variant(self) -> dict[str, list[TrialRecord]]:
        """
        All trials by variant.
        """
        variants: dict[str, list[TrialRecord]] = defaultdict(list)
        for trial in self:
            variants[trial.variant].append(trial)
        return dict(variants)

    def answers(self, variant: str) -> Answers:
        """
        The answers that one variant gave in all of its trials.
        """
        trials = self.by_variant.get(variant, [])
        loads = [trial.load for trial in trials if trial.status == OK and trial.load is not None]
        lost = sum(trial.requests_lost for trial in trials)
        return Answers(
            requests=sum(load.requests for load in loads) + lost,
            requests_ok=sum(load.requests_ok for load in loads),
        )

    @cached_property
    def by_part(self) -> dict[tuple[int, int], dict[str, TrialRecord]]:
        """
        The good trials by block and part, then by variant; sorted by block and part.
        """
        parts: dict[tuple[int, int], dict[str, TrialRecord]] = defaultdict(dict)
        for trial in self:
            if trial.status == OK and trial.load is not None:
                parts[trial.block, trial.part][trial.variant] = trial
        return dict(sorted(parts.items()))


def summarise(variant: str, trials: Sequence[TrialRecord]) -> VariantSummary:
    """
    Summarise the trials of one variant; other variants' trials are ignored.
    """
    variant_trials = Trials.of(trials).by_variant.get(variant, [])
    loads = [
        trial.load for trial in variant_trials if trial.status == OK and trial.load is not None
    ]
    values = {name: [metric(load) for load in loads] for name, metric in METRICS.items()}
    answers = Trials.of(trials).answers(variant)
    return VariantSummary(
        variant=variant,
        trials=len(loads),
        errors=len(variant_trials) - len(loads),
        aborted=sum(trial.requests_lost > 0 for trial in variant_trials),
        means=_means(values),
        ranges={name: (min(data), max(data)) for name, data in values.items() if data},
        requests=answers.requests,
        requests_failed=sum(load.requests_failed for load in loads),
        responses_non_2xx=sum(load.responses_non_2xx for load in loads),
        reliability=answers.good_share if answers.requests else None,
    )


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, Interval]:
    means = {name: t_interval(data) for name, data in values.items() if data}
    if means:
        cost = means["us_per_request"]
        means["requests_per_second"] = Interval(
            1e6 / cost.estimate,
            None if cost.high is None else 1e6 / cost.high,
            # If the interval of the time reaches zero, the rate has no upper limit.
            None if cost.low is None or cost.low <= 0 else 1e6 / cost.low,
        )
    return means


class Differences:
    """
    The paired differences between the variants of a run, each computed once.
    """

    def __init__(self, trials: Sequence[TrialRecord]) -> None:
        """
        ``trials`` must be at equal place (see at_equal_place).
        """
        self.trials = Trials.of(trials)
        self._known: dict[tuple[str, str], Difference | None] = {}

    def between(self, baseline: str, treatment: str) -> Difference | None:
        """
        The treatment's difference from its baseline; None if no block has both arms.
        """
        pair = (baseline, treatment)
        if pair not in self._known:
            self._known[pair] = _difference(baseline, treatment, self.trials)
        return self._known[pair]


def at_once(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """
    The trials with a long load, finished or aborted, which replaces the short loads.
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


def _difference(baseline: str, treatment: str, trials: Trials) -> Difference | None:
    blocks = pairs_by_block(baseline, treatment, trials)
    if not blocks:
        return None
    by_block = list(blocks.values())
    logs = {
        name: [statistics.fmean([pair.log_ratios[name] for pair in pairs]) for pairs in by_block]
        for name in METRICS
    }
    differences = [statistics.fmean([pair.difference_us for pair in pairs]) for pairs in by_block]
    baselines = [statistics.fmean([pair.baseline_us for pair in pairs]) for pairs in by_block]
    return Difference(
        blocks=len(blocks),
        rounds=sum(pair.rounds for pairs in by_block for pair in pairs),
        relative={name: t_interval(ratios).map(math.expm1) for name, ratios in logs.items()},
        us_per_request=t_interval(differences),
        baseline_us=t_interval(baselines),
        log_ratios=logs["us_per_request"],
        good_shares=good_shares(baseline, treatment, trials),
        requests=(trials.answers(baseline).requests, trials.answers(treatment).requests),
    )


def pairs_by_block(
    baseline: str, treatment: str, trials: Sequence[TrialRecord]
) -> dict[int, list[Pair]]:
    """
    The pairs of good trials of both variants, by block; one pair for each part that has both.
    """
    blocks: dict[int, list[Pair]] = defaultdict(list)
    for (block, _), part in trials_by_part(trials).items():
        if baseline in part and treatment in part:
            pair = _pair(part[baseline], part[treatment])
            if pair is not None:
                blocks[block].append(pair)
    return dict(blocks)


def _pair(baseline: TrialRecord, treatment: TrialRecord) -> Pair | None:
    """
    Pair two good trials of one part by round; None if they share no round.
    """
    rows = shared_rounds(baseline, treatment)
    if not rows or baseline.load is None or treatment.load is None:
        return None
    logs = {}
    in_rounds = bool(baseline.loads and treatment.loads)
    if in_rounds:
        # rate = 1 / time, and mean latency = concurrency × time: one ratio gives all three.
        ratio = statistics.fmean([math.log(after / before) for before, after in rows])
        logs = {"us_per_request": ratio, "latency_mean_us": ratio, "requests_per_second": -ratio}
    for name in METRICS.keys() - logs.keys():
        metric = METRICS[name]
        logs[name] = math.log(metric(treatment.load) / metric(baseline.load))
    return Pair(
        baseline=baseline,
        treatment=treatment,
        rounds=len(rows) if in_rounds else 0,
        log_ratios=logs,
        baseline_us=statistics.fmean([before for before, _ in rows]),
        difference_us=statistics.fmean([after - before for before, after in rows]),
    )


def shared_rounds(baseline: TrialRecord, treatment: TrialRecord) -> list[tuple[float, float]]:
    """
    Microseconds per request of two good trials of one part, for each round that both have.

    Only whole loads count. If a trial has no rounds, both count as one load.
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
    The good trials by block and part, then by variant; sorted by block and part.
    """
    return Trials.of(trials).by_part


def good_shares(
    baseline: str, treatment: str, trials: Sequence[TrialRecord]
) -> tuple[float, float]:
    """
    The shares of requests with a good answer of two variants.
    """
    sorted_trials = Trials.of(trials)
    return (
        sorted_trials.answers(baseline).good_share,
        sorted_trials.answers(treatment).good_share,
    )


def us_per_request(variant: str, trials: Sequence[TrialRecord]) -> tuple[Interval, int] | None:
    """
    Mean microseconds per request of one variant with its interval, and its number of trials.

    The mean of times is the harmonic mean of rates. The trials of one block count as one value.
    None without trials.
    """
    blocks: dict[int, list[float]] = defaultdict(list)
    for (block, _), part in trials_by_part(trials).items():
        load = part[variant].load if variant in part else None
        if load is not None:
            blocks[block].append(METRICS["us_per_request"](load))
    if not blocks:
        return None
    block_means = [statistics.fmean(costs) for costs in blocks.values()]
    return t_interval(block_means), sum(map(len, blocks.values()))
