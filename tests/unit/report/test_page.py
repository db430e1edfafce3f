"""
The report's page: whole by itself, safe to open, and the same bytes every time.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import unquote

import pytest

from analysis.folders import PAGE_SUFFIX, REFERENCE, REPORT, RESULTS
from analysis.formatting import table
from analysis.report.page import STYLE, page

COMMITTED = (RESULTS / REFERENCE / REPORT).with_suffix(PAGE_SUFFIX)
MOST_BYTES = 2_000_000

SVG = (
    '<?xml version="1.0"?>\n<svg width="72pt" height="36.5pt" viewBox="0 0 72 36.5">'
    '<g id="one"/><!-- 100 % & "more" #1 --></svg>\n'
)
FIGURE = (
    '![What is *seen*, in "words"](figures/one.svg)\n\n'
    "*Title.* How to read it. [Data](figures/one.csv)."
)


class Elements(HTMLParser):
    """
    All start tags of a page, with their attributes, and the text of every element by its tag.
    """

    def __init__(self, html: str) -> None:
        """
        Read the page.
        """
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Keep it.
        """
        self.tags.append((tag, dict(attrs)))

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        """
        The attributes of the elements with one of these tags.
        """
        return [attributes for tag, attributes in self.tags if tag in tags]


def report_of(html: str) -> str:
    """
    The part of a page that is made of the Markdown.
    """
    return html.partition('<main id="report">')[2].partition("</main>")[0]


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        '<img src="x" onerror="alert(1)">',
        "</main></body><iframe src='http://198.18.0.1/'></iframe>",
        "<!-- hidden",
        "a < b & c > d | e",
    ],
)
def test_what_a_program_printed_is_shown_as_it_is(attack: str) -> None:
    """
    In a cell, in a sentence, in a heading and in code: as text, and never as an element.
    """
    cell = table(["Trial", "Reason"], [["1", attack]])
    markdown = (
        f"# {attack}\n\n## {attack}\n\nIt said {attack} and\n\n{attack}\n\n{cell}\n\n`{attack}`"
    )
    html = page(markdown, {})
    tags = {tag for tag, _ in Elements(html).tags}
    assert not tags & {"img", "iframe"}
    assert len(Elements(html).of("script")) == 1
    shown = attack.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert report_of(html).replace("&quot;", '"').count(shown.replace("&quot;", '"')) == 6


@pytest.mark.parametrize("target", ["javascript:alert(1)", "data:text/html,<script>1</script>"])
def test_a_link_runs_nothing(target: str) -> None:
    """
    Neither by its scheme.
    """
    html = page(f"[here]({target}) ![there]({target})", {})
    assert all(not str(each["href"]).startswith(target[:5]) for each in Elements(html).of("a"))


def test_it_loads_nothing() -> None:
    """
    Whatever is shown is in the page, and the browser is told to fetch and to run nothing else.
    """
    html = COMMITTED.read_text(encoding="utf-8")
    elements = Elements(html)
    assert not elements.of("link", "iframe", "object", "embed", "source", "base", "form", "video")
    assert all(str(each["src"]).startswith("data:") for each in elements.of("img"))
    assert [each for _, each in elements.tags if "style" in each] == []
    assert elements.of("script") == [{}]
    assert "@import" not in html
    assert "url(" not in STYLE.read_text(encoding="utf-8")
    (policy,) = (each["content"] for each in elements.of("meta") if "http-equiv" in each)
    assert str(policy).startswith("default-src 'none'; img-src data:; ")


def test_a_drawing_is_in_the_page_with_its_words_and_its_size() -> None:
    """
    To the byte, as an image of its own: identifiers in two drawings cannot meet.
    """
    html = page(f"{FIGURE}\n\n{FIGURE}", {"figures/one.svg": SVG})
    first, second = Elements(html).of("img")
    assert first == second
    assert first["alt"] == 'What is seen, in "words"'
    assert (first["width"], first["height"]) == ("96", "49")
    source = str(first["src"])
    assert not re.search(r"[\n\"<>#&]", source)
    assert unquote(source.removeprefix("data:image/svg+xml,")) == SVG
    assert 'id="one"' not in html
    assert html.count("<figcaption><em>Title.</em> How to read it.") == 2
    assert '<a href="figures/one.csv">Data</a>' in html


def test_an_image_that_is_no_drawing_is_a_link() -> None:
    """
    It is not in the run, so it is not in the page, and nothing asks a server for it.
    """
    html = page("![a dot](http://198.18.0.1/dot.png)\n\n![](other.svg)", {"figures/one.svg": SVG})
    assert not Elements(html).of("img")
    assert '<p><a href="http://198.18.0.1/dot.png">a dot</a></p>' in html
    assert '<a href="other.svg">other.svg</a>' in html


def test_every_heading_has_an_anchor_of_its_own() -> None:
    """
    Also of two with the same words, of one without a word, and of the page's own name.
    """
    names = ["Report", "Same", "Same-1", "Same", "…", "Über `µs` & more"]
    html = page("# Top\n\n" + "\n\n".join(f"## {name}" for name in names), {})
    identifiers = [each["id"] for _, each in Elements(html).tags if "id" in each]
    assert len(set(identifiers)) == len(identifiers) == len(names) + 2
    assert identifiers[2:5] == ["report-1", "same", "same-1"]
    links = [each["href"] for each in Elements(html).of("a")]
    assert [unquote(str(link))[1:] for link in links[1:]] == identifiers[2:]
    assert ">Über µs &amp; more</a>" in html


def test_contents_are_sections_and_their_parts() -> None:
    """
    In the order of the page, the parts below their sections.
    """
    html = page("# Top\n\n## A\n\n### A one\n\n### A two\n\n## B\n", {})
    contents = html.partition("</summary>")[2].partition("</details>")[0]
    bare = re.sub(r"</?a\b[^>]*>|\s", "", contents)
    parts = "<ol><li>Aone</li><li>Atwo</li></ol>"
    assert bare == f"<ol><li>A{parts}</li><li>B</li></ol>"
    assert "<title>Top</title>" in html


def test_columns_of_numbers_are_told_from_others() -> None:
    """
    By their cells: numbers with their intervals, and words where there is no number.
    """
    headers = ["Metric", "Difference", "p", "Empty", "Verdict", "Value", "Memory"]
    rows = [
        [
            "mean",
            "+26.9 % [+23.8, +30.0]",
            "< 0.001",
            "–",
            "cannot tell",
            "7, by a pilot: " * 9,
            "4",
        ],
        ["p99", "not comparable", "0.991", "", "slower", "50", "unlimited"],
    ]
    html = page(table(headers, rows), {})
    kinds = [each["class"] for each in Elements(html).of("th") if each.get("scope") == "col"]
    assert kinds == ["word", "number", "number", "word", "word", "prose", "number"]
    assert html.count('<th scope="row" class="word">') == 2
    assert "text-align:left" not in report_of(html)


def test_a_long_table_scrolls_below_its_header() -> None:
    """
    A short one only sideways.
    """
    for rows, frame in ((20, '<div class="table">'), (21, '<div class="table long">')):
        assert frame in page(table(["A"], [["1"]] * rows), {})


def test_the_same_report_gives_the_same_bytes() -> None:
    """
    And no more of them than a repository carries easily.
    """
    markdown = (RESULTS / REFERENCE / REPORT).read_text(encoding="utf-8")
    drawings = {
        f"figures/{path.name}": path.read_text(encoding="utf-8")
        for path in COMMITTED.parent.glob("figures/*.svg")
    }
    html = page(markdown, drawings)
    assert html == page(markdown, dict(reversed(drawings.items())))
    assert html.encode() == COMMITTED.read_bytes()
    assert len(html.encode()) < MOST_BYTES


def test_headings_descend_one_level_at_a_time() -> None:
    """
    From one title, so that a reader by ear can move by them; in a page that names its language.
    """
    elements = Elements(COMMITTED.read_text(encoding="utf-8"))
    levels = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert elements.of("html") == [{"lang": "en"}]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    """
    By 4.5 to 1 or more, as WCAG 2.2 asks (success criterion 1.4.3), on every ground it has.
    """
    light, _, dark = STYLE.read_text(encoding="utf-8").partition("prefers-color-scheme: dark")
    colours = dict(re.findall(r"--(\w+): (#\w{6});", light.partition("}")[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--(\w+): (#\w{6});", dark.partition("}")[0]))
    for ground in ("paper", "raised"):
        for ink in ("ink", "muted", "link"):
            assert contrast(colours[ink], colours[ground]) >= 4.5
    assert contrast(colours["link"], colours["current"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """
    The ratio of two colours' luminances, as WCAG 2.2 defines it.
    """
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """
    Of a colour such as "#1a1a1a", from 0 to 1.
    """
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
