"""
Numbers as people rewrite them, as ab prints them; or refused, where they may be other numbers.
"""

from __future__ import annotations

import re

THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9]|[.,][0-9])")
"""Thousands, or a decimal comma before three digits: of what ab prints in another way."""

MARKS = "'_\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}\N{ACUTE ACCENT}\N{PRIME}"
SEPARATED = re.compile(rf"[1-9][0-9]{{0,2}}([ {MARKS}])[0-9]{{3}}(?:\1[0-9]{{3}})*(?![0-9])")

TWO_DECIMALS = {"Requests per second", "Transfer rate"}
ROUNDED = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}(?![0-9.,])")
"""Of what ab prints with two decimals, either thousands or three decimals."""

SCALED = r"(?:[kKMGT](?:i?[bB])?|thousand|million|Mio\.?|Tsd\.?)(?![\w/])"
OTHER_UNITS = {
    "Time taken for tests": rf"(?:{SCALED}|\[?(?:ms|µs|μs|us|m|min|minutes?|h|hours?)\b)",
    "Transfer rate": r"\[?(?:[MG]i?[bB]|[bB](?:ytes)?\b|[kKMG]i?bit)",
    "Time per request": rf"(?:{SCALED}|\[?(?:s|sec|seconds?|µs|μs|us|m|min|minutes?)\b)",
}
"""Units that make another number of it."""

REFUSED = "? "
"""Before a value that is not read."""


def whole_number(text: str) -> str:
    """
    The text that begins with a whole number, without separators of thousands.
    """
    match = THOUSANDS.match(text) or SEPARATED.match(text)
    return re.sub(r"[^0-9]", "", match[0]) + text[match.end() :] if match else text


def value_of(label: str, text: str) -> str:
    """
    The number after a label.
    """
    match = SEPARATED.match(text)
    if match or label in TWO_DECIMALS:
        text = whole_number(text)
    unit = OTHER_UNITS.get(label, SCALED)
    refused = label in TWO_DECIMALS and ROUNDED.match(text)
    return f"{REFUSED}{text}" if refused or re.match(rf"[0-9.,]+ ?{unit}", text) else text


def in_cells(line: str) -> str:
    """
    A line of whole numbers, each between spaces or signs, without separators of thousands.
    """
    line = re.sub(rf"(?<=[0-9])[{MARKS}](?=[0-9]{{3}}(?![0-9]))", "", line)
    return re.sub(rf"(?<![0-9.,]){THOUSANDS.pattern}", lambda each: each[0].replace(",", ""), line)
