"""
Changes of valid data: where a format has structure, they leave it intact around what they change.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

MOST_CHANGES = 3

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 100, 101, 2**31, 2**53, 2**53 + 1, 2**63, -(2**70)),
    *(0.0, -0.0, 1e-300, 1e-9, 0.5, 1e15, 1e300, math.nan, math.inf, -math.inf),
    *("", " ", "0", "1.5", "netns", "docker", "container", "bridge", "host", "unlimited"),
    *("\x00", "\x1b[2J", "a|b`\n", "../..", "/", "é", "\ud800", "\u202e", "x" * 300, "9" * 400),
    *("10m0s", "1.2.3.4", "198.18.0.11", "198.18.0.0/15", "::1", "=", "-", "%s", "{}"),
    *([], {}, [[]], [None], [""], {"": ""}, ["netns", "netns"], [1, "x"], {"x": {"x": []}}),
)
"""Values at the edges of what types and checks allow."""

WORDS = (
    *('"x"', '""', "0", "-1", "1", "1.5", "nan", "inf", "1e999", "true", "[]", "{}", "[[]]", "[1]"),
    *('["netns"]', "{a = 1}", "1979-05-27", "07:32:00", "'''", '"""', "[", "]", "[x]", "[[x]]"),
    *("9" * 15, "9" * 5000, "0.000", "1,5", "1.000,5", "٣", "x", "-", ":", "=", "\\u0000", "100%"),
)
"""Words at the edges of what a text's grammar allows."""

TOKEN = re.compile(r'"[^"\n]*"|[\w.+-]+|[^\w\s]')


def mutated(data: bytes, random: Random, most_changes: int = MOST_CHANGES) -> bytes:
    """
    The data with one or more changes: in JSON or JSON lines of values, else of lines and words.
    """
    text = data.decode(errors="replace")
    for _ in range(random.randint(1, most_changes)):
        text = _changed(text, random)
    return text.encode(errors="surrogatepass")


def _changed(text: str, random: Random) -> str:
    if (document := _json(text)) is not None:
        return json.dumps(_changed_json(document, random))
    lines = text.split("\n")
    number = random.randrange(len(lines))
    if (document := _json(lines[number])) is not None:
        lines[number] = json.dumps(_changed_json(document, random))
    else:
        _change_lines(lines, number, random)
    return "\n".join(lines)


def _json(text: str) -> Any:  # noqa: ANN401 - JSON
    """
    The value of JSON; None for other text.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _changed_json(document: Any, random: Random) -> Any:  # noqa: ANN401 - JSON
    places = list(_places(document))
    if not places:
        return random.choice(VALUES)
    inner, last = random.choice(places)
    what = random.choice(["value", "value", "value", "near", "copy", "remove", "add"])
    if what == "value":
        inner[last] = random.choice(VALUES)
    elif what == "near":
        inner[last] = _near(inner[last], random)
    elif what == "copy":
        other, name = random.choice(places)
        # A copy, so that nothing contains itself.
        inner[last] = json.loads(json.dumps(other[name]))
    elif what == "remove":
        del inner[last]
    elif isinstance(inner, dict):
        inner[random.choice(["", "x", "mine", "0", *map(str, inner)]) + "x"] = random.choice(VALUES)
    else:
        inner.append(random.choice(VALUES))
    return document


def _near(value: Any, random: Random) -> Any:  # noqa: ANN401 - JSON
    """
    Something of the same type, where that is easy.
    """
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float) and math.isfinite(value):
        return random.choice([value + 1, value - 1, -value, value * 2, value / 3])
    if isinstance(value, str):
        return random.choice([value[:-1], value[1:], value + "x", value.upper(), value * 2])
    if isinstance(value, list):
        return random.choice([value * 2, value[:1], value[::-1], value[1:]])
    return [value]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    """
    Every entry of the tables and lists in a JSON value: what contains it, and its key there.
    """
    entries = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, each in entries:
        yield value, key
        yield from _places(each)


def _change_lines(lines: list[str], number: int, random: Random) -> None:
    what = random.choice(["word", "word", "word", "remove", "repeat", "move", "cut"])
    line = lines[number]
    if what == "word":
        words = list(TOKEN.finditer(line))
        at = random.choice(words).span() if words else (0, len(line))
        lines[number] = f"{line[: at[0]]}{random.choice(WORDS)}{line[at[1] :]}"
    elif what == "remove":
        del lines[number]
    elif what == "repeat":
        lines.insert(random.randrange(len(lines)), line)
    elif what == "move":
        lines.insert(random.randrange(len(lines)), lines.pop(number))
    else:
        lines[number] = line[: random.randint(0, len(line))]
    lines[:] = lines or [""]
