"""
Limits: a dose of CPU time or of memory, and its response.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from analysis.topics.limits import figure
from analysis.topics.limits.figure import size_of
from analysis.topics.limits.section import limits
from experiments.declare.variants import Variant
from tests.unit.reading import columns_of, data_of, rows_of, shown
from tests.unit.samples import findings, manifest, trial
from tests.unit.topics.samples import failing, run_of, with_cpu

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

LEVELS = {"runtime": "process", "cpus": "unlimited", "memory": "unlimited"}


def halved() -> tuple[Manifest, list[TrialRecord]]:
    """
    Two blocks of a variant, of itself again, and of it with half a CPU, which takes twice the time.
    """
    made = dataclasses.replace(
        manifest(),
        variants=[
            Variant("netns", "", LEVELS),
            Variant("half", "", {**LEVELS, "cpus": "0.5"}),
            Variant("netns-again", "", LEVELS),
        ],
        comparisons=[],
    )
    trials = []
    for block in (1, 2):
        trials.append(trial(2 * block, block, "netns", 250))
        trials.append(with_cpu(trial(2 * block + 1, block, "half", 125), 1.0))
    return made, trials


def test_a_dose_is_against_the_same_variant_without_a_limit() -> None:
    """
    With the time that was spent standing still; what is only the same again has no doses.
    """
    section = limits(findings(*halved()))
    assert [row[0] for row in rows_of(section)] == ["netns", "half"]
    row = columns_of(section, "half")
    assert (row["CPUs"], row["Memory"]) == ("0.5", "unlimited")
    assert row["Time per request (µs)"] == "8000 ± 0"
    assert row["Against unlimited"] == "+100.0 % [+100.0, +100.0]"
    assert row["Throttled (s/s)"] == "0.50 ± 0.00"
    assert columns_of(section, "netns")["Against unlimited"] == "–"


def test_doses_that_were_left_out_are_named() -> None:
    """
    Because the stack has fewer CPUs than they would take.
    """
    made, trials = halved()
    seen = dataclasses.replace(made.environment, left_out=["two", "three"])
    assert "two, three" in limits(findings(dataclasses.replace(made, environment=seen), trials))


def test_a_run_without_a_limit_has_no_section_and_no_figure() -> None:
    """
    However many variants it has.
    """
    found = findings(*run_of(["netns", "docker"]))
    assert limits(found) == ""
    assert figure.limits(found) is None


def test_doses_rise_and_none_comes_last() -> None:
    """
    Whatever the order in which they were declared, and whatever their units.
    """
    drawn = figure.limits(findings(*run_of(["netns-memory-256m", "netns", "netns-memory-64m"])))
    assert [row["dose"] for row in data_of(drawn)] == ["64m", "256m", "unlimited"]
    assert size_of("0.25") < size_of("2") < size_of("64m") < size_of("1g") < size_of("unlimited")


def test_a_dose_that_breaks_answers_is_not_comparable() -> None:
    """
    Neither in the table nor in the figure, because errors are quick.
    """
    made, trials = run_of(["netns", "netns-cpus-0.5"])
    found = findings(made, failing(trials, "netns-cpus-0.5"))
    row = columns_of(limits(found), "netns-cpus-0.5")
    assert row["Against unlimited"] == "not comparable"
    assert "`netns-cpus-0.5` is not comparable: 100.00 % of the baseline's" in limits(found)
    drawn = figure.limits(found)
    assert [row["comparable"] for row in data_of(drawn)] == ["no", "yes"]
    assert "netns at cpus 0.5 is not comparable" in shown(drawn).alternative
