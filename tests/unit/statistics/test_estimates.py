"""
Estimates: known numbers in, known intervals out.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

from analysis.statistics.estimates import (
    METRICS,
    Differences,
    at_once,
    pairs_by_block,
    summarise,
    trials_by_part,
    us_per_request,
)
from analysis.statistics.intervals import bca_interval, t_interval
from analysis.statistics.places import at_equal_place
from analysis.statistics.verdicts import holm, p_value_of_none
from tests.unit.samples import compare, failed_trial, load, side_by_side, trial

if TYPE_CHECKING:
    from experiments.records.trials import TrialRecord


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
    assert summarise("netns", trials).trials == 2
    assert (summarise("docker", trials).trials, summarise("docker", trials).errors) == (
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
    bad = structs.replace(trial(1, 1, "docker", 100), load=load(100, failed=996, non_2xx=4))
    summary = summarise("docker", [bad, trial(2, 2, "docker", 100)])
    assert summary.requests_failed == 996
    assert summary.reliability == pytest.approx(1996 / 2000)


def test_a_load_that_broke_off_lowers_reliability() -> None:
    """
    Its requests were asked for and nobody knows that any was answered; survivors alone would lie.
    """
    broken = structs.replace(failed_trial(2, 2, "docker"), failed_phase="load", requests_lost=1000)
    summary = summarise("docker", [trial(1, 1, "docker", 100), broken])
    assert (summary.errors, summary.aborted, summary.requests) == (1, 1, 2000)
    assert summary.reliability == pytest.approx(0.5)


def test_a_variant_without_a_good_trial_has_no_means() -> None:
    """
    And no reliability either.
    """
    summary = summarise("docker", [failed_trial(1, 1, "docker")])
    assert summary.means == {}
    assert summary.reliability is None


def test_rates_are_averaged_harmonically() -> None:
    """
    100 and 300 requests per second take 10 000 and 3333 microseconds each: 150 per second.
    """
    summary = summarise("netns", [trial(1, 1, "netns", 100), trial(2, 2, "netns", 300)])
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


def test_loads_are_paired_by_round_whatever_the_machine_does_between_rounds() -> None:
    """
    The mean of the log-ratios of the rounds that both have, and the mean of their differences.
    """
    trials = [
        side_by_side(1, 1, "netns", [1000, 2000, 4000]),
        side_by_side(2, 1, "docker", [1100, 2400]),
    ]
    difference = compare("netns", "docker", trials)
    assert difference is not None
    assert (difference.blocks, difference.rounds) == (1, 2)
    ratio = math.sqrt(1.1 * 1.2)
    assert difference.relative["us_per_request"].estimate == pytest.approx(ratio - 1)
    assert difference.relative["requests_per_second"].estimate == pytest.approx(1 / ratio - 1)
    # The mean latency is the same quantity, by Little's law.
    assert difference.relative["latency_mean_us"].estimate == pytest.approx(ratio - 1)
    assert difference.us_per_request.estimate == pytest.approx(250)
    assert difference.baseline_us.estimate == pytest.approx(1500)


def test_a_load_that_was_not_whole_is_in_no_pair() -> None:
    """
    Nor is its round.
    """
    broken = side_by_side(2, 1, "docker", [1100, 9000])
    loads = [broken.loads[0], structs.replace(broken.loads[1], requests_completed=100)]
    trials = [
        side_by_side(1, 1, "netns", [1000, 1000]),
        structs.replace(broken, loads=loads),
    ]
    difference = compare("netns", "docker", trials)
    assert difference is not None
    assert difference.rounds == 1
    assert difference.relative["us_per_request"].estimate == pytest.approx(0.1)
    nothing = structs.replace(broken, loads=loads[1:])
    assert compare("netns", "docker", [trials[0], nothing]) is None


def test_pairs_stand_in_one_part_and_a_block_counts_once() -> None:
    """
    However many parts have both; a part that has one of them alone says nothing.
    """
    trials = [
        side_by_side(1, 1, "netns", [1000], part=1),
        side_by_side(2, 1, "docker", [1100], part=1),
        side_by_side(3, 1, "netns", [1000], part=2),
        side_by_side(4, 1, "docker", [1210], part=2),
        side_by_side(5, 2, "netns", [1000], part=1),
        side_by_side(6, 2, "docker", [5000], part=2),
    ]
    assert list(trials_by_part(trials)) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    difference = compare("netns", "docker", trials)
    assert difference is not None
    assert (difference.blocks, difference.rounds) == (1, 2)
    assert difference.log_ratios == pytest.approx([1.5 * math.log(1.1)])
    mean, count = us_per_request("netns", trials) or (None, 0)
    assert mean is not None
    assert mean.estimate == pytest.approx(1000)
    assert count == 3


def test_arms_that_differ_in_good_answers_are_not_comparable() -> None:
    """
    One error in a thousand is within the margin, two are not.
    """
    trials = [side_by_side(1, 1, "netns", [1000] * 4), side_by_side(2, 1, "docker", [900] * 4)]
    whole = trials[1].load
    assert whole is not None
    for errors, comparable in ((0, True), (1, True), (2, False)):
        load_of = structs.replace(whole, requests_ok=1000 - errors)
        difference = compare(
            "netns", "docker", [trials[0], structs.replace(trials[1], load=load_of)]
        )
        assert difference is not None
        assert difference.good_shares == pytest.approx((1, 1 - errors / 1000))
        assert difference.comparable is comparable


def test_the_load_at_once_is_compared_for_itself() -> None:
    """
    As it was measured, whatever the short loads say.
    """
    trials = [
        structs.replace(side_by_side(1, 1, "netns", [1000, 1000]), at_once=load(1000)),
        structs.replace(side_by_side(2, 1, "docker", [1500, 1500]), at_once=load(800)),
    ]
    difference = Differences(at_once(at_equal_place(trials))).between("netns", "docker")
    assert difference is not None
    assert (difference.blocks, difference.rounds) == (1, 0)
    assert difference.us_per_request.estimate == pytest.approx(250)
    summary = summarise("docker", at_once(trials))
    assert summary.means["us_per_request"].estimate == pytest.approx(1250)
    without = [structs.replace(each, at_once=None) for each in trials]
    assert Differences(at_once(at_equal_place(without))).between("netns", "docker") is None
    assert at_once(without) == []


VARIANTS = ("one", "two", "three", "four")
BLOCKS = 8
ROUNDS = 2
DRIFT, DEPLOYMENT, LOAD = 0.1, 0.012, 0.02
"""Standard deviations: of the machine from round to round, of deployments, and of loads."""

PLACE = 0.02
"""What half the place costs: being brought up earlier."""


def simulated(generator: np.random.Generator) -> list[TrialRecord]:
    """
    A run of equal variants, which rotate through the places, on a drifting machine.
    """
    turned = generator.permutation(VARIANTS).tolist()
    trials: list[TrialRecord] = []
    for block in range(BLOCKS):
        drift = generator.normal(0, DRIFT, ROUNDS)
        for place in range(len(VARIANTS)):
            own = generator.normal(0, DEPLOYMENT) - PLACE * math.log2(place + 1)
            logs = drift + own + generator.normal(0, LOAD, ROUNDS)
            name = turned[(place + block) % len(VARIANTS)]
            us = (2000 * np.exp(logs)).tolist()
            trials.append(side_by_side(len(trials) + 1, block + 1, name, us, position=place + 1))
    return trials


def test_intervals_hold_the_truth_and_verdicts_are_seldom_false() -> None:
    """
    95 ± 1 % of Student's intervals; of all families at most 5 %, but for the simulation's error.
    """
    generator = np.random.default_rng(5)
    runs = 800
    held = false = as_measured = 0
    for _ in range(runs):
        trials = simulated(generator)
        level = at_equal_place(trials)
        p_values = []
        for name in VARIANTS[1:]:
            raw, logs = (
                [
                    pair.log_ratios["us_per_request"]
                    for pairs in pairs_by_block(VARIANTS[0], name, each).values()
                    for pair in pairs
                ]
                for each in (trials, level)
            )
            held += not t_interval(logs).excludes_zero
            as_measured += not t_interval(raw).excludes_zero
            p_values.append(p_value_of_none(logs))
        false += any(p is not None and p < 0.05 for p in holm(p_values))
    intervals = runs * (len(VARIANTS) - 1)
    assert held / intervals == pytest.approx(0.95, abs=0.01)
    assert false / runs < 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
    # What the place costs would only make them wider.
    assert as_measured > held


def test_differences_are_at_equal_place() -> None:
    """
    The arm that was first more often is no slower for that.
    """
    trials: list[TrialRecord] = []
    for block in range(1, 7):
        order = [["one", "two", "three"], ["two", "one", "three"]][block % 3 == 0]
        for place, name in enumerate(order, start=1):
            us = 1000 * block * place**-0.05
            trials.append(side_by_side(len(trials) + 1, block, name, [us, us], position=place))
    difference = compare("one", "two", trials)
    assert difference is not None
    assert set(METRICS) == set(difference.relative)
    for name in ("us_per_request", "requests_per_second", "latency_mean_us"):
        assert difference.relative[name].estimate == pytest.approx(0, abs=1e-9)
    assert difference.us_per_request.estimate == pytest.approx(0, abs=1e-6)
