"""
The loads of one trial as one.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from msgspec import structs

from experiments.load.merged import merged, quantile_ms
from tests.unit.samples import details, load


def test_counts_are_added_up() -> None:
    """
    Those of failures too, and the time that all loads took.
    """
    loads = [
        structs.replace(load(250.0, failed=3, non_2xx=2), details=details(failed_length=1)),
        structs.replace(load(500.0, failed=1), details=details(failed_length=1)),
    ]
    whole = merged(loads, [{4: 1000}, {2: 1000}])
    assert (whole.requests, whole.requests_completed, whole.requests_ok) == (2000, 2000, 1998)
    assert (whole.requests_failed, whole.responses_non_2xx) == (4, 2)
    assert whole.duration_s == pytest.approx(4 + 2)
    assert whole.concurrency == 50
    assert whole.details is not None
    assert (whole.details.failed_length, whole.details.failed_connect) == (2, 0)


def test_the_rate_is_all_requests_over_all_their_time() -> None:
    """
    Not the mean of the rates; the mean latency of a closed loop follows from it.
    """
    whole = merged([load(250.0), load(500.0)], [{4: 1000}, {2: 1000}])
    assert whole.requests_per_second == pytest.approx(2000 / (4 + 2))
    assert whole.latency_mean_us == pytest.approx(50 * 3000)


def test_a_load_that_was_not_whole_counts_by_its_requests() -> None:
    """
    Half of the requests at half of the rate take as long as all.
    """
    half = structs.replace(load(125.0), requests_completed=500)
    whole = merged([load(250.0), half], [{4: 1000}, {8: 500}])
    assert whole.requests_per_second == pytest.approx(1500 / (4 + 4))


def test_one_load_alone_is_itself() -> None:
    """
    But for quantiles, which are of its milliseconds.
    """
    alone = load(250.0)
    whole = merged([alone], [{200: 1000}])
    assert whole.requests_per_second == pytest.approx(alone.requests_per_second)
    assert whole.latency_mean_us == pytest.approx(alone.latency_mean_us)
    assert whole.latency_max_us == alone.latency_max_us
    assert (whole.tool, whole.command) == (alone.tool, alone.command)


def test_quantiles_are_of_all_requests() -> None:
    """
    Two loads of which one is slow have a median between them.
    """
    whole = merged([load(250.0), load(250.0)], [{10: 1000}, {30: 900, 50: 100}])
    assert whole.latency_p50_us == pytest.approx(10_500)
    assert whole.latency_p90_us == pytest.approx(30_000, abs=500)
    assert whole.latency_p99_us == pytest.approx(50_000, abs=500)
    assert whole.details is not None
    assert whole.details.percentiles_ms[99] == pytest.approx(whole.latency_p99_us / 1e3)
    mean = whole.details.connection_times_ms["total"]["mean"]
    assert mean == pytest.approx((10 * 1000 + 30 * 900 + 50 * 100) / 2000)


def test_the_slowest_request_is_known_better_than_to_a_millisecond() -> None:
    """
    Each load says it itself.
    """
    loads = [structs.replace(load(250.0), latency_max_us=us) for us in (61_234.0, 71_234.0)]
    assert merged(loads, [{61: 1000}, {71: 1000}]).latency_max_us == 71_234.0


def test_within_a_millisecond_times_are_taken_to_be_spread_evenly() -> None:
    """
    Each millisecond stands for what is rounded to it; nothing takes less than no time.
    """
    assert quantile_ms({10: 4}, 0.5) == 10.0
    assert quantile_ms({10: 4}, 0.25) == 9.75
    assert quantile_ms({10: 4}, 1.0) == 10.5
    assert quantile_ms({10: 1, 20: 1}, 0.75) == 20.0
    assert quantile_ms({0: 4}, 0.25) == 0.0
    assert math.isnan(quantile_ms({}, 0.5))


def test_quantiles_of_rounded_times_are_near_those_of_the_times() -> None:
    """
    Nearer than the half of a millisecond that rounding alone loses.
    """
    times = np.random.default_rng(1).gamma(8, 3, 5000)
    counts = Counter(int(each) for each in np.rint(times))
    for share in (0.1, 0.5, 0.9, 0.99):
        wanted = float(np.quantile(times, share))
        assert quantile_ms(counts, share) == pytest.approx(wanted, abs=0.25)
