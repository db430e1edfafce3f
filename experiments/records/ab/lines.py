"""
The lines of a text of ab.
"""

from __future__ import annotations

LARGEST_LINE = 10_000
"""Longer than any line of ab, whose longest holds a URL; the rest of a line is dropped."""

WHOLE_ENDINGS = (")", "seconds", "bytes", "received", ".", "requests", "completed", "done")
"""A last line that ends so is whole although no line end follows."""

AFTER_LINES = " \t|*`\"',"
"""What texts put after a line; ab puts nothing there."""


def clean_lines(text: str) -> list[str]:
    """
    The lines that hold something; a last one that may be cut within a number is dropped.
    """
    lines = (printable(line[:LARGEST_LINE]).strip() for line in whole_lines(text).splitlines())
    return [line for line in lines if line]


def whole_lines(text: str) -> str:
    """
    The text without a last line that may be cut within a number.
    """
    start = max(text.rfind("\n"), text.rfind("\r")) + 1
    return text if text.rstrip(AFTER_LINES).endswith(WHOLE_ENDINGS) else text[:start]


def printable(text: str) -> str:
    """
    The text with a space for each kind of white space and ? for each control character.
    """
    if text.isprintable():
        return text
    return "".join(
        " " if letter.isspace() else letter if letter.isprintable() else "?" for letter in text
    )
