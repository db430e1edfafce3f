"""
Trials at equal speed of the machine: noise goes, differences stay.
"""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np
import pytest

from analysis.estimates import compare
from analysis.report import render
from analysis.speed import at_equal_speed, slower_machine
from experiments.records import Pulse, TrialRecord
from tests.unit.samples import failed_trial, manifest, trial

PAIR = ("netns", "docker")
EFFECT = 1.25
"""What docker takes longer by, in all of these."""


def pulse(work_us: float) -> Pulse:
    """
    Forty beats of the same work.
    """
    beats = range(40)
    return Pulse([beat / 20 for beat in beats], [50 * beat for beat in beats], [work_us] * 40)


def measured(blocks: int, slows_machine: float = 1.0, noise: float = 0.005) -> list[TrialRecord]:
    """
    Trials on a machine whose speed varies by twelve per cent; a load feels that 1.5 times.

    By ``slows_machine`` docker itself slows the fixed work.
    """
    generator = np.random.default_rng(3)
    trials = []
    for block in range(1, blocks + 1):
        for position, name in enumerate(PAIR):
            slow = math.exp(generator.normal(0, 0.12))
            effect = EFFECT if name == "docker" else 1.0
            us = 4000 * effect * slow**1.5 * math.exp(generator.normal(0, noise))
            work_us = 400 * slow * (slows_machine if name == "docker" else 1.0)
            made = trial(2 * block + position, block, name, 1e6 / us)
            trials.append(dataclasses.replace(made, pulse=pulse(work_us)))
    return trials


def test_what_goes_with_the_machine_s_speed_is_taken_off() -> None:
    """
    The slope is found, the difference stays, and its interval is many times narrower.
    """
    trials = measured(20)
    level = at_equal_speed(trials)
    assert level.levelled
    assert level.slope == pytest.approx(1.5, abs=0.05)
    assert level.explained > 0.98
    assert level.spread == pytest.approx(0.12, rel=0.2)
    before, after = compare(*PAIR, trials), compare(*PAIR, level.trials)
    assert before is not None
    assert after is not None
    wide, narrow = (each.relative["us_per_request"] for each in (before, after))
    assert narrow.low is not None
    assert narrow.high is not None
    assert narrow.low < EFFECT - 1 < narrow.high
    assert wide.half_width is not None
    assert narrow.half_width is not None
    assert narrow.half_width < wide.half_width / 10


def test_the_intervals_at_equal_speed_hold_the_truth_as_often_as_they_should() -> None:
    """
    The slope is taken from the same trials, which must not make the intervals too narrow.
    """
    generator = np.random.default_rng(11)
    held = 0
    runs = 1000
    for _ in range(runs):
        trials = []
        # As few as are levelled at all.
        for block in range(1, 8):
            for name in PAIR:
                slow = generator.normal(0, 0.05)
                us = 4000 * math.exp(0.8 * slow + generator.normal(0, 0.05))
                made = trial(block, block, name, 1e6 / us)
                trials.append(dataclasses.replace(made, pulse=pulse(400 * math.exp(slow))))
        difference = compare(*PAIR, at_equal_speed(trials).trials)
        assert difference is not None
        held += not difference.relative["us_per_request"].excludes_zero
    # Three standard errors of 95 % over so many runs.
    assert held / runs == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / runs))


def test_the_rate_and_the_mean_are_levelled_and_the_quantiles_are_not() -> None:
    """
    The two still fit each other; of the others nobody knows how they go with the speed.
    """
    trials = measured(10)
    for before, after in zip(trials, at_equal_speed(trials).trials, strict=True):
        assert before.load is not None
        assert after.load is not None
        factor = after.load.duration_s / before.load.duration_s
        assert after.load.latency_mean_us == pytest.approx(before.load.latency_mean_us * factor)
        assert after.load.latency_p99_us == before.load.latency_p99_us
        assert 1 / after.load.requests_per_second == pytest.approx(
            factor / before.load.requests_per_second
        )


def test_times_are_as_measured_where_the_speed_is_not_known() -> None:
    """
    With too few trials, without a pulse in one of them, or where the speed did not change.
    """
    few = measured(6)
    assert at_equal_speed(few).trials == few
    trials = measured(20)
    lacking = [dataclasses.replace(trials[0], pulse=None), *trials[1:]]
    assert not at_equal_speed(lacking).levelled
    even = [dataclasses.replace(each, pulse=pulse(400)) for each in trials]
    assert at_equal_speed(even).trials == even
    # A trial without a result has no pulse, and spoils nothing.
    assert at_equal_speed([*trials, failed_trial(99, 20, "docker")]).levelled


def test_a_treatment_that_slows_the_machine_itself_is_told() -> None:
    """
    What is taken off would then be its own doing.
    """
    calm = slower_machine(*PAIR, measured(60))
    assert calm is not None
    assert not calm.excludes_zero
    trials = measured(60, slows_machine=1.2)
    found = slower_machine(*PAIR, trials)
    assert found is not None
    assert found.excludes_zero
    assert slower_machine(*PAIR, []) is None
    text = render(manifest(blocks=60), trials)
    assert "(!)" in text
    assert "**No verdict rests on them**" in text
    assert "At equal speed" not in render(manifest(), few_without_pulse())


def test_no_verdict_rests_on_the_speed_of_the_machine() -> None:
    """
    With a pulse or without, the report says the same of the pair.
    """
    trials = measured(20)
    blind = [dataclasses.replace(each, pulse=None) for each in trials]
    one, other = (
        render(manifest(blocks=20), each).partition("## Conclusions")[2].partition("\n## ")[0]
        for each in (trials, blind)
    )
    assert "(docker against netns)" in one
    assert one == other


def test_a_variant_that_changes_the_fixed_work_is_levelled_by_the_others() -> None:
    """
    As one does whose services mostly stand still: its own beat says nothing of the machine.
    """
    trials = measured(20)
    for block in range(1, 21):
        one = trial(100 + block, block, "limited", 50 + block % 3)
        trials.append(dataclasses.replace(one, pulse=pulse(800)))
    level = at_equal_speed(trials)
    assert level.apart == ("limited",)
    assert level.slope == pytest.approx(1.5, abs=0.05)
    slows = {
        block: statistics.fmean(
            math.log(each.pulse.mean_us)
            for each in trials
            if each.block == block and each.variant != "limited" and each.pulse is not None
        )
        for block in range(1, 21)
    }
    mean = statistics.fmean(slows.values())
    for before, after in zip(trials, level.trials, strict=True):
        if before.variant == "limited":
            assert before.load is not None
            assert after.load is not None
            factor = math.exp(-level.slope * (slows[before.block] - mean))
            # The slope is a little different for each block, without its own trials.
            assert after.load.duration_s == pytest.approx(before.load.duration_s * factor, rel=5e-3)
    assert at_equal_speed(measured(20)).apart == ()


def few_without_pulse() -> list[TrialRecord]:
    """
    Two blocks, as they were before there was a pulse.
    """
    return [trial(number, number // 2 + 1, PAIR[number % 2], 250 + number) for number in range(4)]
