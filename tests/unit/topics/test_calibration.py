"""
Calibration: what is put in must come out, and the report says how well it did.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.calibration import figure
from analysis.topics.calibration.findings import COMES_OUT, CPU, INJECTED, MEASURES, REST, TIME
from analysis.topics.calibration.section import calibration
from experiments.declare.reading import load_variants
from experiments.records.trials import CpuTime
from tests.unit.reading import data_of, number_of, rows_of, shown
from tests.unit.samples import cpu_spent, facts, findings, manifest, side_by_side, trial
from tests.unit.topics.samples import run_of as run_of_all

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

BASE_US = 1400.0


def run_of(slope: float = 1.0, blocks: int = 4) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of the project's own doses, of which so much comes out; later blocks are slower.
    """
    declared = load_variants()
    chosen = declared.choose(list(declared.groups["calibrate"].variants))
    variants = [each for each in chosen if each.levels["burn_us"].isdecimal()]
    made = dataclasses.replace(
        manifest(blocks=blocks),
        variants=variants,
        comparisons=[],
    )
    trials: list[TrialRecord] = []
    for block in range(1, blocks + 1):
        for variant in variants:
            burn, sleep = (int(variant.levels[name]) for name in ("burn_us", "sleep_us"))
            us = BASE_US + 10 * block + slope * (burn + sleep) + (block % 2) * burn / 100
            one = trial(len(trials) + 1, block, variant.name, 1e6 / us)
            spent = CpuTime(0.4 + slope * burn / 1000, 0.1)
            other = CpuTime(9.0, 9.0)
            cpu = cpu_spent({"gateway": spent, "client": other, "runner": other})
            trials.append(structs.replace(one, cpu=cpu, facts=facts()))
    return made, trials


def test_every_dose_comes_out_of_each_measure_that_should_see_it() -> None:
    """
    CPU time of both; sleep of the time, and none of the CPU time. A drift of the machine is none.
    """
    found = {(each.factor, each.measure): each for each in findings(*run_of()).recoveries}
    assert set(found) == {
        (factor, measure) for factor in ("burn_us", "sleep_us") for measure in MEASURES
    }
    for (factor, measure), each in found.items():
        should = 0.0 if (factor, measure) in {("sleep_us", CPU), ("burn_us", REST)} else 1.0
        assert COMES_OUT[factor, measure] == should
        assert each.share == should
        assert each.slope.estimate == pytest.approx(should, abs=0.006)
        assert [dose.injected_us for dose in each.doses] == [25, 50, 100, 200, 500]
        assert each.blocks == 4
    burned = found["burn_us", TIME]
    # Half of the blocks have 1 % more: 0.5 % of 175 microseconds, the mean dose.
    assert burned.bias_us.estimate == pytest.approx(0.875)
    assert all(dose.holds(1.0) for dose in burned.doses)


def test_an_instrument_that_finds_too_little_is_shown_as_such() -> None:
    """
    Nine tenths come out, and no interval holds what was put in.
    """
    made, trials = run_of(slope=0.9)
    burned = findings(made, trials).recoveries[1]
    assert (burned.factor, burned.measure) == ("burn_us", CPU)
    assert burned.slope.estimate == pytest.approx(0.9)
    assert not any(dose.holds(1.0) for dose in burned.doses)
    rows = rows_of(calibration(findings(made, trials)), INJECTED["burn_us"])
    (row,) = [row for row in rows if row[1] == CPU]
    assert row[2:4] == ["0.900 ± 0.000", "1"]
    assert row[5] == "0 of 5"


def test_every_dose_has_a_row_with_what_came_out_of_each_measure() -> None:
    """
    In microseconds, beside what was put in.
    """
    section = calibration(findings(*run_of()))
    (first, *_), (last, *_) = rows_of(section, "25"), rows_of(section, "500")
    assert len(first) == len(last) == 1 + len(MEASURES)
    assert number_of(last[2]) == pytest.approx(500)


def test_a_block_that_lacks_a_dose_counts_for_nothing() -> None:
    """
    Nothing is made up for what is missing, and one block gives no interval.
    """
    made, trials = run_of(blocks=2)
    lacking = [each for each in trials if (each.variant, each.block) != ("burn-50", 2)]
    burned = findings(made, lacking).recoveries[0]
    assert burned.blocks == 1
    assert not any(dose.holds(1.0) for dose in burned.doses)


def test_time_is_by_rounds_and_at_equal_place() -> None:
    """
    The baseline stands first in most blocks, and the machine drifts: neither is taken for a dose.
    """
    made, trials = run_of(blocks=6)
    names = list(dict.fromkeys(each.variant for each in trials))
    level = []
    for each in trials:
        assert each.load is not None
        us = 1e6 / each.load.requests_per_second
        place = (names.index(each.variant) + (each.block % 3 == 0) * 2) % len(names) + 1
        # None at the mean place, which is what all times are brought to.
        first = (place / math.factorial(len(names)) ** (1 / len(names))) ** -0.01
        rounds = side_by_side(
            each.number,
            each.block,
            each.variant,
            [(us + drift) * first for drift in (-300, 0, 300 * each.block)],
            position=place,
        )
        level.append(structs.replace(rounds, cpu=each.cpu, facts=each.facts))
    burned = findings(made, level).recoveries[0]
    assert (burned.factor, burned.measure) == ("burn_us", TIME)
    assert burned.slope.estimate == pytest.approx(1, abs=0.02)
    assert abs(burned.bias_us.estimate) < 5


def test_doses_that_break_answers_are_no_calibration() -> None:
    """
    Errors are quick.
    """
    made, trials = run_of()
    broken = [
        structs.replace(each, load=structs.replace(each.load, requests_ok=900))
        if each.variant == "burn-50" and each.load is not None
        else each
        for each in trials
    ]
    assert {each.factor for each in findings(made, broken).recoveries} == {"sleep_us"}


def test_a_run_without_doses_has_no_calibration() -> None:
    """
    Nor one whose variants put nothing in.
    """
    assert findings(manifest(), []).recoveries == []
    nothing = findings(manifest(), [trial(1, 1, "netns", 100)])
    assert calibration(nothing) == ""
    assert figure.calibration(nothing) is None


def test_the_figure_has_what_came_out_beside_what_should() -> None:
    """
    Every dose of every measure.
    """
    drawn = figure.calibration(findings(*run_of_all(["inject-0", "burn-50", "burn-500"])))
    rows = data_of(drawn)
    assert [row["injected_us"] for row in rows] == ["50", "500"] * 3
    assert [row["should_come_out_us"] for row in rows] == [*["50", "500"] * 2, "0", "0"]
    assert float(rows[1]["recovered_us"]) == pytest.approx(500, rel=0.05)
    assert "slope 1.0" in shown(drawn).alternative
