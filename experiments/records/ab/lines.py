"""
The lines of a text without what terminals, mails and notes add to them.

Each addition is taken off by a step of its own; a new kind of addition is a new step.
"""

from __future__ import annotations

import re

LARGEST_LINE = 10_000
"""Longer than any line of ab, whose longest holds a URL; the rest of a line is dropped."""

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
QUOTING = " \t>|*#"
"""What mails, notes and tables put before a line."""

WHOLE_ENDINGS = (")", "seconds", "bytes", "received", ".")
"""A last line that ends so is whole although no line end follows."""


def clean_lines(text: str) -> list[str]:
    """
    The lines that hold something; a last one that may be cut within a number is dropped.
    """
    lines = without_escapes(text).splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r", *WHOLE_ENDINGS)):
        lines.pop()
    cleaned = (printable(line[:LARGEST_LINE]).strip().lstrip(QUOTING) for line in lines)
    return [line for line in cleaned if line]


def without_escapes(text: str) -> str:
    """
    The text without colours and other control sequences of a terminal, and without NUL.
    """
    return ESCAPES.sub("", text.replace("\0", ""))


def printable(text: str) -> str:
    """
    The text with a space for each kind of white space and ? for each control character.
    """
    if text.isprintable():
        return text
    return "".join(
        " " if letter.isspace() else letter if letter.isprintable() else "?" for letter in text
    )
