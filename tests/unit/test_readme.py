"""
README and docs/: links lead somewhere, numbers are the reference run's, commands exist.

Words are free: nothing here holds a sentence.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from experiments.host.cli import COMMANDS, main
from experiments.plan.options import measure_parser

PROJECT = Path(__file__).parents[2]
RESULTS = PROJECT / "results"
README = PROJECT / "README.md"
DOCS = sorted((PROJECT / "docs").glob("*.md"))
OPTIONS = PROJECT / "docs" / "options.md"
REPORT = RESULTS / "reference" / "report.md"
PAGES = [
    *(README, *DOCS, *(PROJECT / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING"))),
    PROJECT / "SECURITY.md",
    *(RESULTS / "README.md", REPORT),
]

MOST_LINES = 150
MEASURED = "reference run"
"""A column of a table whose header says so holds numbers of the reference run's report."""

AGAINST = "against baseline"
"""A column of the README whose header says so names what is compared."""

INTERVAL = re.compile(
    r"[+-]?[\d.]+ (?:%|µs) \[[+-]?[\d.]+, [+-]?[\d.]+\]|\d+(?:\.\d+)? ± \d+(?:\.\d+)?"
)
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?![\w.]*\d)")

MODULES = {
    "report": "analysis.__main__",
    "reference": "analysis.reference",
    **{name: f"analysis.{name}.__main__" for name in ("audit", "verify")},
    **{name: f"tests.{name}.__main__" for name in ("fuzz", "soak")},
}
"""What the sessions with options of their own run, beside the commands of the experiments."""

WITH_OPTIONS = sorted({*MODULES, *COMMANDS} - {"measure"})


def of(page: Path) -> str:
    """
    The name of a test's page.
    """
    return str(page.relative_to(PROJECT))


def tables(text: str) -> list[list[list[str]]]:
    """
    The tables of a page, each as rows of cells with its header first.
    """
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                found[-1].append(cells)
        inside = line.startswith("|")
    return found


def table(page: Path, *header: str) -> list[list[str]]:
    """
    The rows of the one table of a page whose header begins so.
    """
    every = tables(page.read_text(encoding="utf-8"))
    (rows,) = [rows for rows in every if tuple(rows[0][: len(header)]) == header]
    return rows[1:]


def names(cell: str) -> list[str]:
    """
    What a cell has in backticks.
    """
    return re.findall(r"`([^`]+)`", cell)


def options_in(text: str) -> set[str]:
    """
    The options that a text names; ``--help`` is every command's.
    """
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - {"--help"}


def anchors(text: str) -> set[str]:
    """
    What a code host makes of the headings of a page.
    """
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def sessions() -> set[str]:
    """
    The sessions that the noxfile declares.
    """
    source = (PROJECT / "noxfile.py").read_text(encoding="utf-8")
    made = r"^(\w+) = \w+_session\("
    declared = re.findall(rf"{made}|^@nox\.session.*\ndef (\w+)\(", source, re.MULTILINE)
    return {name for pair in declared for name in pair if name}


def test_the_readme_is_short() -> None:
    """
    It is for somebody with three minutes.
    """
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """
    To a file that is there, and to a heading that it has.
    """
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(PROJECT), link
        if fragment:
            assert fragment in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", [README, *DOCS], ids=of)
def test_every_path_that_is_named_exists(page: Path) -> None:
    """
    Of the project's own folders.
    """
    text = page.read_text(encoding="utf-8")
    folders = "analysis|docs|experiments|requirements|services|tests"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    assert [path for path in named if not (PROJECT / path).exists()] == []


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    """
    By a link of its own.
    """
    readme = README.read_text(encoding="utf-8")
    assert DOCS
    assert [page.name for page in DOCS if f"](docs/{page.name})" not in readme] == []


def test_every_promise_names_tests_that_exist() -> None:
    """
    In `promises.md`, each row of each table.
    """
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py")]
    known = set(re.findall(r"^def (test_\w+)\(", "\n".join(sources), re.MULTILINE))
    every = tables((PROJECT / "docs" / "promises.md").read_text(encoding="utf-8"))
    promises = [row for rows in every if "Promise" in rows[0] for row in rows[1:]]
    assert promises
    for row in promises:
        held_by = set(names(row[-1]))
        assert held_by, row
        assert held_by <= known


def test_the_answer_tables_say_what_the_reference_report_says() -> None:
    """
    Of each row's variants the report has that number, with its interval, in one line of its own.
    """
    lines = REPORT.read_text(encoding="utf-8").splitlines()
    every = tables(README.read_text(encoding="utf-8"))
    answers = [rows for rows in every if MEASURED in rows[0][-1]]
    assert answers
    for header, row in [(rows[0], row) for rows in answers for row in rows[1:]]:
        (compared,) = [cell for title, cell in zip(header, row, strict=True) if AGAINST in title]
        variants = names(compared)
        assert variants, row
        assert INTERVAL.fullmatch(row[-1]), row
        wanted = [rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in variants]
        assert any(
            row[-1] in line and all(re.search(name, line) for name in wanted) for line in lines
        ), row


@pytest.mark.parametrize("page", [README, *DOCS], ids=of)
def test_every_interval_is_the_reference_report_s(page: Path) -> None:
    """
    And so is every number in a column that is said to be of the reference run.

    The page of promises has figures of the soak instead.
    """
    if page.name == "promises.md":
        return
    report = REPORT.read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    known = set(INTERVAL.findall(report))
    assert set(INTERVAL.findall(" ".join(text.split()))) <= known
    numbers = {number.lstrip("+") for number in NUMBER.findall(report)}
    for rows in tables(text):
        columns = [column for column, title in enumerate(rows[0]) if MEASURED in title.lower()]
        cells = [row[column] for row in rows[1:] for column in columns]
        found = {number.lstrip("+") for cell in cells for number in NUMBER.findall(cell)}
        assert found <= numbers


def test_the_claims_have_the_verdicts_of_the_reference_report() -> None:
    """
    Each of the published claims, by its number.
    """
    found: dict[str, set[str]] = {}
    text = REPORT.read_text(encoding="utf-8")
    for number, verdict in re.findall(r"^\| (\d+) .*\*\*(.+)\*\*\s*\|$", text, re.MULTILINE):
        found.setdefault(verdict, set()).add(number)
    assert found
    rows = table(PROJECT / "docs" / "reviewers.md", "Verdict on the claim")
    assert {row[0]: set(row[1].split(", ")) for row in rows} == found


def test_the_readme_shows_one_figure_of_the_reference_run() -> None:
    """
    With words for those who do not see it.
    """
    shown = re.findall(r"!\[([^\]]+)\]\((\S+)\)", README.read_text(encoding="utf-8"))
    assert len(shown) == 1
    assert shown[0][1].startswith("results/reference/figures/")


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "noxfile.py"], ids=of)
def test_every_session_that_is_named_is_one(page: Path) -> None:
    """
    What a reader copies runs.
    """
    text = page.read_text(encoding="utf-8")
    commands = re.findall(r"nox -s((?: [a-z_]+)+)", text)
    assert {name for command in commands for name in command.split()} <= sessions()


def test_every_session_is_in_the_table_of_sessions() -> None:
    """
    And nothing else.
    """
    rows = table(OPTIONS, "Session", "What it does")
    assert {name for row in rows for name in names(row[0])} == sessions()
    assert len(rows) == len(sessions())


def test_every_option_that_measures_is_in_its_table() -> None:
    """
    And nothing else; with its default where the parser has one.
    """
    rows = {names(row[0])[0].split()[0]: row for row in table(OPTIONS, "Option", "Default")}
    assert set(rows) == options_in(measure_parser().format_help())
    for name, value in vars(measure_parser().parse_args([])).items():
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value:
            assert f"`{value}`" in rows[f"--{name.replace('_', '-')}"][1], name


@pytest.mark.parametrize("session", WITH_OPTIONS)
def test_every_option_of_another_session_is_in_the_other_table(
    session: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    And nothing else.
    """
    rows = table(OPTIONS, "Session", "Option")
    listed = [row for row in rows if names(row[0]) == [session]]
    command, arguments = main, [session, "--help"]
    if session in MODULES:
        command, arguments = import_module(MODULES[session]).main, ["--help"]
    with pytest.raises(SystemExit, match=r"^0$"):
        command(arguments)
    printed = capsys.readouterr().out
    assert options_in(" ".join(row[1] for row in listed)) == options_in(printed)


def test_the_other_table_has_no_other_session() -> None:
    """
    Each of its sessions is one whose options are looked at.
    """
    rows = table(OPTIONS, "Session", "Option")
    assert {name for row in rows for name in names(row[0])} == set(WITH_OPTIONS)


@pytest.mark.parametrize("page", [README, *DOCS], ids=of)
def test_every_option_in_a_command_exists(page: Path) -> None:
    """
    Where a page gives a session an option, some session has it.
    """
    known = {
        option for row in table(OPTIONS, "Option", "Default") for option in options_in(row[0])
    } | {option for row in table(OPTIONS, "Session", "Option") for option in options_in(row[1])}
    commands = re.findall(r"nox -s [^`\n;&]*", page.read_text(encoding="utf-8"))
    assert {option for command in commands for option in options_in(command)} <= known
