"""
Trust: A/A, the least effect that a run could see, other methods, silence, and load by load.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.trust import figure
from analysis.topics.trust.section import control, trust, under_way
from experiments.declare.variants import Comparison
from tests.unit.reading import columns_of, data_of, rows_of, shown
from tests.unit.samples import details, findings, load, manifest, trial
from tests.unit.topics.samples import (
    failing,
    manifest_of,
    pair_of,
    rounds,
    run_of,
    with_twin,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest

TWIN = "netns-again"


def said_of_control(again: Sequence[float], *, errors: int = 0) -> str:
    """
    What is said of a thing and itself, in so many blocks as there are ratios.
    """
    made, trials = with_twin(manifest(), again)
    found = findings(made, [*pair_of([1.0] * len(again)), *failing(trials, TWIN, non_2xx=errors)])
    return control(found.comparisons[-1])


def twins_of(blocks: int) -> Manifest:
    """
    A run of a pair and of its baseline once more, with as many blocks.
    """
    made, _ = with_twin(manifest(blocks=blocks), [])
    return made


@pytest.mark.parametrize(
    ("again", "words"),
    [
        ([1.01, 0.99, 1.02, 1.0, 0.98], "holds zero"),
        ([1.05, 1.06, 1.05, 1.04, 1.05], "excludes zero"),
        ([0.7, 1.4, 1.1], "too wide"),
        ([1.0], "fewer than two blocks"),
    ],
)
def test_a_thing_and_itself_should_not_differ(again: list[float], words: str) -> None:
    """
    By the 99 % interval; where it is very wide, that shows little.
    """
    assert words in said_of_control(again)


def test_a_thing_that_answers_unlike_itself_is_not_compared() -> None:
    """
    With both shares of good answers.
    """
    words = said_of_control([1.0] * 3, errors=100)
    assert "not comparable" in words
    assert "100.00 %" in words
    assert "90.00 %" in words


def test_a_run_without_a_control_says_so() -> None:
    """
    It does not show what its instrument makes of no difference.
    """
    assert "**No A/A.**" in trust(findings(manifest(), pair_of([1.2, 1.3])))
    made, again = with_twin(manifest(), [1.0, 1.01])
    assert "**No A/A.**" not in trust(findings(made, [*pair_of([1.2, 1.3]), *again]))


def test_a_run_without_comparisons_has_no_section() -> None:
    """
    There is nothing to trust.
    """
    assert trust(findings(dataclasses.replace(manifest(), comparisons=[]), [])) == ""


def test_methods_that_disagree_about_zero_are_marked() -> None:
    """
    Where one interval holds zero, and the other does not.
    """
    found = findings(manifest(blocks=5), pair_of([1.01, 1.02, 1.15, 1.01, 1.012]))
    row = columns_of(trust(found), "matched")
    assert row["Bootstrap (BCa)"].endswith("(disagrees)")
    assert row["Verdict"].startswith("cannot tell")
    agreed = findings(manifest(blocks=5), pair_of([1.2, 1.21, 1.19, 1.2, 1.22]))
    assert "disagrees" not in columns_of(trust(agreed), "matched")["Bootstrap (BCa)"]


def test_what_a_run_could_not_see_is_said_without_absurd_numbers() -> None:
    """
    Two blocks far apart would not even show a doubling.
    """
    wide = columns_of(trust(findings(manifest(), pair_of([0.7, 1.4]))), "matched")
    assert wide["Detectable"] == "not even a doubling"
    narrow = findings(manifest(blocks=5), pair_of([1.2] * 4 + [1.21]))
    assert columns_of(trust(narrow), "matched")["Detectable"].startswith("±0.")


def test_one_block_has_no_interval_to_trust() -> None:
    """
    Its row is of dashes.
    """
    row = columns_of(trust(findings(manifest(), pair_of([1.2]))), "matched")
    assert set(list(row.values())[1:5]) == {"–"}


def test_each_place_is_shown_against_the_mean_of_all() -> None:
    """
    Where the variants rotate through the places, in enough blocks.
    """
    section = trust(findings(twins_of(12), rounds(12, names=("netns", "docker", TWIN))))
    places = [row for row in rows_of(section) if row[0].isdigit()]
    assert [(row[0], row[2]) for row in places] == [("1", "12"), ("2", "12"), ("3", "12")]
    assert "place" not in trust(findings(manifest(), pair_of([1.1, 1.2])))


def test_what_frozen_deployments_did_is_counted() -> None:
    """
    Over all loads of the rounds; loads that stood alone say nothing of it.
    """
    trials = rounds(3)
    trials[0].loads[0] = structs.replace(trials[0].loads[0], others_ran_us=17)
    (line,) = [
        part for part in trust(findings(manifest(), trials)).split("\n\n") if "Only one ran" in part
    ]
    assert "24 loads" in line
    assert "17 µs" in line
    assert "Only one ran" not in trust(findings(manifest(), pair_of([1.1, 1.2])))


def test_other_protocols_are_compared_on_the_loads_of_the_a_a_pair() -> None:
    """
    This one is the first of four, and its share of intervals that hold zero is told.
    """
    found = findings(twins_of(12), rounds(12, names=("netns", "docker", TWIN)))
    section = trust(found)
    (resampled,) = found.resampled
    for each in resampled.performances:
        row = columns_of(section, each.name)
        assert row["Minutes"] == f"{each.minutes:.1f}"
        assert row["Coverage"] == f"{each.coverage * 100:.1f} %"
    assert len(resampled.performances) == 4
    assert f"{resampled.promise.coverage * 100:.1f} % of the intervals" in section


def test_little_s_law_is_shown_as_a_check() -> None:
    """
    250 per second, each 0.19 seconds under way, are 47.5 of 50.
    """
    times = {"total": {"min": 1.0, "mean": 190.0, "sd": 1.0, "median": 180.0, "max": 300.0}}
    whole = structs.replace(load(250), details=details(connection_times_ms=times))
    assert under_way(whole) == pytest.approx(47.5)
    assert under_way(load(250)) is None
    trials = [structs.replace(each, load=whole) for each in pair_of([1.0, 1.0])]
    assert "95.0 to 95.0 % (median 95.0 %)" in trust(findings(manifest(), trials))
    assert "Little" not in trust(findings(manifest(), pair_of([1.0, 1.0])))


# --- the figure ---


def test_blocks_are_shown_load_by_load() -> None:
    """
    One value for each round of each trial, and how far they are from each other.
    """
    made, trials = run_of(["netns", "docker", TWIN], block_count=8)
    drawn = figure.blocks(findings(made, trials))
    rows = [row for row in data_of(drawn) if row["variant"] == "netns"]
    assert [row["block"] for row in rows[::4]] == [str(block) for block in range(1, 9)]
    assert [row["round"] for row in rows[:5]] == ["1", "2", "3", "4", "1"]
    measured = [load.us_per_request for load in trials[0].loads]
    found = [float(row["measured_us_per_request"]) for row in rows[:4]]
    assert found == pytest.approx(measured, rel=1e-5)
    assert "netns 2.6 % and from round to round 0.8 %" in shown(drawn).alternative


def test_a_trial_without_rounds_is_one_point() -> None:
    """
    And a run of one block has nothing that drifts.
    """
    made = manifest_of(["netns", "docker"])
    trials = [
        trial(2 * block + place, block, name, 250)
        for block in (1, 2)
        for place, name in enumerate(("netns", "docker"))
    ]
    rows = data_of(figure.blocks(findings(made, trials)))
    assert [row["measured_us_per_request"] for row in rows] == ["4000"] * 4
    assert figure.blocks(findings(made, trials[:2])) is None


def test_a_control_by_any_name_is_one() -> None:
    """
    It is known by its levels, and is in no family with the others.
    """
    made, again = with_twin(manifest(), [1.0] * 3)
    *others, twin = made.comparisons
    named = dataclasses.replace(
        made, comparisons=[*others, Comparison("mine", "", twin.baseline, twin.treatment)]
    )
    matched, same = findings(named, [*pair_of([1.2] * 3), *again]).comparisons
    assert (matched.control, matched.family) == (False, 1)
    assert (same.control, same.family) == (True, 1)
