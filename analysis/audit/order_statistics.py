"""
The sorted times of all requests, as far as ab's text tells them: some places with their times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analysis.audit.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Levels:
    """
    Times in ms at known places among ``requests`` sorted times; places count from zero.

    A time between two places lies between theirs.
    """

    requests: int
    known: Sequence[tuple[int, Range]]

    def least(self, begin: int, end: int, of: Callable[[float], float] = float) -> float:
        """
        The least sum of the times at the places from ``begin`` to before ``end``, each ``of`` it.
        """
        steps = [(0, 0.0), *((place, time.low) for place, time in self.known)]
        ends = [*(place for place, _ in steps[1:]), self.requests]
        return sum(
            _overlap(begin, end, place, following) * of(low)
            for (place, low), following in zip(steps, ends, strict=True)
        )

    def most(self, begin: int, end: int, of: Callable[[float], float] = float) -> float:
        """
        The greatest such sum; without a limit if the longest time is unknown.
        """
        steps = [(-1, Range(0, 0)), *self.known, (self.requests - 1, Range(0, math.inf))]
        parts = (
            (_overlap(begin, end, before + 1, place + 1), time.high)
            for (before, _), (place, time) in pairwise(steps)
        )
        return sum(count * of(high) for count, high in parts if count)


def _overlap(begin: int, end: int, first: int, last: int) -> int:
    return max(0, min(end, last) - max(begin, first))
