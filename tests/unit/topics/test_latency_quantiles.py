"""
Quantiles of latency: known latencies in, known quantiles with their intervals out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.statistics.intervals import t_interval
from analysis.topics.latency.findings import (
    FAILED_US,
    QUANTILES,
    over_trials,
    quantile_us,
    supports,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rising(*values_us: int) -> NDArray[np.int64]:
    """
    Latencies as a log gives them.
    """
    return np.array(sorted(values_us), dtype=np.int64)


def test_quantiles_are_those_of_the_inverted_distribution() -> None:
    """
    As NumPy has them.
    """
    values = rising(*np.random.default_rng(1).integers(1, 10**6, 1237).tolist())
    for name, thousandths in QUANTILES.items():
        expected = np.quantile(values, thousandths / 1000, method="inverted_cdf")
        assert quantile_us(values, name) == expected


def test_a_quantile_among_failed_requests_is_infinite() -> None:
    """
    Two per cent failed, so the 99th percentile is not a number, and the 90th is.
    """
    values = rising(*[1000] * 98, *[FAILED_US] * 2)
    assert quantile_us(values, "p99") == math.inf
    assert quantile_us(values, "p90") == 1000


def test_ten_requests_beyond_support_a_quantile() -> None:
    """
    So p99 takes a thousand requests.
    """
    assert supports(1000, "p99")
    assert not supports(999, "p99")
    assert supports(20, "p50")


def test_the_mean_of_quantiles_is_geometric() -> None:
    """
    Student's t on logarithms, and back.
    """
    trials = [rising(*[value] * 100) for value in (1000, 2000, 4000)]
    found = over_trials(trials, "p90")
    assert found.latency_us is not None
    assert found.latency_us.estimate == pytest.approx(2000)
    expected = t_interval([math.log(value) for value in (1000, 2000, 4000)]).high
    assert expected is not None
    assert found.latency_us.high == pytest.approx(math.exp(expected))
    assert not found.pooled


def test_one_infinite_quantile_makes_the_mean_infinite() -> None:
    """
    A failure must not make the latency look better.
    """
    found = over_trials([rising(*[1000] * 20), rising(*[FAILED_US] * 20)], "p50")
    assert found.latency_us is not None
    assert found.latency_us.estimate == math.inf


def test_few_requests_a_trial_are_pooled() -> None:
    """
    The quantile is that of all requests, inside its interval; with too few in all there is none.
    """
    generator = np.random.default_rng(2)
    trials = [
        rising(*generator.lognormal(8 + generator.normal(0, 0.2), 0.5, 1000).astype(int).tolist())
        for _ in range(12)
    ]
    found = over_trials(trials, "p99.9")
    assert found.pooled
    assert found.latency_us is not None
    expected = np.quantile(np.concatenate(trials), 0.999, method="inverted_cdf")
    assert found.latency_us.estimate == expected
    assert found.latency_us.low is not None
    assert found.latency_us.high is not None
    assert found.latency_us.low < found.latency_us.estimate < found.latency_us.high
    assert over_trials(trials, "p99.9") == found
    assert over_trials(trials[:9], "p99.9").latency_us is None


def test_the_bootstrap_draws_whole_trials() -> None:
    """
    All slow requests are in one trial of ten, so a resample has many of them or none.
    """
    trials = [rising(*range(1000, 1999), 2000 + number) for number in range(9)]
    trials.append(rising(*range(50_000, 51_000)))
    found = over_trials(trials, "p99.9").latency_us
    assert found is not None
    assert found.low is not None
    assert found.low <= 2008
    assert found.high is not None
    assert found.high > 50_900


def test_failed_requests_reach_the_pooled_interval() -> None:
    """
    It ends nowhere where resamples have the quantile among the failed.
    """
    trials = [rising(*range(1000, 1998), 5000, 5000) for _ in range(11)]
    trials.append(rising(*range(1000, 1985), *[FAILED_US] * 15))
    found = over_trials(trials, "p99.9").latency_us
    assert found is not None
    assert found.high == math.inf
