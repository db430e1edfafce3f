"""
Steadiness: warm-ups are found, noise and the machine's own speed are not taken for one.
"""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np
import pytest

from analysis.steadiness import (
    LEAST_BEATS,
    STEADY,
    UNSTEADY,
    Steadiness,
    course,
    pettitt,
    steadiness,
)
from experiments.records import Pulse

BEAT_S = 0.05
BEATS = 100
THIRD = BEATS // 3
RATE = 250.0
WORK_US = 900.0
NOISE = 0.05


def pulse(
    seed: int, speeds: list[float] | None = None, slowness: list[float] | None = None
) -> Pulse:
    """
    Five seconds of load with 5 % of noise in a bin of five beats, and the end of the last answers.

    ``speeds`` are the deployment's own, beat by beat, and ``slowness`` is the machine's.
    """
    generator = np.random.default_rng(seed)
    own, machine = np.array(speeds or [1.0] * BEATS), np.array(slowness or [1.0] * BEATS)
    noise = 1 + generator.normal(0, NOISE * np.sqrt(5), BEATS)
    # Fifty connections are open from the first moment, and none is opened by the last four beats.
    opened = 50 + np.cumsum(RATE * BEAT_S * own / machine * noise)
    work_us = WORK_US * machine * (1 + generator.normal(0, 0.01, BEATS))
    return Pulse(
        at_s=[BEAT_S * beat for beat in range(1, BEATS + 5)],
        opened=[round(count) for count in [*opened, *[opened[-1]] * 4]],
        work_us=[*map(float, work_us), *[WORK_US] * 4],
    )


def judged(each: Pulse) -> Steadiness:
    """
    What is found of a load that has beats enough.
    """
    found = steadiness(each)
    assert found is not None
    return found


def unsteady(pulses: list[Pulse]) -> float:
    """
    The share of loads that are called unsteady.
    """
    return statistics.fmean(judged(each).label == UNSTEADY for each in pulses)


def test_steady_noise_is_seldom_called_unsteady() -> None:
    """
    Two tests at 1 % each: of 500 steady loads fewer than 4 %.
    """
    assert unsteady([pulse(seed) for seed in range(500)]) < 0.04


def test_a_warm_up_is_found_with_its_place_and_size() -> None:
    """
    A first third at 20 % lower speed: a rate that is then 25 % higher, within noise.
    """
    speeds = [0.8] * THIRD + [1.0] * (BEATS - THIRD)
    found = [judged(pulse(seed, speeds)) for seed in range(200)]
    assert statistics.fmean(each.label == UNSTEADY for each in found) > 0.95
    assert statistics.median(each.change for each in found) == pytest.approx(0.25, abs=0.04)
    place_s = statistics.median(each.change_at_s for each in found)
    assert place_s == pytest.approx(THIRD * BEAT_S, abs=0.25)


def test_a_slow_drift_is_found_too() -> None:
    """
    Speed that grows evenly by a third, without any sudden change.
    """
    speeds = [float(speed) for speed in np.linspace(0.75, 1.0, BEATS)]
    found = [judged(pulse(seed, speeds)) for seed in range(100)]
    assert statistics.fmean(each.trend_p < 0.01 for each in found) > 0.9


def test_a_machine_that_slows_down_is_no_warm_up() -> None:
    """
    Fixed work takes longer and the rate falls alike; of the deployment, nothing has changed.
    """
    slowness = [1.0] * (BEATS // 2) + [1.25] * (BEATS // 2)
    pulses = [pulse(seed, slowness=slowness) for seed in range(200)]
    assert unsteady(pulses) < 0.04
    blind = [dataclasses.replace(each, work_us=[WORK_US] * (BEATS + 4)) for each in pulses]
    assert unsteady(blind) > 0.95


def test_the_beginning_and_the_end_of_a_load_are_no_change() -> None:
    """
    Neither the openings of the first moment nor the last answers, after all openings, have a bin.
    """
    found = course(pulse(1))
    assert found is not None
    assert found.rates.min() > 0.7 * RATE
    assert found.rates.max() < 1.3 * RATE
    assert found.ends_s[-1] <= BEATS * BEAT_S


def test_too_few_beats_are_not_judged() -> None:
    """
    Only those until the last opening count, and a load that opened nothing has none.
    """
    few = LEAST_BEATS - 1
    rising = [10 * beat for beat in range(LEAST_BEATS)]
    at_s = [BEAT_S * beat for beat in range(LEAST_BEATS)]
    assert steadiness(Pulse(at_s, rising, [WORK_US] * LEAST_BEATS)) is not None
    assert steadiness(Pulse(at_s[:few], rising[:few], [WORK_US] * few)) is None
    late = [*rising[:few], rising[few - 1]]
    assert steadiness(Pulse(at_s, late, [WORK_US] * LEAST_BEATS)) is None
    assert steadiness(Pulse(at_s, [0] * LEAST_BEATS, [WORK_US] * LEAST_BEATS)) is None
    assert steadiness(Pulse([], [], [])) is None


def test_equal_rates_are_steady() -> None:
    """
    A rate without any noise gives neither test anything to find, and no error.
    """
    beats = range(BEATS)
    even = Pulse([float(beat) for beat in beats], [9 * beat for beat in beats], [WORK_US] * BEATS)
    found = judged(even)
    assert (found.label, found.change, found.step_p) == (STEADY, 0.0, 1.0)


def test_a_load_that_stood_still_at_first_has_a_change_without_measure() -> None:
    """
    From no rate to one is infinitely many times faster, and no division by zero.
    """
    opened = [50] * 50 + [50 + 10 * beat for beat in range(50)]
    found = judged(Pulse([BEAT_S * beat for beat in range(BEATS)], opened, [WORK_US] * BEATS))
    assert (found.label, found.change) == (UNSTEADY, float("inf"))


def test_the_change_point_is_pettitt_s() -> None:
    """
    Seven low values before seven high ones: nothing is as extreme but their mirror image.
    """
    values = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 7.0, 6.0, 14.0, 9.0, 12.0, 8.0, 13.0, 10.0, 11.0])
    before, p_value = pettitt(values)
    assert before == 7
    # Two of the 3432 ways to choose seven of fourteen: 0.0006, and one in 2000 is the least.
    assert p_value < 0.003
    assert pettitt(values) == (before, p_value)
