"""
Confidence intervals of means and of differences: Student's t, bootstrap and Welch.
"""

from __future__ import annotations

import math
import statistics
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIDENCE = 0.95

BOOTSTRAP_RESAMPLES = 9999
BATCH_VALUES = 500_000
BOOTSTRAP_SEED = 1
"""Fixed, so that the same records give the same bytes."""


@dataclass(frozen=True)
class Interval:
    """
    An estimate with its confidence interval; the limits are None where they cannot be estimated.
    """

    estimate: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """
        Whether zero is outside the interval; never without limits.
        """
        return self.low is not None and self.high is not None and self.low * self.high > 0

    @property
    def half_width(self) -> float | None:
        """
        Half the width of the interval; None without limits.
        """
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def map(self, function: Callable[[float], float]) -> Interval:
        """
        The interval of an increasing function of the quantity.
        """
        return Interval(
            function(self.estimate),
            None if self.low is None else function(self.low),
            None if self.high is None else function(self.high),
        )


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """
    The mean with Student's t interval; without limits for a single value.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None)
    half = t_quantile((1 + confidence) / 2, len(values)) * standard_error(values)
    return Interval(mean, mean - half, mean + half)


def bca_interval(values: Sequence[float]) -> Interval:
    """
    The mean with its bias-corrected and accelerated bootstrap interval.

    Efron, "Better Bootstrap Confidence Intervals" (JASA 1987), as implemented in SciPy. Without
    limits for equal values, and for fewer than five, where the interval is much too narrow.
    """
    mean = statistics.fmean(values)
    if len(values) < 5 or len(set(values)) == 1:
        return Interval(mean, None, None)
    with warnings.catch_warnings():
        # SciPy warns and returns NaN for degenerate data; the limits are then None.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        limits = scipy.stats.bootstrap(
            (np.asarray(values),),
            np.mean,
            n_resamples=BOOTSTRAP_RESAMPLES,
            # The draws are the same in any number of batches; this bounds their memory.
            batch=max(1, BATCH_VALUES // len(values)),
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(BOOTSTRAP_SEED),
        ).confidence_interval
    low, high = float(limits.low), float(limits.high)
    if math.isnan(low) or math.isnan(high):
        return Interval(mean, None, None)
    return Interval(mean, low, high)


def welch(
    baseline: Sequence[float], treatment: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[Interval, float]:
    """
    The difference of two means (treatment less baseline) with its interval and p-value.

    Both samples are independent and have at least two values; not all values may be equal. Welch,
    "The generalization of 'Student's' problem" (Biometrika 1947), as implemented in SciPy.
    """
    with warnings.catch_warnings():
        # One arm may have equal values, if the other has a spread.
        warnings.simplefilter("ignore", RuntimeWarning)
        test = scipy.stats.ttest_ind(treatment, baseline, equal_var=False)
    limits = test.confidence_interval(confidence)
    estimate = statistics.fmean(treatment) - statistics.fmean(baseline)
    return Interval(estimate, float(limits.low), float(limits.high)), float(test.pvalue)


def standard_error(values: Sequence[float]) -> float:
    """
    The standard error of the mean of at least two values.
    """
    count = len(values)
    # Equal values have no spread at all, whatever the rounding of their mean.
    shifted = [value - values[0] for value in values]
    mean = statistics.fmean(shifted)
    squares = math.fsum([(value - mean) ** 2 for value in shifted])
    return math.sqrt(squares / (count - 1) / count)


@cache
def t_quantile(probability: float, count: int) -> float:
    """
    The quantile of Student's t with ``count`` - 1 degrees of freedom.
    """
    return float(scipy.stats.t.ppf(probability, count - 1))
