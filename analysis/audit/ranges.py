"""
Arithmetic with rounded numbers: each stands for every value that would be printed as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.records.ab.numbers import Printed

SLACK = 1e-9
"""Relative error of binary fractions; far below any printed digit."""


@dataclass(frozen=True)
class Range:
    """
    The values, zero or more, that a quantity may have.
    """

    low: float
    high: float

    @classmethod
    def of(cls, number: Printed | float) -> Range:
        """
        The values that a printed number stands for; an exact number stands for itself.
        """
        if isinstance(number, int | float):
            return cls(number, number)
        return cls(max(0.0, number.value - number.half_unit), number.value + number.half_unit)

    def __mul__(self, other: Range | float) -> Range:
        """
        Every product.
        """
        factor = other if isinstance(other, Range) else Range.of(other)
        # Zero times anything is zero here, even if the other has no upper limit.
        high = self.high * factor.high if self.high and factor.high else 0.0
        return Range(self.low * factor.low, high)

    def __truediv__(self, other: Range | float) -> Range:
        """
        Every quotient; without an upper limit if the divisor may be zero.
        """
        divisor = other if isinstance(other, Range) else Range.of(other)
        low = self.low / divisor.high if divisor.high else 0.0
        return Range(low, self.high / divisor.low if divisor.low else math.inf)

    def __add__(self, other: Range) -> Range:
        """
        Every sum.
        """
        return Range(self.low + other.low, self.high + other.high)

    def widened(self, relative_error: float) -> Range:
        """
        The values that a computation with this relative error may make of these.
        """
        return Range(self.low * (1 - relative_error), self.high * (1 + relative_error))

    def overlaps(self, other: Range) -> bool:
        """
        Whether both may be one value.
        """
        return self.low <= other.high * (1 + SLACK) and other.low <= self.high * (1 + SLACK)

    def __str__(self) -> str:
        """
        The limits, with enough digits to tell them apart.
        """
        if self.high == math.inf:
            return f"at least {plain(self.low)}"
        if self.high - self.low <= SLACK * self.high:
            return plain(self.low)
        decimals = max(0, 1 - math.floor(math.log10(self.high - self.low)))
        return f"{plain(self.low, decimals)} to {plain(self.high, decimals)}"


def plain(number: float, decimals: int = 6) -> str:
    """
    A number as people write it: never with an exponent, nor with zeros at its end.
    """
    digits = f"{number:.{decimals}f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def same(one: Printed, other: Printed) -> bool:
    """
    Whether one value, rounded in the same way, may have been printed as both numbers.
    """
    apart = abs(one.value - other.value)
    return apart < max(one.half_unit, other.half_unit) or one.value == other.value
