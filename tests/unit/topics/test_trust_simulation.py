"""
Other ways to measure: on noise whose nature is known, each does as it must.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.statistics.places import at_equal_place
from analysis.topics.trust.simulation import (
    WANTED,
    Twins,
    performances,
    promise,
    repetitions_needed,
    twins_of,
)
from tests.unit.samples import findings, manifest, side_by_side, trial

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

ROUNDS = 8
DEPLOYMENT, LOAD = 0.01, 0.02


def twins(blocks: int = 20, drift: float = 0.05) -> Twins:
    """
    A machine that walks by ``drift`` from round to round, with deployments and loads of some noise.
    """
    generator = np.random.default_rng(7)
    walk = np.cumsum(generator.normal(0, drift, blocks * ROUNDS)).reshape(blocks, ROUNDS, 1)
    own = generator.normal(0, DEPLOYMENT, (blocks, 1, 2))
    log_us = walk + own + generator.normal(0, LOAD, (blocks, ROUNDS, 2))
    return Twins(log_us, np.full(blocks, ROUNDS), side_by_side_s=5.0, alone_s=6.0)


def test_blocks_keep_what_they_promise() -> None:
    """
    95 ± 1 % of the intervals hold the truth, however the machine drifts; so do those of others.
    """
    for drift in (0.0, 0.1):
        here, single, *_ = performances(twins(drift=drift))
        assert here.coverage == pytest.approx(0.95, abs=0.01)
        assert single.coverage == pytest.approx(0.95, abs=0.01)
        assert here.false_verdicts == pytest.approx(1 - here.coverage)
        kept = promise(twins(drift=drift), 0.02)
        assert kept.coverage == pytest.approx(0.95, abs=0.01)
        # What is equivalent within the margin is called neither slower nor faster.
        assert kept.false_verdicts <= 1 - kept.coverage


def test_rounds_side_by_side_need_the_least_time_where_the_machine_drifts() -> None:
    """
    By many times; where it does not drift, what is left is the noise of loads.
    """
    here, *others = performances(twins())
    assert here.minutes == pytest.approx(20 * 2 * 5 / 60)
    for each in others:
        assert each.minutes_needed[0.01] > 5 * here.minutes_needed[0.01]
    for each in (here, *others):
        assert list(each.minutes_needed) == list(WANTED)
        assert sorted(each.minutes_needed.values()) == list(each.minutes_needed.values())


def test_runs_in_a_row_take_a_drift_for_a_difference() -> None:
    """
    Their error bars know nothing of it; one run of each has none but from many such.
    """
    _, _, row, once = performances(twins())
    assert row.false_verdicts > 0.2
    assert row.minutes == pytest.approx(1.0)
    assert once.coverage == pytest.approx(0.95, abs=0.02)
    _, _, calm, _ = performances(twins(drift=0))
    assert calm.false_verdicts < row.false_verdicts / 2


def test_repetitions_are_as_many_as_student_s_interval_takes() -> None:
    """
    Two are the least, and many are nearly as many as the normal distribution says.
    """
    assert repetitions_needed(0.0001, 0.02) == 2
    assert repetitions_needed(0.2, 0.02) == pytest.approx((1.96 * 10) ** 2, abs=5)


def with_twin(blocks: int) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of one thing under two names, whose second is slower in all but one round.
    """
    made = manifest(blocks=blocks)
    same = [dataclasses.replace(each, levels={"runtime": "process"}) for each in made.variants]
    trials = []
    for block in range(1, blocks + 1):
        for at, (name, times) in enumerate((("netns", 1.0), ("docker", 1.01 + 0.001 * block))):
            us = [1000.0 * times, 2000.0 * times, 1500.0][: 3 - block % 2]
            trials.append(side_by_side(2 * block + at, block, name, us))
    return dataclasses.replace(made, variants=same), trials


def test_twins_are_the_rounds_of_each_block() -> None:
    """
    With what a deployment takes of its block, and what one by itself would take.
    """
    made, trials = with_twin(12)
    (control,) = findings(made, trials).comparisons
    found = twins_of(control, at_equal_place(trials))
    assert found is not None
    assert found.rounds.tolist() == [2, 3] * 6
    assert np.isnan(found.log_us[0, 2]).all()
    assert np.exp(found.log_us[1, 2]) == pytest.approx([1500, 1500])
    assert found.ratios[0] == pytest.approx(np.log(1.011))
    # Two trials a block, which begin a second after each other.
    assert found.side_by_side_s == pytest.approx(1.0)
    # A second to bring it up, a tenth to take it down, and about 1.5 seconds of load.
    assert found.alone_s == pytest.approx(1.1 + 1.5, abs=0.1)


def test_too_few_blocks_or_rounds_are_no_twins() -> None:
    """
    Nor are two that differ in their good answers.
    """
    made, trials = with_twin(9)
    (control,) = findings(made, trials).comparisons
    assert twins_of(control, at_equal_place(trials)) is None
    whole = [trial(each.number, each.block, each.variant, 250) for each in with_twin(12)[1]]
    (control,) = findings(made, whole).comparisons
    assert twins_of(control, at_equal_place(whole)) is None
    broken = [
        side_by_side(each.number, each.block, each.variant, [900, 900], non_2xx=each.number % 2)
        for each in with_twin(12)[1]
    ]
    (control,) = findings(made, broken).comparisons
    assert twins_of(control, at_equal_place(broken)) is None
