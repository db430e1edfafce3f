"""
Other measurement protocols on the same loads: a simulation that resamples the run's blocks.

A run measures one variant twice in every block (A/A), so any difference between the two is noise.
Each protocol draws from these loads as it would have measured. The results are its rate of false
differences, and the time until its interval is narrow enough.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import scipy

from analysis.statistics.estimates import METRICS, pairs_by_block, shared_rounds
from analysis.statistics.intervals import t_quantile
from analysis.statistics.verdicts import SIGNIFICANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.records.trials import TrialRecord

    Values = NDArray[np.float64]

REPLICATES = 4000
AT_A_TIME = 200
"""Resamples whose rounds are in memory at once."""
SEED = 1
LEAST_BLOCKS = 10
"""With fewer blocks, a resample says little more than the blocks themselves."""

IN_A_ROW = 5

WANTED = (0.02, 0.01, 0.005)
"""Relative half-widths of the 95 % interval for which each protocol's time is computed."""

REQUESTS_ALONE = 1000
PHASES_ALONE = ("deploy", "teardown")
"""The phases, besides the load, of a trial that is brought up alone and loaded once."""


@dataclass(frozen=True)
class Twins:
    """
    One variant measured twice in each of N blocks, round by round, at equal place.

    ``log_us`` has the logarithms of the time per request in microseconds, of shape (N, most rounds,
    2), with NaN beyond a block's number of ``rounds``, of shape (N,). ``side_by_side_s`` is the
    wall time of a block per deployment. ``alone_s`` is the wall time of a trial that is brought up
    alone and loaded once with REQUESTS_ALONE requests.
    """

    log_us: Values
    rounds: NDArray[np.int64]
    side_by_side_s: float
    alone_s: float

    @property
    def ratios(self) -> Values:
        """
        The log-ratio of each block, as the mean over its rounds, of shape (N,).
        """
        means: Values = np.nanmean(self.log_us[:, :, 1] - self.log_us[:, :, 0], axis=1)
        return means


@dataclass(frozen=True)
class Judgement:
    """
    One protocol's log-ratios for many resamples: arrays of shape (REPLICATES,).

    The true log-ratio is zero. ``half_widths`` are those of 95 % intervals.
    """

    estimates: Values
    half_widths: Values


class Way(Protocol):
    """
    A measurement protocol: draws loads of both twins and estimates their difference.
    """

    def __call__(self, twins: Twins, generator: np.random.Generator) -> Judgement:
        """
        The judgement of REPLICATES resamples.
        """


@dataclass(frozen=True)
class Performance:
    """
    The performance of one protocol.

    ``minutes`` is the duration of one use. ``coverage`` is the share of intervals that contain the
    true value, ``false_verdicts`` the share of false differences. ``minutes_needed`` maps each of
    WANTED to the time until a 95 % interval over independent repetitions has that half-width.
    """

    name: str
    minutes: float
    coverage: float
    false_verdicts: float
    minutes_needed: dict[float, float]


@dataclass(frozen=True)
class Promise:
    """
    The error rates of the project's own estimator, on resampled blocks and rounds.

    ``coverage`` is the share of intervals that contain the true value, ``false_verdicts`` the share
    of resamples judged *slower* or *faster*.
    """

    coverage: float
    false_verdicts: float


@dataclass(frozen=True)
class Resampled:
    """
    One A/A comparison resampled: this project's estimator, and the protocols.
    """

    promise: Promise
    performances: list[Performance]


def resampled(
    compared: Sequence[JudgedComparison], level: Sequence[TrialRecord], margin: float
) -> list[Resampled]:
    """
    Resample the A/A comparisons with enough blocks; ``level`` are the trials at equal place.
    """
    all_twins = [twins_of(each, level) for each in compared if each.control]
    return [
        Resampled(promise(twins, margin), performances(twins))
        for twins in all_twins
        if twins is not None
    ]


def twins_of(comparison: JudgedComparison, level: Sequence[TrialRecord]) -> Twins | None:
    """
    The loads of each block that has at least two rounds of both arms; None with too few blocks.

    ``level`` are the run's trials at equal place. None too if the arms differ in their share of
    good answers.
    """
    if comparison.difference is None or not comparison.difference.comparable:
        return None
    blocks = pairs_by_block(comparison.baseline, comparison.treatment, level)
    rows = [
        [row for pair in pairs for row in shared_rounds(pair.baseline, pair.treatment)]
        for pairs in blocks.values()
    ]
    rows = [row for row in rows if len(row) > 1]
    if len(rows) < LEAST_BLOCKS:
        return None
    rounds = np.array([len(row) for row in rows])
    log_us = np.full((len(rows), rounds.max(), 2), np.nan)
    for block, row in enumerate(rows):
        log_us[block, : len(row)] = np.log(row)
    trials = [
        trial
        for pairs in blocks.values()
        for pair in pairs
        for trial in (pair.baseline, pair.treatment)
    ]
    return Twins(log_us, rounds, _side_by_side_s(level), statistics.fmean(map(_alone_s, trials)))


def _side_by_side_s(trials: Sequence[TrialRecord]) -> float:
    """
    The median time from the start of a block to the next, in seconds per deployment.
    """
    blocks: dict[int, list[float]] = {}
    for trial in trials:
        blocks.setdefault(trial.block, []).append(trial.started_at)
    shares = [
        (min(after) - min(before)) / len(before)
        for (_, before), (_, after) in pairwise(sorted(blocks.items()))
    ]
    return statistics.median(shares)


def _alone_s(trial: TrialRecord) -> float:
    cost = METRICS["us_per_request"](trial.load) if trial.load is not None else 0.0
    beside = sum(trial.phases_s.get(phase, 0.0) for phase in PHASES_ALONE)
    return beside + REQUESTS_ALONE * cost / 1e6


def performances(twins: Twins) -> list[Performance]:
    """
    Every protocol on the same twins; protocols in blocks have the run's number of blocks.
    """
    blocks = len(twins.rounds)
    here, alone = twins.side_by_side_s / 60, twins.alone_s / 60
    ways: list[tuple[str, Way, float, int]] = [
        ("rounds side by side, {} blocks (this project)", side_by_side, 2 * here, blocks),
        ("random single trials, paired in {} blocks", single_trials, 2 * alone, blocks),
        (
            f"{IN_A_ROW} runs of the one, then {IN_A_ROW} of the other",
            in_a_row,
            2 * IN_A_ROW * alone,
            1,
        ),
        ("one run of each", once_each, 2 * alone, 1),
    ]
    return [
        _performance(name.format(blocks), way, minutes, repeats, twins)
        for name, way, minutes, repeats in ways
    ]


def _performance(name: str, way: Way, minutes: float, repeats: int, twins: Twins) -> Performance:
    judgement = way(twins, np.random.default_rng(SEED))
    covered = float(np.mean(np.abs(judgement.estimates) <= judgement.half_widths))
    # The standard deviation of a single repetition, from that of the mean of ``repeats``.
    spread = math.sqrt(repeats * float(np.mean(judgement.estimates**2)))
    return Performance(
        name=name,
        minutes=minutes * repeats,
        coverage=covered,
        false_verdicts=1 - covered,
        minutes_needed={
            wanted: minutes * repetitions_needed(spread, math.log1p(wanted)) for wanted in WANTED
        },
    )


def repetitions_needed(spread: float, wanted: float) -> int:
    """
    The minimum number of repetitions for an interval of half-width ``wanted`` (Student's t).
    """
    count = max(2, math.floor((scipy.stats.norm.ppf(1 - SIGNIFICANCE / 2) * spread / wanted) ** 2))
    while t_quantile(1 - SIGNIFICANCE / 2, count) * spread / math.sqrt(count) > wanted:
        count += 1
    return count


def promise(twins: Twins, margin: float) -> Promise:
    """
    Resample blocks, and rounds within blocks, and judge each resample like a comparison.

    Each twin is the treatment equally often, so the true difference is zero.
    """
    generator = np.random.default_rng(SEED)
    count = len(twins.rounds)
    ratios = twins.log_us[:, :, 1] - twins.log_us[:, :, 0]
    blocks = generator.integers(count, size=(REPLICATES, count, 1))
    means = np.empty((REPLICATES, count))
    # In pieces, because all rounds of all resamples of a long run are hundreds of megabytes.
    for first in range(0, REPLICATES, AT_A_TIME):
        piece = blocks[first : first + AT_A_TIME]
        rounds = twins.rounds[piece]
        shape = (len(piece), count, ratios.shape[1])
        drawn = (generator.random(shape) * rounds).astype(np.int64)
        kept = np.arange(ratios.shape[1]) < rounds
        sums = np.where(kept, ratios[piece, drawn], 0.0).sum(axis=2)
        means[first : first + AT_A_TIME] = sums / rounds[:, :, 0]
    judgement = _by_student(_signs(generator, means.shape) * means)
    sizes = np.abs(judgement.estimates)
    narrower = t_quantile(1 - SIGNIFICANCE, count) / t_quantile(1 - SIGNIFICANCE / 2, count)
    equivalent = sizes + judgement.half_widths * narrower < math.log1p(margin)
    return Promise(
        coverage=float(np.mean(sizes <= judgement.half_widths)),
        false_verdicts=float(np.mean((sizes > judgement.half_widths) & ~equivalent)),
    )


def side_by_side(twins: Twins, generator: np.random.Generator) -> Judgement:
    """
    Blocks of rounds; Student's t on the blocks' mean log-ratios.
    """
    count = len(twins.rounds)
    drawn = generator.integers(count, size=(REPLICATES, count))
    return _by_student(_signs(generator, drawn.shape) * twins.ratios[drawn])


def single_trials(twins: Twins, generator: np.random.Generator) -> Judgement:
    """
    Blocks with one load of each twin, from different rounds; Student's t on their log-ratios.
    """
    count = len(twins.rounds)
    drawn = generator.integers(count, size=(REPLICATES, count))
    return _by_student(_different_rounds(twins, drawn, generator))


def in_a_row(twins: Twins, generator: np.random.Generator) -> Judgement:
    """
    IN_A_ROW runs of one twin, then as many of the other; Student's t for two samples.

    The runs come from consecutive rounds; the first round follows the last.
    """
    rows = twins.log_us[~np.isnan(twins.log_us[:, :, 0])]
    starts = generator.integers(len(rows), size=REPLICATES)
    steps = starts[:, None] + np.arange(2 * IN_A_ROW)
    # The twin that comes first is random.
    first = generator.integers(2, size=(REPLICATES, 1))
    one = rows[steps[:, :IN_A_ROW] % len(rows), first]
    other = rows[steps[:, IN_A_ROW:] % len(rows), 1 - first]
    errors = np.sqrt((one.var(axis=1, ddof=1) + other.var(axis=1, ddof=1)) / IN_A_ROW)
    quantile = scipy.stats.t.ppf(1 - SIGNIFICANCE / 2, 2 * IN_A_ROW - 2)
    return Judgement(other.mean(axis=1) - one.mean(axis=1), quantile * errors)


def once_each(twins: Twins, generator: np.random.Generator) -> Judgement:
    """
    One run of each twin, with the interval from the spread over all resamples.

    Somebody who measures only once cannot know that spread.
    """
    drawn = generator.integers(len(twins.rounds), size=REPLICATES)
    estimates = _different_rounds(twins, drawn, generator)
    half = scipy.stats.norm.ppf(1 - SIGNIFICANCE / 2) * math.sqrt(float(np.mean(estimates**2)))
    return Judgement(estimates, np.full(REPLICATES, half))


def _different_rounds(
    twins: Twins, blocks: NDArray[np.int64], generator: np.random.Generator
) -> Values:
    """
    For each drawn block, the log-ratio of two loads from different rounds, one of each twin.
    """
    rounds = twins.rounds[blocks]
    one = (generator.random(blocks.shape) * rounds).astype(np.int64)
    other = (one + 1 + (generator.random(blocks.shape) * (rounds - 1)).astype(np.int64)) % rounds
    ratios: Values = twins.log_us[blocks, other, 1] - twins.log_us[blocks, one, 0]
    return _signs(generator, ratios.shape) * ratios


def _signs(generator: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """
    Random signs: each twin is the treatment equally often.
    """
    return generator.choice((-1.0, 1.0), size=shape)


def _by_student(log_ratios: Values) -> Judgement:
    count = log_ratios.shape[1]
    errors = log_ratios.std(axis=1, ddof=1) / math.sqrt(count)
    return Judgement(log_ratios.mean(axis=1), t_quantile(1 - SIGNIFICANCE / 2, count) * errors)
