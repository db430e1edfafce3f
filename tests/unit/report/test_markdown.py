"""
The report as a whole: its order, its length before the parts for each reader, and its headings.
"""

from __future__ import annotations

import dataclasses
import re

import pytest

from analysis.folders import REFERENCE, REPORT, RESULTS
from analysis.report.gallery import FIGURES, figures
from analysis.report.markdown import FIRST, READERS, deeper, render
from tests.unit.samples import failed_trial, findings, manifest, report
from tests.unit.topics.samples import VARIANTS, run_of

LONGEST_BEGINNING = 60
"""Lines that everybody reads."""


@pytest.fixture(scope="module")
def whole() -> str:
    """
    The report of an interrupted run with something for every topic, with its figures.
    """
    made, trials = run_of(list(VARIANTS))
    broken = [*trials, failed_trial(999, 4, "docker")]
    found = findings(dataclasses.replace(made, state="interrupted"), broken)
    return render(found, figures(found), "figures")


def headings_of(text: str) -> list[str]:
    """
    All headings outside of code blocks.
    """
    outside = "".join(text.split("```")[::2])
    return re.findall(r"^#+ .*$", outside, re.MULTILINE)


def test_warnings_come_before_verdicts_and_these_before_what_each_reader_looks_for(
    whole: str,
) -> None:
    """
    Nobody reads a number before what is wrong with it.
    """
    # The run's own name is in the overview.
    order = ["> **This run is interrupted", manifest().run, "## Verdicts", "## The answer"]
    order += [f"## {reader.heading}" for reader in READERS]
    places = [whole.index(each) for each in order]
    assert places == sorted(places)


def test_what_everybody_reads_is_short(whole: str) -> None:
    """
    Of a run with every topic, and of the reference run.
    """
    committed = (RESULTS / REFERENCE / REPORT).read_text(encoding="utf-8")
    for text in (whole, committed):
        beginning, found, _ = text.partition("\n## To decide\n")
        assert found
        assert len(beginning.splitlines()) <= LONGEST_BEGINNING


def test_headings_of_a_reader_s_parts_are_one_level_deeper(whole: str) -> None:
    """
    So a table of contents has each reader, and the parts below.
    """
    readers = [f"## {reader.heading}" for reader in READERS]
    later = headings_of(whole)
    later = later[later.index(readers[0]) :]
    assert [each for each in later if not each.startswith("###")] == readers
    for reader in readers:
        assert later[later.index(reader) + 1].startswith("### ")


def test_code_blocks_are_left_alone() -> None:
    """
    What begins with a hash there is a comment.
    """
    text = "## a\n\n```\n# b\n```\n\n### c #1"
    assert deeper(text) == "### a\n\n```\n# b\n```\n\n#### c #1"


def test_every_part_has_one_place_and_every_figure_too() -> None:
    """
    None is left out or shown twice.
    """
    order = [*FIRST, *(part for reader in READERS for part in reader.parts)]
    assert len(set(order)) == len(order)
    assert {part for part in order if isinstance(part, str)} == set(FIGURES)


def test_a_figure_that_was_not_drawn_leaves_no_trace() -> None:
    """
    And one that was is shown with its data.
    """
    found = findings(*run_of(["netns", "docker"]))
    first, *others = figures(found)
    text = render(found, [first], "pictures")
    assert f"](pictures/{first.name}.svg)" in text
    assert f"](pictures/{first.name}.csv)" in text
    for figure in others:
        assert f"{figure.name}.svg" not in text


def test_what_is_not_known_is_no_number(whole: str) -> None:
    """
    Nothing of the program's own shows, whatever a run lacks.
    """
    empty = report(manifest("interrupted"), [])
    for text in (whole, empty, report(manifest(), [failed_trial(1, 1, "docker")])):
        assert not re.search(r"\b(nan|inf|Interval)\b|\bNone\b[^.]|Kind\.", text)
        assert "\n\n\n" not in text
        assert text.endswith("\n")


def test_a_run_without_trials_still_has_a_report() -> None:
    """
    It says that there is nothing to say.
    """
    text = report(manifest("interrupted"), [])
    assert "cannot tell; no block has a trial of both" in text
    assert "## To reproduce" in text


def test_the_same_findings_are_the_same_report() -> None:
    """
    To the letter.
    """
    run = run_of(["netns", "docker", "netns-again"])
    assert report(*run) == report(*run)
