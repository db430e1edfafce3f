"""
Estimates: known numbers in, known intervals out.
"""

from __future__ import annotations

import dataclasses
import math
import random

import pytest

from analysis.estimates import compare, summarise
from analysis.intervals import bca_interval, t_interval
from tests.unit.samples import failed_trial, load, trial


def test_the_interval_is_student_s() -> None:
    """
    For 1, 2, 3 the mean is 2, the standard error 1/√3, and t(0.975, 2) is 4.302653 (any table).
    """
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.estimate == 2
    assert interval.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)
    assert interval.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)


def test_one_value_has_no_interval() -> None:
    """
    And excludes nothing.
    """
    interval = t_interval([5.0])
    assert (interval.low, interval.high, interval.excludes_zero) == (None, None, False)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """
    2000 samples of six from a normal distribution: 95 % of the intervals hold its mean.
    """
    generator = random.Random(11)  # noqa: S311 - a simulation
    held = 0
    for _ in range(2000):
        interval = t_interval([generator.gauss(3, 2) for _ in range(6)])
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 3 <= interval.high
    assert 0.935 < held / 2000 < 0.965


def test_a_constant_ratio_is_found_however_the_machine_drifts() -> None:
    """
    Pairing within blocks takes the drift out.
    """
    trials = []
    for block in range(1, 6):
        rate = 100.0 * block
        trials += [trial(2 * block, block, "netns", rate)]
        trials += [trial(2 * block + 1, block, "docker", rate / 1.25)]
    difference = compare("netns", "docker", trials)
    assert difference is not None
    assert difference.blocks == 5
    cost = difference.relative["us_per_request"]
    assert cost.estimate == pytest.approx(0.25)
    assert cost.low == pytest.approx(0.25)
    assert difference.relative["requests_per_second"].estimate == pytest.approx(-0.2)
    # 2500 µs more at 100 per second, 500 more at 500: the mean over the blocks.
    expected = sum(2500 / block for block in range(1, 6)) / 5
    assert difference.us_per_request.estimate == pytest.approx(expected)


def test_a_block_without_both_is_left_out() -> None:
    """
    A failed trial takes its partner out of the comparison, but not out of its own summary.
    """
    trials = [
        trial(1, 1, "netns", 100),
        trial(2, 1, "docker", 50),
        trial(3, 2, "netns", 100),
        failed_trial(4, 2, "docker"),
    ]
    difference = compare("netns", "docker", trials)
    assert difference is not None
    assert difference.blocks == 1
    assert summarise("netns", trials, 1000).trials == 2
    assert (summarise("docker", trials, 1000).trials, summarise("docker", trials, 1000).errors) == (
        1,
        1,
    )


def test_without_a_common_block_there_is_no_difference() -> None:
    """
    None, rather than a number from nothing.
    """
    assert compare("netns", "docker", [trial(1, 1, "netns", 100)]) is None


def test_reliability_counts_requests_over_all_trials() -> None:
    """
    996 length failures do not lower it; four error answers do.
    """
    bad = dataclasses.replace(trial(1, 1, "docker", 100), load=load(100, failed=996, non_2xx=4))
    summary = summarise("docker", [bad, trial(2, 2, "docker", 100)], 1000)
    assert summary.requests_failed == 996
    assert summary.reliability == pytest.approx(1996 / 2000)


def test_a_load_that_broke_off_lowers_reliability() -> None:
    """
    Its requests were asked for and nobody knows that any was answered; survivors alone would lie.
    """
    broken = dataclasses.replace(failed_trial(2, 2, "docker"), failed_phase="load")
    summary = summarise("docker", [trial(1, 1, "docker", 100), broken], 1000)
    assert (summary.errors, summary.aborted, summary.requests) == (1, 1, 2000)
    assert summary.reliability == pytest.approx(0.5)


def test_a_variant_without_a_good_trial_has_no_means() -> None:
    """
    And no reliability either.
    """
    summary = summarise("docker", [failed_trial(1, 1, "docker")], 1000)
    assert summary.means == {}
    assert summary.reliability is None


def test_rates_are_averaged_harmonically() -> None:
    """
    100 and 300 requests per second take 10 000 and 3333 microseconds each: 150 per second.
    """
    summary = summarise("netns", [trial(1, 1, "netns", 100), trial(2, 2, "netns", 300)], 1000)
    assert summary.means["requests_per_second"].estimate == pytest.approx(150)
    assert summary.means["us_per_request"].estimate == pytest.approx(1e6 / 150)


def test_the_bootstrap_s_interval_is_near_student_s_and_the_same_every_time() -> None:
    """
    For thirty values of a normal distribution; none for four, or for equal ones.
    """
    generator = random.Random(5)  # noqa: S311 - a simulation
    values = [generator.gauss(3, 2) for _ in range(30)]
    first, student = bca_interval(values), t_interval(values)
    assert first == bca_interval(values)
    assert first.low == pytest.approx(student.low, abs=0.25)
    assert first.high == pytest.approx(student.high, abs=0.25)
    assert bca_interval([1.0, 2.0, 1.5, 1.2]).low is None
    assert bca_interval([1.0] * 6).low is None
