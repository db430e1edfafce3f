"""
Numbers as ab prints them: each with the rounding that its digits imply.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LARGEST_DIGITS = 15
"""A float holds no more digits."""

PLAIN = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?")
GROUPED = re.compile(r"([0-9]{1,3}([.,])[0-9]{3}(?:\2[0-9]{3})*)(?:(?!\2)[.,]([0-9]+))?")
TOKEN = re.compile(r"\s*([+-]?\w[\w.,+-]*+)(?!\W?[0-9]|\s+[0-9]+(?![0-9:]))")
"""
The first word, unless digits go on after a sign, or a number but a time follows.

ab separates no thousands, and prints one number after a label.
"""


class Printed(NamedTuple):
    """
    A number with half a unit of its last printed digit.
    """

    value: float
    half_unit: float

    @property
    def relative_error(self) -> float:
        """
        The largest error of rounding as a part of the value, which is not zero.
        """
        return self.half_unit / self.value


def read_decimal(text: str) -> Printed | None:
    """
    The number that the text begins with; None if it is negative, not finite, or no number.

    A single comma is a decimal comma, except before a point.
    """
    token = TOKEN.match(text)
    if token is None:
        return None
    digits = token[1]
    if plain := PLAIN.fullmatch(digits):
        whole, fraction = plain[1], plain[2] or ""
    elif (grouped := GROUPED.fullmatch(digits)) and grouped[3]:
        whole, fraction = re.sub(r"[.,]", "", grouped[1]), grouped[3]
    else:
        return None
    if len(whole) + len(fraction) > LARGEST_DIGITS:
        return None
    return Printed(float(f"{whole}.{fraction or 0}"), 0.5 * 10.0 ** -len(fraction))


def read_count(text: str) -> int | None:
    """
    The whole number that the text begins with, with or without separators of thousands, or None.
    """
    token = TOKEN.match(text)
    if token is None:
        return None
    grouped = GROUPED.fullmatch(token[1])
    digits = re.sub(r"[.,]", "", token[1]) if grouped and not grouped[3] else token[1]
    if not re.fullmatch(rf"[0-9]{{1,{LARGEST_DIGITS}}}", digits):
        return None
    return int(digits)
