"""
The sweep: what Docker costs by how heavy a request is, and where another run lies on that curve.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from typing import TYPE_CHECKING

import pytest

from analysis.__main__ import main
from analysis.curve import known_curve
from analysis.findings import Findings
from analysis.run import Run
from analysis.topics.comparisons.section import unsaid
from analysis.topics.sweep import figure
from analysis.topics.sweep.findings import BRANCHES
from analysis.topics.sweep.section import sweep
from experiments.declare.reading import load_variants
from experiments.declare.variants import MATCHED, Comparison
from experiments.errors import ResultsError
from tests.unit.reading import data_of, row_of, rows_of, shown
from tests.unit.samples import findings, manifest, side_by_side, stored
from tests.unit.topics.samples import failing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.topics.sweep.findings import Curve
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

DECLARED = load_variants()
SWEEP = DECLARED.groups["sweep"].variants
NOISE = (1.0, 1.02, 0.98, 1.01)
"""Of each block's treatment, so that costs have intervals."""


def time_us(name: str) -> float:
    """
    A request takes 2 ms and its dose; Docker costs half a millisecond, and as much for each call.
    """
    levels = DECLARED.variants[name].levels
    burn_us = int(levels["burn_us"].replace("none", "0"))
    calls = int(levels["calls"])
    cost_us = 500 * calls if levels["runtime"] == "container" else 0
    return 2000.0 * calls + burn_us + cost_us


def run_of(names: Sequence[str] = SWEEP) -> tuple[Manifest, list[TrialRecord]]:
    """
    Four blocks of these variants.
    """
    chosen = DECLARED.choose(list(names))
    made = dataclasses.replace(
        manifest(), variants=chosen, comparisons=DECLARED.comparisons_among(list(names))
    )
    numbers = itertools.count(1)
    trials = [
        side_by_side(
            next(numbers),
            block,
            each.name,
            [time_us(each.name) * (noise if each.levels["runtime"] == "container" else 1)] * 2,
        )
        for block, noise in enumerate(NOISE, start=1)
        for each in chosen
    ]
    return made, trials


def curve_of() -> Curve:
    """
    The curve of a whole sweep.
    """
    found = findings(*run_of()).sweep
    assert found is not None
    return found


def pair(us: float, cost_us: float) -> Findings:
    """
    A run of a matched pair alone, on that curve: its time in raw namespaces and Docker's cost.
    """
    made, trials = run_of(["netns", "docker"])
    took_us = {"netns": us, "docker": us + cost_us}
    loads = [
        side_by_side(each.number, each.block, each.variant, [took_us[each.variant] * noise] * 2)
        for each in trials
        for noise in [NOISE[each.block - 1] if each.variant == "docker" else 1.0]
    ]
    return Findings.of(Run(made, loads), curve_of())


def test_every_pair_of_the_sweep_is_a_point_with_its_doses() -> None:
    """
    In the order of the declaration; the matched pair is the one without a dose.
    """
    found = curve_of()
    assert [(each.burn_us, each.calls) for each in found.points] == [
        *((0, 1), (1000, 1), (5000, 1), (20_000, 1)),
        *((0, 2), (0, 4), (0, 8)),
    ]
    for point in found.points:
        assert point.time_us == pytest.approx(2000 * point.calls + point.burn_us, rel=0.01)
        assert point.measured.cost_us.estimate == pytest.approx(500 * point.calls, rel=0.3)
        assert point.measured.relative.low is not None
        assert point.measured.blocks == 4


def test_each_branch_begins_at_the_matched_pair_and_rises() -> None:
    """
    Whatever the order in which its points were declared.
    """
    made, trials = run_of()
    turned = dataclasses.replace(made, comparisons=list(reversed(made.comparisons)))
    found = findings(turned, trials).sweep
    assert found is not None
    branches = {factor: found.branch(factor) for factor in BRANCHES}
    assert [each.burn_us for each in branches["burn_us"]] == [0, 1000, 5000, 20_000]
    assert [each.calls for each in branches["calls"]] == [1, 2, 4, 8]


def test_what_is_no_pair_with_equal_doses_is_no_point() -> None:
    """
    Nor is a pair that differs from the matched one in anything but a dose, or one without answers.
    """
    made, trials = run_of()
    others = [
        Comparison("unequal", "", "netns", "docker-calls-2"),
        Comparison("turned", "", "docker-calls-2", "netns-calls-2"),
        Comparison("gunicorn", "", "netns-gunicorn", "docker-gunicorn"),
        Comparison("gunicorn in Docker", "", "netns", "docker-gunicorn"),
        Comparison("gunicorn in raw namespaces", "", "netns-gunicorn", "docker"),
    ]
    more = dataclasses.replace(
        made,
        variants=[*made.variants, *DECLARED.choose(["netns-gunicorn", "docker-gunicorn"])],
        comparisons=[*made.comparisons, *others],
    )
    gunicorn = [
        side_by_side(900 + 2 * block + place, block, name, [1000.0, 1000.0])
        for block in (1, 2)
        for place, name in enumerate(["netns-gunicorn", "docker-gunicorn"])
    ]
    found = findings(more, [*trials, *gunicorn]).sweep
    assert found is not None
    assert len(found.points) == len(curve_of().points)
    broken = findings(made, failing(trials, "docker-burn-5ms")).sweep
    assert broken is not None
    assert 5000 not in {each.burn_us for each in broken.points}


def test_a_run_without_a_sweep_has_no_curve() -> None:
    """
    A matched pair alone is none, nor are doses without it.
    """
    for names in (["netns", "docker"], [name for name in SWEEP if "-" in name], ["netns"]):
        found = findings(*run_of(names))
        assert found.sweep is None
        assert sweep(found) == ""
        assert figure.sweep(found) is None


def test_between_two_points_the_cost_changes_evenly() -> None:
    """
    A constant cost stays constant, and a cost for each call grows with the calls.
    """
    found = curve_of()
    for time, share in ((3000, 1 / 6), (4500, 1 / 9), (10_000, 1 / 20), (22_000, 1 / 44)):
        expected = found.expected("burn_us", time).relative
        assert expected is not None
        assert expected.estimate == pytest.approx(share, rel=0.35)
        expected = found.expected("calls", min(time, 16_000)).relative
        assert expected is not None
        assert expected.estimate == pytest.approx(0.25, rel=0.1)
    halfway, ends = found.expected("burn_us", 5000), found.branch("burn_us")
    assert (halfway.lower, halfway.upper) == (ends[1], ends[2])
    assert halfway.relative is not None
    cost_us = [each.measured.relative.estimate * each.time_us for each in ends[1:3]]
    assert halfway.relative.estimate * 5000 == pytest.approx(sum(cost_us) / 2)
    at_an_end = found.expected("burn_us", ends[1].time_us).relative
    assert at_an_end is not None
    assert at_an_end.low == pytest.approx(ends[1].measured.relative.low)
    assert at_an_end.high == pytest.approx(ends[1].measured.relative.high)


def test_nothing_is_said_beyond_the_ends_of_the_curve() -> None:
    """
    But which end is nearest.
    """
    found = curve_of()
    for time, ends in ((1000, (None, 0)), (90_000, (-1, None))):
        for factor in BRANCHES:
            expected, branch = found.expected(factor, time), found.branch(factor)
            lower, upper = (None if end is None else branch[end] for end in ends)
            assert (expected.lower, expected.upper, expected.relative) == (lower, upper, None)
    section = sweep(pair(1000, 250))
    assert row_of(section, "computing")[1:] == [
        "below 2 ms (0 ms of CPU time added, 1 call)",
        "–",
    ]
    assert "no points around this time" in section


def test_one_block_says_nothing_of_the_difference_from_a_curve() -> None:
    """
    It has no interval.
    """
    made, trials = run_of(["netns", "docker"])
    first = [each for each in trials if each.block == 1]
    assert "An interval is missing" in sweep(Findings.of(Run(made, first), curve_of()))
    assert figure.sweep(Findings.of(Run(made, first), curve_of())) is not None


def test_the_section_has_a_row_for_each_point_and_what_to_expect() -> None:
    """
    With the ends of each branch in words.
    """
    section = sweep(findings(*run_of()))
    rows = rows_of(section)
    assert [row[:2] for row in rows] == [
        *(["0", "1"], ["1", "1"], ["5", "1"], ["20", "1"]),
        *(["0", "2"], ["0", "4"], ["0", "8"]),
    ]
    assert rows[0][2].startswith("2.00")
    assert rows[0][3].startswith("+506 µs")
    for factor, about in BRANCHES.items():
        words = next(line for line in section.splitlines() if about in line and line[0] == "-")
        last = curve_of().branch(factor)[-1]
        assert f"{last.time_us / 1000:.3g} ms" in words


@pytest.mark.parametrize(
    ("us", "cost_us", "word"),
    [
        *((6000, 400, "agrees"), (6000, 1000, "agrees"), (6000, 1500, "agrees")),
        *((6000, 3000, "more"), (6000, -600, "less")),
    ],
)
def test_a_run_is_placed_between_the_points_of_another_run(
    us: float, cost_us: float, word: str
) -> None:
    """
    Each branch says what it has there; the run may lie between both, or outside.
    """
    section = sweep(pair(us, cost_us))
    assert "takes 6.00 ± 0.00 ms" in section
    by_time, by_calls = row_of(section, "computing"), row_of(section, "calls")
    assert re.fullmatch(r"above 3 ms \(1 ms .* call\); below 7 ms .*", by_time[1])
    assert re.fullmatch(r"above 4 ms .* 2 calls\); below 8 ms .*", by_calls[1])
    assert float(by_time[2].split()[0]) == pytest.approx(8, abs=3)
    assert float(by_calls[2].split()[0]) == pytest.approx(25, abs=2)
    assert f"**{word}**" in section


def test_a_run_with_a_sweep_of_its_own_is_not_placed_on_another() -> None:
    """
    Nor is one whose matched pair is not comparable, or not there.
    """
    made, trials = run_of()
    assert Findings.of(Run(made, trials), curve_of()).placed is None
    made, trials = run_of(["netns", "docker"])
    assert Findings.of(Run(made, failing(trials, "docker")), curve_of()).placed is None
    nothing = dataclasses.replace(made, comparisons=[])
    assert Findings.of(Run(nothing, trials), curve_of()).placed is None


def test_a_run_with_a_sweep_does_not_say_that_other_services_were_not_tested() -> None:
    """
    Because it has tested heavier ones.
    """
    assert "machines and services were not tested" in unsaid(findings(*run_of(["netns", "docker"])))
    assert "services were not tested" not in unsaid(findings(*run_of()))


def test_the_figure_has_every_point_and_this_run_on_another_s_curve() -> None:
    """
    In its data, in its words, and in its caption.
    """
    own = figure.sweep(findings(*run_of()))
    assert [(row["burn_us"], row["calls"]) for row in data_of(own)] == [
        *(("0", "1"), ("1000", "1"), ("5000", "1"), ("20000", "1")),
        *(("0", "2"), ("0", "4"), ("0", "8")),
    ]
    assert "this run" not in shown(own).alternative.lower() + shown(own).svg
    placed = figure.sweep(pair(6000, 500))
    *points, here = data_of(placed)
    assert points == data_of(own)
    assert here["baseline"] == "this run"
    assert float(here["baseline_us"]) == pytest.approx(6000)
    assert "This run: +" in shown(placed).alternative
    assert curve_of().run in shown(placed).caption


def test_a_report_places_a_run_on_the_curve_of_another_folder(tmp_path: Path) -> None:
    """
    From what the other's report wrote; its records are not read again.
    """
    swept, alone = tmp_path / "swept", tmp_path / "alone"
    stored(swept, *run_of())
    stored(alone, *run_of(["netns", "docker"]))
    assert main([str(swept)]) == 0
    (swept / "trials.jsonl").unlink()
    known = known_curve(swept)
    assert known is not None
    for one, other in zip(known.points, curve_of().points, strict=True):
        assert (one.treatment, one.burn_us, one.calls) == (
            other.treatment,
            other.burn_us,
            other.calls,
        )
        assert one.time_us == pytest.approx(other.time_us, rel=1e-5)
        assert one.measured.relative.low == pytest.approx(other.measured.relative.low, rel=1e-4)
    assert main([str(alone), "--curve", str(swept)]) == 0
    assert "Where does this stack lie?" in (alone / "report.md").read_text()
    assert (alone / "figures/sweep.csv").exists()


def test_a_folder_without_a_curve_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """
    One without a sweep, and one whose report is missing; without a folder there may be no curve.
    """
    alone = tmp_path / "alone"
    stored(alone, *run_of(["netns", "docker"]))
    with pytest.raises(ResultsError, match=r"verdicts\.json: .*`nox -s report -- .*alone` writes"):
        known_curve(alone)
    assert main([str(alone)]) == 0
    with pytest.raises(ResultsError, match="has no sweep; `nox -s sweep` measures one"):
        known_curve(alone)
    assert main([str(alone), "--curve", str(tmp_path / "none")]) != 0


@pytest.mark.parametrize(
    ("number", "wrong"), [("baseline_us", 0.0), ("baseline_us", -1.0), ("relative", 1e300)]
)
def test_a_curve_that_no_run_has_is_refused(tmp_path: Path, number: str, wrong: float) -> None:
    """
    With the pair that it names.
    """
    stored(tmp_path, *run_of())
    assert main([str(tmp_path)]) == 0
    file = tmp_path / "verdicts.json"
    content = json.loads(file.read_text())
    content["comparisons"][0]["effect"][number]["estimate"] = wrong
    file.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="docker against netns has an invalid value"):
        known_curve(tmp_path)


def test_the_reference_s_curve_is_taken_where_no_other_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If it has one: a reference that is not there, or not readable, is no fault of this run.
    """
    monkeypatch.setattr("analysis.curve.RESULTS", tmp_path)
    assert known_curve(None) is None
    reference = tmp_path / "reference"
    stored(reference, *run_of())
    assert main([str(reference)]) == 0
    known = known_curve(None)
    assert known is not None
    assert len(known.points) == len(curve_of().points)
    (reference / "verdicts.json").write_text("[]")
    assert known_curve(None) is None


def test_the_curve_needs_the_role_of_the_matched_pair() -> None:
    """
    Otherwise nobody knows which pair is heavier than which.
    """
    made, trials = run_of()
    without = [
        dataclasses.replace(each, role="") if each.role == MATCHED else each
        for each in made.comparisons
    ]
    assert findings(dataclasses.replace(made, comparisons=without), trials).sweep is None
