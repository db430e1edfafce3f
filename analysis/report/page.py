"""
Rendering ``report.html``: one page that holds all that it shows, and loads nothing.

It is made from the Markdown of ``report.md``. Raw HTML in that is shown as text. Each drawing is
an image inside the page, so that identifiers in two drawings cannot collide. A policy in the page
forbids the browser to load anything and to run another script than the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.token import Token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEMPLATE, STYLE, SCRIPT = (
    Path(__file__).with_name(name) for name in ("page.html", "page.css", "page.js")
)

MAIN = "report"
"""The identifier of the report itself in page.html, which no heading gets."""

DATA_URI = "data:image/svg+xml,"
PLAIN = " !'()*,/:;=?@[]{}|+$"
"""Characters that stand for themselves in a data URI between double quotes."""

SIZE = re.compile(r"<svg\b[^>]*?\swidth=\"([\d.]+)pt\"\s+height=\"([\d.]+)pt\"")
PIXELS_PER_POINT = 96 / 72

NUMBER = re.compile(r"[<>]?\s*[-+±\u2212]?\d")
NOTHING = {"", "–"}
LONGEST_NUMBER = 45
"""Characters of a number with its interval, its unit and a note; a longer cell is prose."""

LONG_TEXT = 24
PROSE = 70
"""Characters of texts that would make high columns of single words if they were squeezed."""

LONG_TABLE = 20
"""A table of more rows scrolls below its header."""

Heading = tuple[str, str, str]
"""Level, identifier and text."""


def page(markdown: str, drawings: Mapping[str, str]) -> str:
    """
    The whole page, the same to the byte for the same input.

    ``drawings`` holds the SVG of each drawing, by its path as it stands in the Markdown. Every
    other image becomes a link: an error text of a trial, for one, may hold such a thing.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    headings = _anchor(tokens)
    for token in tokens:
        _put_drawings(token, drawings)
    _mark_tables(tokens)
    report = parser.renderer.render(_framed(tokens), parser.options, {})
    script = SCRIPT.read_text(encoding="utf-8")
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        policy=escape(_policy(script)),
        title=next((escape(text) for level, _, text in headings if level == "h1"), "Report"),
        style=STYLE.read_text(encoding="utf-8"),
        contents=_contents(headings),
        report=report,
        script=script,
    )


def _policy(script: str) -> str:
    """
    A content security policy under which nothing is loaded, and no script runs but this one.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _anchor(tokens: Sequence[Token]) -> list[Heading]:
    """
    Give every heading an identifier of its own, in GitHub's way; the headings.
    """
    taken = {MAIN}
    headings = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            text = _text(tokens[at + 1])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") or "section"
            name, repetition = slug, 0
            while name in taken:
                repetition += 1
                name = f"{slug}-{repetition}"
            taken.add(name)
            token.attrSet("id", name)
            headings.append((token.tag, name, text))
    return headings


def _text(inline: Token) -> str:
    """
    What inline Markdown says, without its markup.
    """
    breaks = {"softbreak": " ", "hardbreak": " "}
    children = inline.children or []
    return "".join(breaks.get(child.type, child.content) for child in children).strip()


def _contents(headings: Sequence[Heading]) -> str:
    """
    Links to the sections, and below each to its parts.
    """
    sections: list[tuple[str, list[str]]] = []
    for level, name, text in headings:
        link = f'<a href="#{quote(name)}">{escape(text)}</a>'
        if level == "h2":
            sections.append((link, []))
        elif level == "h3" and sections:
            sections[-1][1].append(f"<li>{link}</li>")
    items = [
        "\n".join([f"<li>{link}", "<ol>", *parts, "</ol>", "</li>"])
        if parts
        else f"<li>{link}</li>"
        for link, parts in sections
    ]
    return "\n".join(["<ol>", *items, "</ol>"])


def _put_drawings(inline: Token, drawings: Mapping[str, str]) -> None:
    """
    Put the drawings themselves in place of the references to them.
    """
    children = inline.children or []
    for at, child in enumerate(children):
        if child.type == "image":
            source = str(child.attrs["src"])
            words = escape(_text(child))
            if source in drawings:
                html = _image(drawings[source], words)
            else:
                html = f'<a href="{escape(source)}">{words or escape(source)}</a>'
            children[at] = Token("html_inline", "", 0, content=html)
            children[at].meta["drawing"] = source in drawings


def _image(svg: str, words: str) -> str:
    """
    A drawing as an image that holds its own bytes, and whose place is kept before it is decoded.
    """
    size = SIZE.search(svg)
    place = ""
    if size:
        width, height = (round(float(points) * PIXELS_PER_POINT) for points in size.groups())
        place = f' width="{width}" height="{height}"'
    return f'<img alt="{words}"{place} src="{DATA_URI}{quote(svg, safe=PLAIN)}">'


def _mark_tables(tokens: Sequence[Token]) -> None:
    """
    Mark the columns of numbers and of longer texts, and the first cell of each row as its header.
    """
    columns: dict[int, list[tuple[Token, str]]] = defaultdict(list)
    column = 0
    for at, token in enumerate(tokens):
        if token.type == "tr_open":
            column = 0
        elif token.type in {"th_open", "td_open"}:
            # What is left at the left is so by default, and no number is.
            token.attrs.clear()
            if token.type == "th_open":
                token.attrSet("scope", "col")
            elif column == 0:
                token.attrSet("scope", "row")
                token.tag = tokens[at + 2].tag = "th"
            columns[column].append((token, _text(tokens[at + 1])))
            column += 1
        elif token.type == "table_close":
            for cells in columns.values():
                kind = _kind([text for _, text in cells[1:] if text not in NOTHING])
                for cell, _ in cells:
                    cell.attrSet("class", kind)
            columns.clear()


def _kind(texts: Sequence[str]) -> str:
    """
    The class of a column with these texts: numbers (half of them or more), or how long they are.
    """
    longest = max(map(len, texts), default=0)
    numbers = sum(NUMBER.match(text) is not None for text in texts)
    if numbers and 2 * numbers >= len(texts) and longest <= LONGEST_NUMBER:
        return "number"
    if longest > PROSE:
        return "prose"
    return "text" if longest > LONG_TEXT else "word"


def _framed(tokens: Sequence[Token]) -> list[Token]:
    """
    The same tokens with frames: tables and drawings scroll in theirs, and the page never does.
    """
    framed = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type == "table_open":
            rows = _rows(tokens, at)
            framed += [_html(f'<div class="table{" long" * (rows > LONG_TABLE)}">\n'), token]
        elif token.type == "table_close":
            framed += [token, _html("</div>\n")]
        elif _is_drawing(tokens, at):
            framed += [_html('<figure>\n<div class="drawing">'), tokens[at + 1], _html("</div>\n")]
            at += 3
            if _is_caption(tokens, at):
                framed += [_html("<figcaption>"), tokens[at + 1], _html("</figcaption>\n")]
                at += 3
            framed.append(_html("</figure>\n"))
            continue
        else:
            framed.append(token)
        at += 1
    return framed


def _html(content: str) -> Token:
    return Token("html_block", "", 0, content=content)


def _rows(tokens: Sequence[Token], at: int) -> int:
    """
    How many rows the table has that opens there.
    """
    count = 0
    for token in tokens[at:]:
        if token.type == "table_close":
            break
        count += token.type == "tr_open"
    # One of them is the header.
    return count - 1


def _is_drawing(tokens: Sequence[Token], at: int) -> bool:
    """
    Whether a paragraph begins there that holds a drawing and nothing else.
    """
    if tokens[at].type != "paragraph_open":
        return False
    children = tokens[at + 1].children or []
    return len(children) == 1 and bool(children[0].meta.get("drawing"))


def _is_caption(tokens: Sequence[Token], at: int) -> bool:
    """
    Whether a paragraph begins there that opens with a title in italics, as captions do.
    """
    if at >= len(tokens) or tokens[at].type != "paragraph_open":
        return False
    said = [child for child in tokens[at + 1].children or [] if child.content or child.nesting]
    return bool(said) and said[0].type == "em_open"
