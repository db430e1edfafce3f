"""
What other ways to measure would have said of the same trials: simulation on resampled real blocks.

A run measures one variant twice in every block. Whatever is seen between the two is noise, so a
known effect can be added to one of them, and each protocol be asked what it makes of that: how far
off its estimate is, how often it finds a difference where there is none, and how often it finds one
that is there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import stats

from analysis.estimates import loads_by_block
from analysis.verdicts import SIGNIFICANCE
from experiments.records import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.comparisons import Comparison
    from experiments.records import TrialRecord

    Values = NDArray[np.float64]

REPLICATES = 4000
SEED = 1
EFFECTS = (0.02, 0.05, 0.10)
LEAST_BLOCKS = 10
"""Of fewer blocks a resample says little more than the blocks themselves."""

IN_A_ROW = 5
LEAST_BLOCKS_FOR_ROWS = 6 * IN_A_ROW
"""Of fewer there are too few different rows to draw from."""

WANTED = 0.02
"""The relative error that a trustworthy answer stays below."""

SAID = 0.02
"""A difference between one run of each that nobody would call none."""


@dataclass(frozen=True)
class Twins:
    """
    The same thing measured twice in each of N blocks, in the order of time.

    ``first`` and ``second`` are logarithms of the time per request, of shape (N,), of the trial
    that came first in its block and of the one that came later; ``trial_s`` is how long a trial
    took on average, with deployment and teardown.
    """

    first: Values
    second: Values
    trial_s: float


@dataclass(frozen=True)
class Judgement:
    """
    What one protocol made of many resamples: arrays of shape (replicates,).

    ``estimates`` are of the log-ratio, ``claims`` whether a difference was said to be there, and
    ``half_widths`` of its error bar, or None for a protocol that has none.
    """

    estimates: Values
    claims: NDArray[np.bool_]
    half_widths: Values | None


class Way(Protocol):
    """
    A way to measure: draws trials of both from the twins, adds the effect to one, and judges.
    """

    def __call__(self, twins: Twins, effect: float, generator: np.random.Generator) -> Judgement:
        """
        Judge as many resamples as there are replicates; ``effect`` is a log-ratio.
        """


@dataclass(frozen=True)
class Performance:
    """
    How one protocol did.

    ``minutes`` is what one use of it takes, ``error`` the relative error that 95 % of its estimates
    stay below, ``coverage`` the share of its error bars that hold the truth (None without any),
    ``false_verdicts`` the share of differences that it finds where there is none, and ``power`` the
    share of those that it finds of each of EFFECTS, in the right direction. ``minutes_needed`` is
    how long it takes, repeated and averaged, until 95 % of its errors are below WANTED; None where
    that never comes, because its error is one-sided.
    """

    name: str
    minutes: float
    error: float
    coverage: float | None
    false_verdicts: float
    power: dict[float, float]
    minutes_needed: float | None


def twins_of(comparison: Comparison, trials: Sequence[TrialRecord]) -> Twins | None:
    """
    The two trials of each block that has both; None for too few blocks.
    """
    names = {comparison.baseline, comparison.treatment}
    started = {(trial.block, trial.variant): trial.started_at for trial in trials}
    took = [
        sum(trial.phases_s.values())
        for trial in trials
        if trial.variant in names and trial.status == OK
    ]
    pairs = []
    for block, loads in loads_by_block(trials).items():
        if names <= loads.keys():
            order = sorted((started[block, name], name) for name in names)
            pairs.append([-math.log(loads[name].requests_per_second) for _, name in order])
    if len(pairs) < LEAST_BLOCKS:
        return None
    values = np.asarray(pairs)
    return Twins(values[:, 0], values[:, 1], float(np.mean(took)))


def performances(twins: Twins, levelled: Twins | None = None) -> list[Performance]:
    """
    Every protocol on the same twins; this project's has as many blocks as there are.

    ``levelled`` are the same twins at equal speed of the machine, which no other protocol knows.
    """
    blocks = len(twins.first)
    random_order = f"{blocks} blocks in random order, paired"
    ways: list[tuple[str, Way, int, Twins]] = [
        (f"{random_order}; Student's t (as here)", paired, 2 * blocks, twins),
        (f"{blocks} blocks in a fixed order, paired; Student's t", fixed_order, 2 * blocks, twins),
    ]
    if levelled is not None:
        ways.insert(1, (f"{random_order}, at equal speed", paired, 2 * blocks, levelled))
    if blocks >= LEAST_BLOCKS_FOR_ROWS:
        name = f"{IN_A_ROW} runs of the one, then {IN_A_ROW} of the other; mean ± sd"
        ways.append((name, in_a_row, 2 * IN_A_ROW, twins))
    ways.append(("one run of each", once_each, 2, twins))
    return [
        _performance(name, way, trials * twins.trial_s / 60, own) for name, way, trials, own in ways
    ]


def _performance(name: str, way: Way, minutes: float, twins: Twins) -> Performance:
    generator = np.random.default_rng(SEED)
    none = way(twins, 0.0, generator)
    coverage = None
    if none.half_widths is not None:
        coverage = float(np.mean(np.abs(none.estimates) <= none.half_widths))
    power = {
        effect: float(np.mean(found.claims & (found.estimates > 0)))
        for effect in EFFECTS
        for found in [way(twins, math.log1p(effect), generator)]
    }
    error = math.expm1(float(np.quantile(np.abs(none.estimates), 0.95)))
    # What is always on one side, such as the price of the place in a block, no repeat averages out.
    bias = abs(float(np.mean(none.estimates)))
    spread = float(np.quantile(np.abs(none.estimates - np.mean(none.estimates)), 0.95))
    left = math.log1p(WANTED) - bias
    return Performance(
        name=name,
        minutes=minutes,
        error=error,
        coverage=coverage,
        false_verdicts=float(np.mean(none.claims)),
        power=power,
        minutes_needed=minutes * (spread / left) ** 2 if left > 0 else None,
    )


def paired(twins: Twins, effect: float, generator: np.random.Generator) -> Judgement:
    """
    Blocks with both in random order; Student's t on the log-ratios.
    """
    blocks = len(twins.first)
    drawn = generator.integers(blocks, size=(REPLICATES, blocks))
    # Either may be the treatment, and which of them comes first is drawn for each block.
    signs = generator.choice((-1.0, 1.0), size=(REPLICATES, blocks))
    return _by_student(signs * (twins.second - twins.first)[drawn] + effect)


def fixed_order(twins: Twins, effect: float, generator: np.random.Generator) -> Judgement:
    """
    The same, but the treatment always comes later in its block.
    """
    blocks = len(twins.first)
    drawn = generator.integers(blocks, size=(REPLICATES, blocks))
    return _by_student((twins.second - twins.first)[drawn] + effect)


def _by_student(log_ratios: Values) -> Judgement:
    count = log_ratios.shape[1]
    means = log_ratios.mean(axis=1)
    errors = log_ratios.std(axis=1, ddof=1) / math.sqrt(count)
    half = float(stats.t.ppf(1 - SIGNIFICANCE / 2, count - 1)) * errors
    return Judgement(means, np.abs(means) > half, half)


def in_a_row(twins: Twins, effect: float, generator: np.random.Generator) -> Judgement:
    """
    Some runs of the one and then as many of the other; different when mean ± sd do not overlap.

    The runs of each are of blocks that followed each other, so they are as far apart as those were.
    """
    starts = generator.integers(len(twins.first) - 2 * IN_A_ROW + 1, size=REPLICATES)
    steps = starts[:, None] + np.arange(IN_A_ROW)
    # Without what the place in a block costs, which such rows do not have.
    first, second = twins.first - twins.first.mean(), twins.second - twins.second.mean()
    one, other = first[steps], second[steps + IN_A_ROW]
    # Which of the two times is the treatment's is drawn, so that a trend has no favourite.
    signs = generator.choice((-1.0, 1.0), size=REPLICATES)
    estimates = signs * (other.mean(axis=1) - one.mean(axis=1)) + effect
    bars = one.std(axis=1, ddof=1) + other.std(axis=1, ddof=1)
    return Judgement(estimates, np.abs(estimates) > bars, bars)


def once_each(twins: Twins, effect: float, generator: np.random.Generator) -> Judgement:
    """
    One run of each; whatever is seen is said, as in the published report.
    """
    drawn = generator.integers(len(twins.first), size=REPLICATES)
    signs = generator.choice((-1.0, 1.0), size=REPLICATES)
    estimates = signs * (twins.second - twins.first)[drawn] + effect
    return Judgement(estimates, np.abs(estimates) > math.log1p(SAID), None)
