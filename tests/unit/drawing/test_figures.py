"""
What holds of every figure: the same bytes every time, its words in it, its data whole.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from analysis.drawing.canvas import PAPER
from analysis.drawing.figure import csv_text, limits_of, write
from analysis.report.gallery import FIGURES, figures
from analysis.statistics.intervals import Interval
from experiments.errors import ResultsError
from tests.unit.samples import findings
from tests.unit.topics.samples import VARIANTS, run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.drawing.figure import Figure

CHECKOUT = Path(__file__).parents[3]


def everything() -> list[Figure]:
    """
    Every figure there is.
    """
    return figures(findings(*run_of(list(VARIANTS))))


def digest(drawn: Sequence[Figure]) -> str:
    """
    One number for all that figures consist of.
    """
    parts = [part for each in drawn for part in dataclasses.astuple(each)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@pytest.fixture(scope="module")
def drawn() -> dict[str, Figure]:
    """
    Every figure, drawn once for all tests that only look.
    """
    return {each.name: each for each in everything()}


def test_a_run_with_everything_has_every_figure(drawn: dict[str, Figure]) -> None:
    """
    In the order in which a report shows them.
    """
    assert list(drawn) == list(FIGURES)


def test_the_same_run_gives_the_same_bytes(drawn: dict[str, Figure]) -> None:
    """
    In another process too, with another order of hashes and whatever style a user has.
    """
    code = (
        "import matplotlib; from tests.unit.drawing.test_figures import *; "
        "matplotlib.rcParams.update({'font.size': 30, 'axes.facecolor': 'red', "
        "'svg.hashsalt': 'other'}); print(digest(everything()))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == digest(list(drawn.values()))


@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_says_what_it_is(drawn: dict[str, Figure], name: str) -> None:
    """
    Well-formed, with its title and words in it, text kept as text, and no day nor version.
    """
    figure = drawn[name]
    root = ET.fromstring(figure.svg)  # noqa: S314 - it was made here
    svg = "{http://www.w3.org/2000/svg}"
    assert [each.text for each in root.iter(f"{svg}title")] == [figure.title]
    described = root.iter("{http://purl.org/dc/elements/1.1/}description")
    assert [each.text for each in described] == [figure.alternative]
    assert figure.title in [each.text for each in root.iter(f"{svg}text")]
    assert mpl.__version__ not in figure.svg
    assert "dc:date" not in figure.svg


@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_has_a_ground_of_its_own(drawn: dict[str, Figure], name: str) -> None:
    """
    Below all else, so that its ink is as legible on a dark page as on a white one.
    """
    first = re.search(r"fill: (#\w+)", drawn[name].svg)
    assert first is not None
    assert first[1] == PAPER


@pytest.mark.parametrize("name", FIGURES)
def test_words_stand_for_every_figure(drawn: dict[str, Figure], name: str) -> None:
    """
    One sentence or two with a number in it, without a break, and a caption.
    """
    figure = drawn[name]
    assert figure.alternative.endswith(".")
    assert "\n" not in figure.alternative
    assert any(letter.isdigit() for letter in figure.alternative)
    assert figure.alternative.count(". ") <= 1
    assert figure.caption.endswith(".")


@pytest.mark.parametrize("name", FIGURES)
def test_data_has_a_header_with_units_and_whole_rows(drawn: dict[str, Figure], name: str) -> None:
    """
    Lines end as everywhere, and no cell is lost.
    """
    figure = drawn[name]
    assert "\r" not in figure.csv
    assert figure.csv.endswith("\n")
    header, *rows = csv.reader(io.StringIO(figure.csv))
    assert any(key.endswith(("_us", "_ms", "_percent", "_us_per_request")) for key in header)
    assert rows
    assert {len(row) for row in rows} == {len(header)}


def test_numbers_are_written_to_six_digits_and_nothing_is_no_number() -> None:
    """
    What is left of a sum that should be none is none, on every machine.
    """
    assert csv_text(["a", "b", "c", "d"], [[1234567.8, None, "x", -1e-13]]) == (
        "a,b,c,d\n1.23457e+06,,x,0\n"
    )
    assert csv_text(["a", "b"], [[math.inf, 2.0]]) == "a,b\ninf,2\n"


def test_an_interval_is_three_cells() -> None:
    """
    Empty ones where there is none.
    """
    assert limits_of(Interval(0.5, 0.25, 1.0), 100) == [50.0, 25.0, 100.0]
    assert limits_of(Interval(0.5, None, None)) == [0.5, None, None]
    assert limits_of(None) == [None] * 3


def test_files_are_written_beside_each_other(drawn: dict[str, Figure], tmp_path: Path) -> None:
    """
    Into a directory that is made, and to the byte what the figures are.
    """
    directory = tmp_path / "figures"
    written = write(list(drawn.values()), directory.parent, "figures")
    assert sorted(written) == sorted(directory.iterdir())
    assert len(written) == 2 * len(drawn)
    assert (directory / "cpu.svg").read_bytes() == drawn["cpu"].svg.encode()
    assert (directory / "cpu.csv").read_bytes() == drawn["cpu"].csv.encode()


def test_a_figure_that_a_report_no_longer_has_goes(
    drawn: dict[str, Figure], tmp_path: Path
) -> None:
    """
    And what somebody else put there stays.
    """
    write(list(drawn.values()), tmp_path, "figures")
    directory = tmp_path / "figures"
    (directory / "mine.svg").write_text("")
    write([drawn["cpu"]], tmp_path, "figures", known=FIGURES)
    assert {path.name for path in directory.iterdir()} == {"cpu.svg", "cpu.csv", "mine.svg"}


def test_a_directory_that_cannot_be_written_is_an_error(
    drawn: dict[str, Figure], tmp_path: Path
) -> None:
    """
    With its name.
    """
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(ResultsError, match="figures is a file where a folder should be"):
        write([drawn["cpu"]], tmp_path, "figures")
