"""
The README says what the reference run found, and nothing that the project does not have.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.folders import REFERENCE, REPORT, RESULTS
from experiments.plan.options import measure_parser

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
PAGES = [
    *(README, PROJECT / "ARCHITECTURE.md", PROJECT / "CONTRIBUTING.md"),
    *(RESULTS / "README.md", RESULTS / REFERENCE / REPORT),
]


def flowing(text: str) -> str:
    """
    Text without its line ends.
    """
    return " ".join(text.split())


def part(text: str, heading: str) -> str:
    """
    What follows a heading, up to the next one.
    """
    return text.partition(f"{heading}\n")[2].partition("\n#")[0]


def test_the_answer_on_top_is_the_one_of_the_reference_run() -> None:
    """
    Word for word, with its intervals; and its pictures are that run's, with their words.
    """
    report = (RESULTS / REFERENCE / REPORT).read_text(encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    answer = flowing(part(report, "## The answer"))
    assert len(answer) > 100
    assert answer in flowing(part(readme, "## The answer"))
    shown = re.findall(r"!\[([^\]]*)\]\((\S+)\)", readme)
    assert len(shown) == 2
    assert "@@" not in readme
    for words, path in shown:
        assert (PROJECT / path).is_file()
        # The report says the same of it, from where it stands.
        assert f"![{words}](figures/{Path(path).name})" in report


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """
    To a file that is there, and to a heading that it has.
    """
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if fragment:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in [anchor(heading) for heading in headings], link


def anchor(heading: str) -> str:
    """
    What a code host makes of a heading.
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_session_that_is_named_is_one_and_every_one_is_named() -> None:
    """
    What a reader copies runs, and what there is can be found.
    """
    source = (PROJECT / "noxfile.py").read_text(encoding="utf-8")
    made = r"^(\w+) = \w+_session\("
    declared = set(re.findall(rf"{made}|^@nox\.session.*\ndef (\w+)\(", source, re.MULTILINE))
    sessions = {name for pair in declared for name in pair if name}
    readme = README.read_text(encoding="utf-8")
    named = {
        name
        for names in re.findall(r"nox -s ((?:[a-z_]+ )*[a-z_]+)", readme)
        for name in names.split()
    }
    assert named == sessions


def test_every_option_that_it_explains_is_one() -> None:
    """
    Of those that measure.
    """
    table = part(README.read_text(encoding="utf-8"), "## Options")
    explained = set(re.findall(r"(--[a-z][a-z-]+)", table))
    known = set(re.findall(r"(--[a-z-]+)", measure_parser().format_help()))
    assert explained
    assert explained <= known
