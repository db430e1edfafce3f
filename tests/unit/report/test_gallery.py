"""
The gallery: every figure with its words, its data, its records and its code.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from analysis.drawing.figure import Figure
from analysis.report.gallery import FIGURES, code_of, figures, picture, sources
from tests.unit.reading import columns_of, rows_of
from tests.unit.samples import failed_trial, findings, manifest, trial
from tests.unit.topics.samples import run_of, with_logs

PROJECT = Path(__file__).parents[3]
SMALL = Figure("cpu", "A title", "<svg/>", "a\n", "One [1, 2]\nof two.", "A caption.")


@pytest.mark.parametrize("name", FIGURES)
def test_the_code_of_a_figure_is_the_folder_of_its_topic(name: str) -> None:
    """
    In which what it shows is found, and said too.
    """
    folder = PROJECT / code_of(name)
    assert folder.parent == PROJECT / "analysis" / "topics"
    assert (folder / "figure.py").is_file()
    assert (folder / "section.py").is_file()


def test_a_picture_has_its_words_its_title_and_its_data() -> None:
    """
    Brackets and line ends in the words would break the picture.
    """
    first, second = picture(SMALL, "figures").split("\n\n")
    assert first == "![One (1, 2) of two.](figures/cpu.svg)"
    assert second == "*A title.* A caption. [Data](figures/cpu.csv)."


def test_each_figure_has_a_row_from_data_to_code(tmp_path: Path) -> None:
    """
    Latency is drawn from the logs of single requests, where there are any.
    """
    made, trials = run_of(["netns", "docker"])
    made = dataclasses.replace(made, common_rate_per_s=100.0)
    found = findings(made, with_logs(tmp_path, trials, lambda _: [1000] * 20), tmp_path)
    drawn = figures(found)
    text = sources(found, drawn, "figures")
    assert len(rows_of(text)) == len(drawn)
    for figure in drawn:
        row = columns_of(text, f"[{figure.title}]")
        assert row["Its data"] == f"[{figure.name}.csv](figures/{figure.name}.csv)"
        assert row["Code"] == f"`{code_of(figure.name)}`"
        assert ("raw/" in row["Records"]) is (figure.name == "latency")
    assert "f" * 12 in text


def test_without_figures_there_is_nothing_to_trace() -> None:
    """
    Nor a heading.
    """
    assert sources(findings(manifest(), []), [], "figures") == ""


def test_a_run_without_data_has_no_figure() -> None:
    """
    Nor has one whose trials all failed.
    """
    assert figures(findings(manifest(), [])) == []
    assert figures(findings(manifest(), [failed_trial(1, 1, "docker")])) == []


def test_what_a_run_lacks_is_left_out() -> None:
    """
    A pair of one block without CPU time has a comparison and latencies, and nothing else.
    """
    drawn = figures(findings(manifest(), [trial(1, 1, "netns", 250), trial(2, 1, "docker", 200)]))
    assert [each.name for each in drawn] == ["comparisons", "latency"]
