"""
The messages of structured logs and documents: JSON, a record a line or in one whole, and logfmt.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from analysis.audit.prefixes import ANCHOR, CHANGING_WORDS, LINES_PER_NAME, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST_RECORD = 1_000_000
"""Characters; a longer line is no record."""

LONGEST_AROUND = 1000
"""Characters around a record, which are put before each line in it."""

DEEPEST = 8
BEGINS = re.compile(r"[{\[]\s*[\"{\[]")
DOCUMENT = re.compile(r"[\s,]*(?=[{\[])")
DECODER = json.JSONDecoder(strict=False)
LOGFMT = re.compile(r'(?:^|(?<=\s))(?:msg|message|log|line|text)="')
STRING = re.compile(r'((?:[^"\\]|\\.)*)"')
ESCAPED = re.compile(r"\\(.)")
CHANGES = re.compile(rf"(?<![A-Za-z])(?:{CHANGING_WORDS})(?![A-Za-z])")


class Record(NamedTuple):
    """
    What stands around an object in its line, and the object's texts by the names of their fields.

    A line without an object is ``around``.
    """

    around: str
    texts: dict[str, str]


def messages(text: str) -> tuple[str, list[str]]:
    """
    The text with the messages alone, and what was taken off it in words.
    """
    if BEGINS.search(text) and ANCHOR.search(text):
        records = _whole(text) or list(_by_lines(text))
        held = Counter(
            name for record in records for name, each in record.texts.items() if ANCHOR.search(each)
        )
        if held:
            field = held.most_common(1)[0][0]
            return "\n".join(_of_field(records, field)), [f"JSON around the field “{field}”"]
    if '="' in text and ANCHOR.search(text):
        return "\n".join(map(_of_logfmt, text.split("\n"))), []
    return text, []


def _whole(text: str) -> list[Record]:
    """
    The records of a text that is one document, or several that follow each other.
    """
    records, begin = [], 0
    while match := DOCUMENT.match(text, begin):
        try:
            found, begin = DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return []
        records += [Record("", texts) for texts in _objects(found)]
    return [] if text[begin:].strip() else records


def _by_lines(text: str) -> Iterator[Record]:
    for line in text.split("\n"):
        begin = BEGINS.search(line) if len(line) <= LONGEST_RECORD else None
        try:
            found, end = DECODER.raw_decode(line, begin.start()) if begin else (None, 0)
        except (ValueError, RecursionError):
            begin = None
        around = f"{line[: begin.start()]}{line[end:].strip()}" if begin else ""
        if begin is None or len(around) > LONGEST_AROUND:
            yield Record(line, {})
        else:
            yield from (Record(around, texts) for texts in _objects(found))


def _objects(found: Any, depth: int = 0) -> Iterator[dict[str, str]]:  # noqa: ANN401 - of JSON
    if depth > DEEPEST:
        return
    parts = found
    if isinstance(found, dict):
        yield {key: text for key, value in found.items() if (text := _text(value)) is not None}
        parts = found.values()
    elif isinstance(found, list) and (text := _text(found)) is not None:
        yield {"values": text}
    if isinstance(found, dict | list):
        for part in parts:
            yield from _objects(part, depth + 1)


def _text(value: Any) -> str | None:  # noqa: ANN401 - of JSON
    """
    A value as text; a list may be one of lines or, in a journal, one of bytes.
    """
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and value:
        if all(isinstance(each, str) for each in value):
            return "\n".join(value)
        if all(isinstance(each, int) and each in range(256) for each in value):
            return bytes(value).decode(errors="replace")
    return None


def _of_field(records: Sequence[Record], field: str) -> Iterator[str]:
    """
    The lines of a field, with the values of other fields that tell programs apart.
    """
    having = [record.texts for record in records if field in record.texts]
    names: list[str] = []
    for name in dict.fromkeys(name for texts in having for name in texts if name != field):
        values = {texts.get(name, "") for texts in having}
        few = 1 < len(values) <= len(having) / LINES_PER_NAME
        if few and ("pid" in name.lower() or all(map(_is_name, values))):
            names.append(name)
    for around, texts in records:
        if not texts:
            yield around
        elif field in texts:
            named = [f"{name}={texts[name]}" for name in names if name in texts]
            prefix = " ".join([around.strip(), *named]).strip()
            for line in texts[field].splitlines():
                yield f"{prefix} {line}" if prefix else line


def _is_name(text: str) -> bool:
    return not CHANGES.search(text) and NAME.search(text) is not None


def _of_logfmt(line: str) -> str:
    """
    The message after all that stands around it.
    """
    begin = LOGFMT.search(line)
    if not (begin and (string := STRING.match(line, begin.end()))):
        return line
    around = f"{line[: begin.start()]}{line[string.end() :].strip()}".strip()
    return f"{around} {ESCAPED.sub(lambda sign: sign[1], string[1])}"
