"""
Numbers as they were printed: each stands for all the values that would have been printed so.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

SLACK = 1e-9
"""What binary fractions may be off by, relatively; far below any printed digit."""

LARGEST_DIGITS = 15
"""More digits than a float has are no reading of anything."""

PLAIN = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?")
GROUPED = re.compile(r"([0-9]{1,3}([.,])[0-9]{3}(?:\2[0-9]{3})*)(?:(?!\2)[.,]([0-9]+))?")
TOKEN = re.compile(r"\s*([+-]?\w[\w.,+-]*)")


@dataclass(frozen=True)
class Range:
    """
    The values of zero and more that a quantity may have.
    """

    low: float
    high: float

    def __mul__(self, other: Range | float) -> Range:
        """
        Every product.
        """
        factor = other if isinstance(other, Range) else Range(other, other)
        # Zero times anything is zero here, also when nothing is known of the other.
        high = self.high * factor.high if self.high and factor.high else 0.0
        return Range(self.low * factor.low, high)

    def __truediv__(self, other: Range | float) -> Range:
        """
        Every quotient; without an upper limit where the divisor may be zero.
        """
        divisor = other if isinstance(other, Range) else Range(other, other)
        low = self.low / divisor.high if divisor.high else 0.0
        return Range(low, self.high / divisor.low if divisor.low else math.inf)

    def __add__(self, other: Range) -> Range:
        """
        Every sum.
        """
        return Range(self.low + other.low, self.high + other.high)

    def overlaps(self, other: Range) -> bool:
        """
        Whether both may be one and the same value.
        """
        return self.low <= other.high * (1 + SLACK) and other.low <= self.high * (1 + SLACK)

    def __str__(self) -> str:
        """
        As text, with as many digits as tell the limits apart.
        """
        if self.high == math.inf:
            return f"at least {self.low:.6g}"
        if self.high - self.low <= SLACK * self.high:
            return f"{self.low:.10g}"
        return f"{self.low:.6g} to {self.high:.6g}"


class Printed(NamedTuple):
    """
    A number with half a unit of its last printed place.
    """

    value: float
    half_unit: float

    @property
    def range(self) -> Range:
        """
        What may have been printed so.
        """
        return Range(max(0.0, self.value - self.half_unit), self.value + self.half_unit)

    def same(self, other: Printed) -> bool:
        """
        Whether one and the same value, rounded in the same way, may have been printed as both.
        """
        apart = abs(self.value - other.value)
        return apart < max(self.half_unit, other.half_unit) or self.value == other.value


def read_decimal(text: str) -> Printed | None:
    """
    The number that the text begins with; None for one that is no amount (nan, inf, below zero).

    A comma is taken for the point that it is in many languages, except before a point.
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
    The whole number that the text begins with, thousands set off or not; None for any other.
    """
    token = TOKEN.match(text)
    if token is None:
        return None
    grouped = GROUPED.fullmatch(token[1])
    digits = re.sub(r"[.,]", "", token[1]) if grouped and not grouped[3] else token[1]
    if not re.fullmatch(rf"[0-9]{{1,{LARGEST_DIGITS}}}", digits):
        return None
    return int(digits)
