"""
When a run has enough blocks: by the width of its intervals, and never by what they say.

Stopping as soon as a difference is significant would find one far too often; the width of an
interval knows nothing of the difference. It is not quite for nothing: a run that ends because its
spread looks small has intervals that miss the truth about six times in a hundred and not five.
The intervals here are the report's: Student's t on the log-ratios of the time per request, one for
each block.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.records import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records import TrialRecord

T_QUANTILES = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060),
    *(2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199),
    *(2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639),
    *(2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
"""
The 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom, to four decimals.

The lab has no library of statistics, which would be larger than the rest of the userland's
packages. For more degrees of freedom the last one is taken, which is wider by 4 % at most.
"""

MOST_BLOCKS = 9999
"""As many blocks as are ever said to be needed; also where nobody can know."""


@dataclass(frozen=True)
class Width:
    """
    What is known so far of one comparison: relative difference, its limits, and the half-width.

    The half-width is of the logarithm's interval, which for small differences is the relative one;
    it and the limits are None for fewer than two blocks.
    """

    blocks: int
    relative: float
    low: float | None = None
    high: float | None = None
    half_width: float | None = None


class Widths:
    """
    The intervals of a run so far, from its trials as they end.
    """

    def __init__(self) -> None:
        """
        Nothing is known before the first trial.
        """
        self._log_us: dict[str, dict[int, float]] = defaultdict(dict)

    def add(self, record: TrialRecord) -> None:
        """
        Take a trial in; one without a result says nothing.
        """
        if record.status == OK and record.load is not None:
            self._log_us[record.variant][record.block] = -math.log(record.load.requests_per_second)

    def of(self, baseline: str, treatment: str) -> Width | None:
        """
        What is known of a pair; None when no block has both.
        """
        before, after = self._log_us[baseline], self._log_us[treatment]
        logs = [after[block] - before[block] for block in before.keys() & after.keys()]
        if not logs:
            return None
        mean = statistics.fmean(logs)
        if len(logs) < 2:
            return Width(len(logs), math.expm1(mean))
        quantile = T_QUANTILES[min(len(logs) - 1, len(T_QUANTILES)) - 1]
        half = quantile * statistics.stdev(logs) / math.sqrt(len(logs))
        return Width(
            len(logs), math.expm1(mean), math.expm1(mean - half), math.expm1(mean + half), half
        )


@dataclass(frozen=True)
class Rule:
    """
    A run has at least ``blocks`` blocks, and then goes on until every pair is known well enough.

    That is when the half-width of each of ``focal`` (baseline and treatment) is ``half_width`` or
    less; without a half-width it ends after its blocks.
    """

    blocks: int
    half_width: float | None
    focal: Sequence[tuple[str, str]]

    def is_enough(self, begun: int, widths: Widths) -> bool:
        """
        Whether so many blocks are enough.
        """
        if begun < self.blocks or self.half_width is None:
            return begun >= self.blocks
        known = [widths.of(*pair) for pair in self.focal]
        return all(
            width is not None
            and width.half_width is not None
            and width.half_width <= self.half_width
            for width in known
        )

    def expected_blocks(self, begun: int, widths: Widths) -> int:
        """
        About how many blocks the run will have: an interval shrinks with the root of their number.
        """
        if self.half_width is None or self.is_enough(begun, widths):
            return max(begun, self.blocks)
        widest = self.widest(widths)
        if widest is None:
            return MOST_BLOCKS
        more = math.ceil(begun * (widest[1] / self.half_width) ** 2)
        return min(max(self.blocks, begun + 1, more), MOST_BLOCKS)

    def standing(self, widths: Widths) -> str:
        """
        The focal pair that is known least well, and how well, beside the target; "" without one.
        """
        if self.half_width is None or not self.focal:
            return ""
        target = f"the target is ±{self.half_width * 100:g} %"
        widest = self.widest(widths)
        if widest is None:
            return f"not every difference has an interval yet; {target}"
        (baseline, treatment), half_width = widest
        reached = f"{treatment} against {baseline}, to ±{half_width * 100:.1f} %"
        return f"known least well: {reached}; {target}"

    def widest(self, widths: Widths) -> tuple[tuple[str, str], float] | None:
        """
        The focal pair with the widest interval, and its half-width; None while one has none.
        """
        known = [(pair, widths.of(*pair)) for pair in self.focal]
        wide = [
            (pair, width.half_width)
            for pair, width in known
            if width is not None and width.half_width is not None
        ]
        return max(wide, key=lambda each: each[1]) if wide and len(wide) == len(known) else None
