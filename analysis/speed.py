"""
Trials at equal speed of the machine: a covariate that takes most of the noise away.

While a load runs, a fixed piece of work is timed again and again (``records.Pulse``), and time per
request goes with how long it takes. The part that does can be taken off: an analysis of covariance
(Fisher 1932; for online experiments Deng, Xu, Kohavi and Walker, "Improving the Sensitivity of
Online Controlled Experiments by Utilizing Pre-Experiment Data", WSDM 2013, whose covariate is from
before the treatment). This one is from during it: where a treatment slows the fixed work itself,
that part of its cost is taken off too. So no verdict rests on it; it is shown beside what was
measured, with the difference in the work. The slope is estimated from the run itself, within
variants, so no difference between variants bends it.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.intervals import t_interval
from analysis.verdicts import p_value_of_none
from experiments.records import OK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.intervals import Interval
    from experiments.records import LoadResult, TrialRecord

LEAST_SPARE_TRIALS = 12
"""
Trials beyond one for each variant from which on a run knows how its times go with the machine's
speed.
"""

SIGNIFICANCE = 0.01
"""At which a variant is said to have a speed of the machine of its own."""


@dataclass(frozen=True)
class EqualSpeed:
    """
    Trials with their times per request as they would have been at the run's mean speed.

    ``slope`` is by how many per cent time per request grows where the fixed work takes one per cent
    longer; it is 0, and the trials are as they were measured, where there are too few to tell.
    ``explained`` is the share of the variance within variants that is taken off by it, and
    ``spread`` the standard deviation of the logarithm of the fixed work's time between trials.
    ``apart`` are variants beside which the fixed work itself was slower or faster than beside the
    others; what is taken off theirs is by the work beside the others of their block.
    """

    trials: list[TrialRecord]
    slope: float = 0.0
    explained: float = 0.0
    spread: float = 0.0
    apart: tuple[str, ...] = ()

    @property
    def levelled(self) -> bool:
        """
        Whether anything was taken off.
        """
        return self.slope != 0


def slowness(trial: TrialRecord) -> float | None:
    """
    The logarithm of the mean time of the fixed work while a trial's load ran, in microseconds.

    None for a trial without a load or a pulse.
    """
    if trial.status != OK or trial.load is None or trial.pulse is None or not trial.pulse.work_us:
        return None
    return math.log(trial.pulse.mean_us)


@dataclass(frozen=True)
class Slope:
    """
    How the logarithm of something goes with the machine's slowness, within variants.

    ``without`` is for each block the slope in all others. A block's own values are levelled by
    that, because a slope that was fitted to them too would make their spread, and so every
    interval, too small. ``mean`` is the mean slowness, at which values are given; the rest is as in
    EqualSpeed.
    """

    slope: float
    without: dict[int, float]
    mean: float
    explained: float
    spread: float

    def factor(self, block: int, slow: float) -> float:
        """
        What takes a value of a block that was measured at this slowness to the mean one.
        """
        return math.exp(-self.without.get(block, self.slope) * (slow - self.mean))


@dataclass(frozen=True)
class Row:
    """
    What one trial says of the slope: a value's logarithm and the slowness.
    """

    variant: str
    block: int
    log_value: float
    slow: float


def slope_of(rows: Sequence[Row]) -> Slope | None:
    """
    The slope in rows of trials; None for too few, or where the slowness did not change.
    """
    if len(rows) - len({row.variant for row in rows}) < LEAST_SPARE_TRIALS:
        return None
    values = _within([(row.variant, row.log_value) for row in rows])
    slows = _within([(row.variant, row.slow) for row in rows])
    varies, together, total = float(slows @ slows), float(slows @ values), float(values @ values)
    if varies == 0 or total == 0:
        return None
    slope = together / varies
    without = {}
    for block in dict.fromkeys(row.block for row in rows):
        own = np.array([row.block == block for row in rows])
        left = varies - float(slows[own] @ slows[own])
        if left > 0:
            without[block] = (together - float(slows[own] @ values[own])) / left
    rest = values - slope * slows
    every = [row.slow for row in rows]
    return Slope(
        slope=slope,
        without=without,
        mean=statistics.fmean(every),
        explained=1 - float(rest @ rest) / total,
        spread=statistics.stdev(every),
    )


def at_equal_speed(trials: Sequence[TrialRecord]) -> EqualSpeed:
    """
    Take off what goes with the machine's speed; only where every good trial has a pulse.
    """
    good = [trial for trial in trials if trial.status == OK and trial.load is not None]
    if any(slowness(trial) is None for trial in good):
        return EqualSpeed(list(trials))
    apart = speeds_of_their_own(good)
    rows = [
        Row(trial.variant, trial.block, -math.log(trial.load.requests_per_second), slow)
        for trial in good
        if trial.variant not in apart
        and trial.load is not None
        and (slow := slowness(trial)) is not None
    ]
    found = slope_of(rows)
    if found is None:
        return EqualSpeed(list(trials))
    blocks: dict[int, list[float]] = defaultdict(list)
    for trial in good:
        slow = slowness(trial)
        if slow is not None and trial.variant not in apart:
            blocks[trial.block].append(slow)
    levelled = []
    for trial in trials:
        slow = slowness(trial)
        if trial.variant in apart:
            others = blocks[trial.block]
            slow = statistics.fmean(others) if others else None
        if trial.load is None or slow is None:
            levelled.append(trial)
        else:
            levelled.append(
                replace(trial, load=scaled(trial.load, found.factor(trial.block, slow)))
            )
    return EqualSpeed(levelled, found.slope, found.explained, found.spread, apart)


def speeds_of_their_own(trials: Sequence[TrialRecord]) -> tuple[str, ...]:
    """
    The variants beside which the fixed work was slower or faster than beside the block's others.

    Such a variant, for one whose services stand still at a limit most of the time, changes what is
    to show the machine's speed, so that cannot be taken off. By Student's t over blocks, at 1 %
    over all variants together.
    """
    blocks: dict[int, dict[str, float]] = defaultdict(dict)
    for trial in trials:
        slow = slowness(trial)
        if slow is not None:
            blocks[trial.block][trial.variant] = slow
    variants = list(dict.fromkeys(trial.variant for trial in trials))
    bound = SIGNIFICANCE / max(1, len(variants))
    found: list[str] = []
    while True:
        # The most certain one first: beside it, all others would seem to differ too.
        rest = [variant for variant in variants if variant not in found]
        p_values = {variant: _p_value_of_the_same(variant, rest, blocks) for variant in rest}
        certain = {variant: p for variant, p in p_values.items() if p is not None and p < bound}
        if not certain:
            return tuple(found)
        found.append(min(certain, key=certain.__getitem__))


def _p_value_of_the_same(
    variant: str, among: Sequence[str], blocks: Mapping[int, Mapping[str, float]]
) -> float | None:
    """
    Of a variant's slowness being that of the others of its block; None for too few of either.
    """
    against = []
    for own in blocks.values():
        others = [own[name] for name in among if name != variant and name in own]
        if variant in own and len(others) > 1:
            against.append(own[variant] - statistics.fmean(others))
    return p_value_of_none(against)


def slower_machine(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> Interval | None:
    """
    By how much longer the fixed work took beside the treatment, relative, paired within blocks.

    None where no block has both.
    """
    slow = {(trial.block, trial.variant): slowness(trial) for trial in trials}
    differences = [
        after - before
        for (block, variant), before in slow.items()
        if variant == baseline
        and before is not None
        and (after := slow.get((block, treatment))) is not None
    ]
    return t_interval(differences).map(math.expm1) if differences else None


def _within(rows: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
    """
    Values less the mean of their variant.
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for variant, value in rows:
        groups[variant].append(value)
    means = {variant: statistics.fmean(values) for variant, values in groups.items()}
    return np.array([value - means[variant] for variant, value in rows])


def scaled(load: LoadResult, factor: float) -> LoadResult:
    """
    A load with its duration, and so its rate and mean latency, multiplied by a factor.

    Its quantiles are as they were measured: that they go with the speed alike is not known.
    """
    return replace(
        load,
        duration_s=load.duration_s * factor,
        requests_per_second=load.requests_per_second / factor,
        latency_mean_us=load.latency_mean_us * factor,
    )
