"""
Trials at equal speed of the machine: a covariate that takes most of the noise away.

While a load runs, a fixed piece of work is timed again and again (``records.Pulse``). How long it
takes is the machine's doing and not the variant's, and time per request goes with it. So the part
of a trial's time that goes with it is taken off: control by a covariate, as in an analysis of
covariance (Fisher 1932), known from online experiments as CUPED (Deng, Xu, Kohavi and Walker,
"Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data", WSDM
2013). The slope is estimated from the run itself, within variants, so that no difference between
variants has a part in it.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.intervals import t_interval
from experiments.records import LEAST_SPARE_TRIALS, OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.intervals import Interval
    from experiments.records import LoadResult, TrialRecord


@dataclass(frozen=True)
class EqualSpeed:
    """
    Trials with their times as they would have been at the run's mean speed.

    ``slope`` is by how many per cent time per request grows where the fixed work takes one per cent
    longer; it is 0, and the trials are as they were measured, where there are too few to tell.
    ``explained`` is the share of the variance within variants that is taken off by it, and
    ``spread`` the standard deviation of the logarithm of the fixed work's time between trials.
    """

    trials: list[TrialRecord]
    slope: float = 0.0
    explained: float = 0.0
    spread: float = 0.0

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

    ``mean`` is the mean slowness, at which it is given; the rest as in EqualSpeed.
    """

    slope: float
    mean: float
    explained: float
    spread: float

    def factor(self, slow: float) -> float:
        """
        What takes a value that was measured at this slowness to the mean one.
        """
        return math.exp(-self.slope * (slow - self.mean))


def slope_of(rows: Sequence[tuple[str, float, float]]) -> Slope | None:
    """
    The slope in rows of a variant, the logarithm of a value, and the slowness.

    None where there are too few rows, or the slowness did not change.
    """
    if len(rows) - len({variant for variant, _, _ in rows}) < LEAST_SPARE_TRIALS:
        return None
    values = _within([(variant, value) for variant, value, _ in rows])
    slows = _within([(variant, slow) for variant, _, slow in rows])
    varies, total = float(slows @ slows), float(values @ values)
    if varies == 0 or total == 0:
        return None
    slope = float(slows @ values) / varies
    rest = values - slope * slows
    every = [slow for _, _, slow in rows]
    return Slope(
        slope=slope,
        mean=statistics.fmean(every),
        explained=1 - float(rest @ rest) / total,
        spread=statistics.stdev(every),
    )


def at_equal_speed(trials: Sequence[TrialRecord]) -> EqualSpeed:
    """
    Take off what goes with the machine's speed; only where every good trial has a pulse.
    """
    good = [trial for trial in trials if trial.status == OK and trial.load is not None]
    rows = [
        (trial.variant, -math.log(trial.load.requests_per_second), slow)
        for trial in good
        if trial.load is not None and (slow := slowness(trial)) is not None
    ]
    found = slope_of(rows) if len(rows) == len(good) else None
    if found is None:
        return EqualSpeed(list(trials))
    levelled = []
    for trial in trials:
        slow = slowness(trial)
        if trial.load is None or slow is None:
            levelled.append(trial)
        else:
            levelled.append(replace(trial, load=scaled(trial.load, found.factor(slow))))
    return EqualSpeed(levelled, found.slope, found.explained, found.spread)


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
    A load with all of its times multiplied.
    """
    return replace(
        load,
        duration_s=load.duration_s * factor,
        requests_per_second=load.requests_per_second / factor,
        latency_mean_us=load.latency_mean_us * factor,
        latency_p50_us=load.latency_p50_us * factor,
        latency_p90_us=load.latency_p90_us * factor,
        latency_p99_us=load.latency_p99_us * factor,
        latency_max_us=load.latency_max_us * factor,
    )
