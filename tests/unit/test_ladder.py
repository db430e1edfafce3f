"""
The ladder's arithmetic: steps, and what they leave of a whole.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from experiments.declare.variants import Ladder, Variant, Whole
from tests.unit.samples import findings, manifest, report, side_by_side, trial

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

LEVELS = {
    "bare": {"network": "host", "stdio": "null"},
    "bridge": {"network": "bridge", "stdio": "null"},
    "printing": {"network": "host", "stdio": "file"},
    "both": {"network": "bridge", "stdio": "file"},
}
US = {"bare": 1000.0, "bridge": 1100.0, "printing": 1300.0, "both": 1450.0}
"""Both cost more together than one by one: 450 and not 400 microseconds."""


def run_of(blocks: int, spread: float = 0.0) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of two ladders and a whole, in which every block is a little dearer than the one before.
    """
    made = dataclasses.replace(
        manifest(blocks=blocks),
        variants=[Variant(name, f"about {name}", levels) for name, levels in LEVELS.items()],
        comparisons=[],
        ladders=[
            Ladder("network", "networks", ("bare", "bridge")),
            Ladder("output", "where it goes", ("bare", "printing")),
        ],
        wholes=[Whole("from bare to both", "bare", "both", ("network", "output"))],
    )
    trials: list[TrialRecord] = []
    for block in range(1, blocks + 1):
        for name, us in US.items():
            drifted = us + block * 10 + (block % 2) * spread * (name == "bridge")
            trials.append(trial(len(trials) + 1, block, name, 1e6 / drifted))
    return made, trials


def test_a_step_is_the_difference_of_neighbours_whatever_drifts() -> None:
    """
    With the factor that changes and both of its levels.
    """
    made, trials = run_of(6)
    climbed, _ = findings(made, trials).ladders
    (step,) = climbed.steps
    assert (step.factor, step.change) == ("network", "host → bridge")
    assert step.difference is not None
    assert step.difference.us_per_request.estimate == pytest.approx(100)
    assert step.difference.us_per_request.excludes_zero


def test_the_remainder_is_what_the_steps_do_not_add_up_to() -> None:
    """
    450 less 100 and 300; and it has an interval.
    """
    made, trials = run_of(6, spread=8)
    (left,) = findings(made, trials).remainders
    assert left.blocks == 6
    assert left.whole.estimate == pytest.approx(450)
    assert left.steps.estimate == pytest.approx(404)
    assert left.unexplained.estimate == pytest.approx(46)
    assert left.unexplained.low is not None
    assert left.unexplained.low < 46


def test_a_block_without_one_of_the_trials_counts_for_no_remainder() -> None:
    """
    Nothing is made up for what is missing.
    """
    made, trials = run_of(3)
    lacking = [each for each in trials if (each.variant, each.block) != ("printing", 2)]
    (left,) = findings(made, lacking).remainders
    assert left.blocks == 2
    assert findings(made, [t for t in trials if t.variant != "both"]).remainders == []


def test_the_remainder_is_by_rounds_and_by_parts() -> None:
    """
    A machine that drifts between rounds and parts takes nothing from it, nor does a missing round.
    """
    made, _ = run_of(2)
    trials: list[TrialRecord] = []
    for block in (1, 2):
        for part, names in enumerate((["bare", "bridge", "both"], ["bare", "printing"]), start=1):
            for name in names:
                drifted = [US[name] + 400 * block * part, US[name] + 900, US[name]]
                us = drifted[: 2 if name == "both" else 3]
                trials.append(side_by_side(len(trials) + 1, block, name, us, part=part))
    (left,) = findings(made, trials).remainders
    assert left.blocks == 2
    assert left.whole.estimate == pytest.approx(450)
    assert left.steps.estimate == pytest.approx(400)
    assert left.unexplained.estimate == pytest.approx(50)


def test_errors_leave_no_remainder() -> None:
    """
    Where the ends differ in their share of good answers, their times are not compared.
    """
    made, _ = run_of(2)
    trials = [
        side_by_side(block, block, name, [us], non_2xx=25 if name == "both" else 0)
        for block in (1, 2)
        for name, us in US.items()
    ]
    assert findings(made, trials).remainders == []


def test_the_report_shows_the_ladder_and_says_what_it_cannot_tell_apart() -> None:
    """
    A step whose interval holds zero is not called a cost.
    """
    made, trials = run_of(4, spread=900)
    text = report(made, trials)
    assert "## Where the cost comes from: the ladder" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| `bridge`")]
    assert "cannot tell (would need about " in row
    (row,) = [line for line in text.splitlines() if line.startswith("| `printing`")]
    assert "stdio: null → file" in row
    assert "+300 µs [+300, +300]" in row
    assert "| slower " in row
    assert "**What the steps leave unexplained**, from bare to both: the whole is +450" in text
