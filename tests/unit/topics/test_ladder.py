"""
The ladder: what each step costs, what the steps leave of a whole, and how that is told and drawn.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from analysis.drawing.canvas import PAPER
from analysis.statistics.intervals import Interval
from analysis.statistics.verdicts import Kind, Verdict
from analysis.topics.ladder import figure
from analysis.topics.ladder.findings import Step
from analysis.topics.ladder.section import ladder
from analysis.topics.ladder.waterfall import Told, told
from experiments.declare.variants import Ladder, Variant, Whole
from tests.unit.reading import columns_of, data_of, shown
from tests.unit.samples import findings, manifest, side_by_side, trial
from tests.unit.topics.samples import LADDER, failing
from tests.unit.topics.samples import run_of as run_of_all

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


def test_the_section_has_a_row_for_each_step() -> None:
    """
    With what changes, the cost, and the verdict.
    """
    made, trials = run_of(4)
    row = columns_of(ladder(findings(made, trials)), "`printing`")
    assert row["What changes"] == "about printing"
    assert row["Time per request"] == "+300 µs [+300, +300]"
    assert (row["Verdict"], row["Blocks"], row["Blocks needed"]) == ("slower", "4", "–")


def test_a_step_whose_interval_holds_zero_is_not_called_a_cost() -> None:
    """
    Its row says how many blocks would tell.
    """
    made, trials = run_of(4, spread=900)
    row = columns_of(ladder(findings(made, trials)), "`bridge`")
    assert row["Verdict"] == "cannot tell"
    assert re.fullmatch(r"\d+ for ±2 %", row["Blocks needed"])


def test_a_step_without_a_block_of_both_has_no_numbers() -> None:
    """
    But a row that says why; nor has one that answers worse than the step before.
    """
    made, trials = run_of(4)
    lacking = [each for each in trials if each.variant != "printing"]
    row = columns_of(ladder(findings(made, lacking)), "`printing`")
    assert (row["Time per request"], row["Verdict"]) == ("–", "no block has both")
    text = ladder(findings(made, failing(trials, "printing")))
    assert re.search(r"`printing` against `\S+` is not comparable: 100.00 % of", text)
    row = columns_of(text, "`printing`")
    assert (row["Time per request"], row["Relative"]) == ("–", "not comparable")
    assert row["Verdict"] == "not comparable"


def test_the_section_says_what_the_steps_leave_unexplained() -> None:
    """
    The whole, the sum of the steps and what remains, each in microseconds.
    """
    text = ladder(findings(*run_of(6, spread=8)))
    (line,) = [line for line in text.splitlines() if "unexplained" in line]
    assert re.findall(r"\+\d+(?=[.\d]* µs \[)", line) == ["+450", "+404", "+46"]
    assert "6 blocks" in line


def test_a_run_without_a_ladder_has_no_section_and_no_figure() -> None:
    """
    Nor a figure where no step was measured.
    """
    made, trials = run_of(2)
    flat = findings(dataclasses.replace(made, ladders=[], wholes=[]), trials)
    assert ladder(flat) == ""
    assert figure.ladder(flat) is None
    assert figure.ladder(findings(made, [])) is None


# --- the figure ---


def test_a_bar_starts_where_the_step_before_it_ends() -> None:
    """
    The data have every step and part of a whole, and all of this run can be told from zero.
    """
    drawn = figure.ladder(findings(*run_of_all(LADDER)))
    rows = [row for row in data_of(drawn) if row["ladder"] == "steps"]
    assert [row["step"] for row in rows] == ["docker", "docker-host"]
    assert {row["differs_from_zero"] for row in rows} == {"differs from zero"}
    first, second = rows
    assert (float(first["starts_at_us"]), float(first["cost_us"])) == pytest.approx((0, 512), abs=9)
    assert second["starts_at_us"] == first["cost_us"]
    assert float(second["cost_us"]) < 0
    assert "Of 2 steps of 1 ladder, 2 differ significantly from zero" in shown(drawn).alternative


def test_a_step_that_holds_zero_is_said_to_be_no_cost() -> None:
    """
    In the data, in the words, and in the drawing beside its bar and in the legend.
    """
    made, trials = run_of_all(LADDER, noise={"docker": 60.0})
    drawn = shown(figure.ladder(findings(dataclasses.replace(made, wholes=[]), trials)))
    words = "interval includes zero"
    assert [row["differs_from_zero"] for row in data_of(drawn)] == [words] * 2
    assert "none differs significantly from zero" in drawn.alternative
    assert drawn.svg.count(f">{words}<") == 3


def test_a_step_that_is_clear_by_itself_alone_is_marked() -> None:
    """
    Its interval excludes zero, but among so many steps one such is no surprise.
    """
    step = Step("a", "b", "factor", "a → b", "b", None, Verdict(Kind.CANNOT_TELL, 0.02))
    assert told(Interval(5.0, 1.0, 9.0), step) is Told.UNCORRECTED
    assert told(Interval(5.0, 1.0, 9.0)) is Told.APART
    assert told(Interval(5.0, -1.0, 9.0), step) is Told.HOLDS_ZERO
    assert told(Interval(5.0, None, None), step) is Told.ONE_BLOCK
    assert told(None, step) is Told.MISSING


@pytest.mark.parametrize("told_apart", Told)
def test_only_a_bar_that_is_told_apart_is_filled(told_apart: Told) -> None:
    """
    Whichever way it goes; costs and savings are not told by the same filling.
    """
    cost, saving = (figure._look(told_apart, width)["facecolor"] for width in (5.0, -5.0))
    filled = told_apart is Told.APART
    assert (cost != PAPER, saving != PAPER, cost != saving) == (filled, filled, filled)


def test_what_a_whole_is_made_of_comes_first() -> None:
    """
    Then the whole, and then what stands beside it.
    """
    made, trials = run_of_all(LADDER)
    aside = Ladder("aside", "", ("netns", "docker-host"))
    beside = dataclasses.replace(made, ladders=[aside, *made.ladders])
    names = [row["ladder"] for row in data_of(figure.ladder(findings(beside, trials)))]
    assert list(dict.fromkeys(names)) == ["steps", made.wholes[0].name, "aside"]


def test_a_step_without_a_cost_has_no_bar() -> None:
    """
    But a row that says why: no block has both, or errors are quick.
    """
    made, trials = run_of_all(LADDER)
    lacking = [each for each in trials if each.variant != "docker-host"]
    for run, why in (
        (lacking, "no block has both"),
        (failing(trials, "docker-host"), "not comparable"),
    ):
        rows = data_of(figure.ladder(findings(made, run)))
        (row,) = [row for row in rows if row["step"] == "docker-host"]
        assert (row["cost_us"], row["differs_from_zero"]) == ("", why)
