"""
The pilot: how many requests a trial needs, and a rate that every variant can bear.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.measure import plan
from experiments.options import measure_parser
from experiments.pilot import (
    LEAST_REQUESTS,
    MOST_REQUESTS,
    REQUESTS,
    Noise,
    common_rate_per_s,
    noise,
    requests_in_time,
    requests_wanted,
)


def test_noise_is_told_apart_by_where_it_comes_from() -> None:
    """
    What loads of one deployment differ by, and what deployments differ by beyond that.
    """
    generator = np.random.default_rng(5)
    rows = [
        [3000 * math.exp(level + own) for own in generator.normal(0, 0.03, 4)]
        for level in generator.normal(0, 0.08, 400)
    ]
    found = noise(rows)
    assert found.own_sd == pytest.approx(0.03, rel=0.1)
    assert found.between_sd == pytest.approx(0.08, rel=0.1)
    # Deployments that differ less than their loads' noise lets expect do not differ.
    assert noise([[90, 110], [110, 90]]).between_sd == 0


def test_a_trial_s_own_noise_becomes_small_against_that_between_deployments() -> None:
    """
    A quarter of its variance, in steps, within bounds.
    """
    # As noisy as the deployments: four times the requests bring the variance to a quarter.
    assert requests_wanted(Noise(0.05, 0.05)) == 4 * REQUESTS
    assert requests_wanted(Noise(0.05, 0.04)) == 1750
    assert requests_wanted(Noise(0.01, 0.1)) == LEAST_REQUESTS
    assert requests_wanted(Noise(0.1, 0.01)) == MOST_REQUESTS
    assert requests_wanted(Noise(0.1, 0.0)) == MOST_REQUESTS


def test_the_trials_that_must_be_end_in_time() -> None:
    """
    Shorter loads where the budget is short, but not shorter than any use.
    """
    assert requests_in_time(600, trials=60, other_s=2, request_s=0.004) == 2000
    assert requests_in_time(60, trials=60, other_s=2, request_s=0.004) == LEAST_REQUESTS


def test_the_common_rate_is_half_of_the_slowest_variant_s() -> None:
    """
    In whole requests a second.
    """
    assert common_rate_per_s([301.7, 450]) == 150
    assert common_rate_per_s([0.5]) == 1


def test_a_pilot_is_made_where_a_run_goes_on_by_width_and_no_number_is_given() -> None:
    """
    And for the common rate of an open loop.
    """

    def wanted(*arguments: str) -> str | None:
        found: str | None = plan(measure_parser().parse_args(list(arguments))).pilot.get("wanted")
        return found

    assert wanted() == "requests"
    assert wanted("--profile", "full") == "requests"
    assert wanted("--requests", "1000") is None
    assert wanted("--profile", "quick") is None
    assert wanted("--blocks", "5") is None
    assert wanted("--blocks", "5", "--half-width", "3") == "requests"
    assert wanted("--variants", "netns") is None
    assert wanted("--open-loop") == "rate"
    made = plan(measure_parser().parse_args(["--open-loop", "--open-requests", "50"]))
    assert (made.open_fractions, made.open_requests) == ([0.3, 0.5, 0.7, 0.9], 50)
    assert made.half_width is None
