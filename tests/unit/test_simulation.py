"""
Other ways to measure: on noise whose nature is known, each does as it must.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.comparisons import comparisons
from analysis.report import render
from analysis.simulation import Twins, performances, twins_of
from tests.unit.samples import manifest, trial

if TYPE_CHECKING:
    from experiments.records import Manifest, TrialRecord

SPREAD = 0.03


def twins(blocks: int = 40, drift: float = 0.0, later: float = 0.0) -> Twins:
    """
    Normal noise of three per cent; ``drift`` is a walk's step, ``later`` the price of being second.
    """
    generator = np.random.default_rng(7)
    walk = np.cumsum(generator.normal(0, drift, blocks)) if drift else np.zeros(blocks)
    first, second = (walk + generator.normal(0, SPREAD, blocks) for _ in range(2))
    return Twins(first, second + later, 6.0)


def test_paired_blocks_keep_what_they_promise() -> None:
    """
    95 % of the intervals hold the truth; and drift changes nothing.
    """
    for drift in (0.0, 0.1):
        ours = performances(twins(drift=drift))[0]
        assert ours.coverage is not None
        assert ours.coverage == pytest.approx(0.95, abs=0.015)
        # Ten per cent are some fifteen standard errors.
        assert ours.power[0.10] == 1.0
        assert ours.minutes == pytest.approx(8.0)


def test_one_run_of_each_says_whatever_it_sees() -> None:
    """
    Two trials of three per cent noise differ by more than two per cent more often than not.
    """
    once = performances(twins())[-1]
    assert once.coverage is None
    assert 0.5 < once.false_verdicts < 0.8
    assert once.error > 0.06


def test_runs_in_a_row_take_a_drift_for_a_difference() -> None:
    """
    Which random blocks do not.
    """
    calm, drifting = (performances(twins(drift=drift)) for drift in (0.0, 0.1))
    assert drifting[2].false_verdicts > calm[2].false_verdicts
    assert drifting[2].false_verdicts > 3 * drifting[0].false_verdicts


def test_a_fixed_order_takes_the_price_of_being_second_for_a_difference() -> None:
    """
    Which a random order does not.
    """
    random, fixed, *_ = performances(twins(later=0.03))
    assert fixed.false_verdicts > 0.9
    assert random.false_verdicts < 0.1


def with_twin(blocks: int) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of one thing under two names, the second of which comes first in every other block.
    """
    made = manifest(blocks=blocks)
    same = [{**table, "levels": {"runtime": "process"}} for table in made.variants]
    trials = []
    for block in range(1, blocks + 1):
        names = ["netns", "docker"][:: 1 if block % 2 else -1]
        for position, name in enumerate(names):
            rate = 250 + block + 10 * position
            trials.append(trial(2 * block + position, block, name, rate))
    return dataclasses.replace(made, variants=same), trials


def test_twins_are_in_the_order_of_time() -> None:
    """
    Whatever they are called.
    """
    made, trials = with_twin(12)
    (control,) = comparisons(made, trials)
    found = twins_of(control, trials)
    assert found is not None
    assert np.exp(-found.first) == pytest.approx([250 + block for block in range(1, 13)])
    assert np.exp(-found.second) == pytest.approx([260 + block for block in range(1, 13)])
    assert found.trial_s == pytest.approx(5.1)


def test_the_report_sets_the_ways_side_by_side_where_there_are_blocks_enough() -> None:
    """
    The same table every time.
    """
    text = render(*with_twin(12))
    assert "| 12 blocks in random order, paired; Student's t (as here) " in text
    assert "| one run of each " in text
    assert text == render(*with_twin(12))
    assert "| one run of each " not in render(*with_twin(9))
