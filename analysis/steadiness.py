"""
Steadiness: whether a deployment's rate changed while its load ran, the machine's speed taken out.

A load that caught a deployment warming up says less of the next one than a steady load does. So
each trial is labelled, by two tests of its own course; none is dropped for its label, because
choosing trials by what they show is how a comparison is bent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    import numpy.typing as npt

    from experiments.records import Pulse

STEADY = "steady"
UNSTEADY = "unsteady"

SIGNIFICANCE = 0.01
"""Of each of the two tests, so of steady loads at most about one in fifty is called unsteady."""

LEAST_BEATS = 20
"""A load with fewer, until its last opening, is not judged."""

BINS = 20
"""About as many a load is divided into; whole beats in each make it 15 to 29."""

PERMUTATIONS = 1999
PERMUTATION_SEED = 1
"""The same for every load, so that the same records give the same bytes."""


@dataclass(frozen=True)
class Steadiness:
    """
    What became of the rate while one load ran.

    ``label`` is STEADY or UNSTEADY. ``change_at_s`` is where a change is most likely, in seconds
    since the load began, and ``change`` the relative difference of the rate after that from the
    rate before (0.1 is ten per cent faster); both are there for a steady load too, and mean nothing
    then. ``step_p`` and ``trend_p`` are the p-values of no sudden change and of no trend.
    """

    label: str
    change_at_s: float
    change: float
    step_p: float
    trend_p: float


@dataclass(frozen=True)
class Course:
    """
    The rate over a load, in bins of equally many beats.

    ``ends_s`` is when each bin ended, in seconds since the load began, and ``rates`` are
    connections per second, as they would be at the machine's mean speed. A request opens one
    connection or two, but all of one trial equally many, so relative changes are those of requests.
    """

    ends_s: npt.NDArray[np.float64]
    rates: npt.NDArray[np.float64]


def steadiness(pulse: Pulse) -> Steadiness | None:
    """
    Whether the rate changed, suddenly or gradually; None for a load with too few beats.

    By Pettitt's test for one change and by Mann and Kendall's for a trend (Mann, "Nonparametric
    Tests Against Trend", Econometrica 1945). Both take the bins for exchangeable. So what disturbs
    a load for longer than a bin, and is not the machine's speed, makes it unsteady too.
    """
    found = course(pulse)
    if found is None:
        return None
    before, step_p = pettitt(found.rates)
    trend_p = float(stats.kendalltau(np.arange(len(found.rates)), found.rates).pvalue)
    rate_before = float(found.rates[:before].mean())
    rate_after = float(found.rates[before:].mean())
    return Steadiness(
        # Rates that are all equal have no trend to test, which is a p-value of NaN and not less.
        label=UNSTEADY if step_p < SIGNIFICANCE or trend_p < SIGNIFICANCE else STEADY,
        change_at_s=float(found.ends_s[before - 1]),
        change=rate_after / rate_before - 1 if rate_before else math.inf,
        step_p=step_p,
        trend_p=trend_p,
    )


def course(pulse: Pulse) -> Course | None:
    """
    The rate over the load, without its first bin; None for too few beats.

    In the first bin all connections open at once. From the last opening on nothing opens while the
    last answers come in, so that is left out, and so is what fills no bin before it. Each rate is
    multiplied by the bin's mean work relative to the load's: twice the time for the same work is
    half the machine.
    """
    opened = np.asarray(pulse.opened, dtype=np.float64)
    beats = int(opened.argmax()) + 1 if len(opened) else 0
    if beats < LEAST_BEATS:
        return None
    # Openings may end anywhere between the last two of these beats.
    intervals = beats - 2
    beats_per_bin = max(1, round(intervals / BINS))
    bins = intervals // beats_per_bin
    edges = np.arange(bins + 1) * beats_per_bin
    at_s = np.asarray(pulse.at_s)[edges]
    work_us = np.asarray(pulse.work_us)[1 : edges[-1] + 1].reshape(bins, beats_per_bin).mean(axis=1)
    rates = np.diff(opened[edges]) / np.diff(at_s) * (work_us / work_us.mean())
    return Course(at_s[2:], rates[1:])


def pettitt(values: npt.NDArray[np.float64]) -> tuple[int, float]:
    """
    How many values come before the most likely change, and the p-value of no change.

    After Pettitt, "A Non-Parametric Approach to the Change-Point Problem" (Applied Statistics
    28(2), 1979). His formula for the p-value is an approximation for long series; of twenty values
    or so, permutations of them are as cheap and exact but for their number.
    """
    ranks = stats.rankdata(values)
    rows = np.tile(ranks, (PERMUTATIONS, 1))
    shuffled = np.random.default_rng(PERMUTATION_SEED).permuted(rows, axis=1)
    observed = _changes(ranks)
    greatest = observed.max()
    as_great = int((_changes(shuffled).max(axis=-1) >= greatest).sum())
    return int(observed.argmax()) + 1, (1 + as_great) / (1 + PERMUTATIONS)


def _changes(ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """
    Pettitt's |U| for a change after each value but the last, along the last axis.
    """
    count = ranks.shape[-1]
    before = np.arange(1, count)
    sums = np.cumsum(ranks, axis=-1)[..., :-1]
    changes: npt.NDArray[np.float64] = np.abs(2 * sums - before * (count + 1))
    return changes
