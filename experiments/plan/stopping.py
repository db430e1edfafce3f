"""
The stopping rule: a run has enough blocks when its confidence intervals are narrow enough.

The rule looks at the width of an interval only, never at the estimate. A run that stopped at the
first significant difference would report far too many differences. The rule has a small price:
a run that stops because its spread looks small has 95 % intervals that cover the truth about 94
times in a hundred. The intervals are those of the report without the adjustment for the place in a
block: Student's t on the log-ratios of the time per request, one value per block, each the mean
over the rounds.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments.records.trials import OK, are_comparable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.declare.variants import Target
    from experiments.records.trials import TrialRecord

T_QUANTILES = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060),
    *(2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199),
    *(2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639),
    *(2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
"""
The 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom, to four decimals.

The lab has no statistics library, which would be larger than the rest of its packages. For more
degrees of freedom the last quantile is used, which widens an interval by at most 4 %.
"""

MOST_BLOCKS = 9999
"""The largest number of blocks that is announced, also if the number is unknown."""


@dataclass(frozen=True)
class Estimate:
    """
    The estimate of one comparison so far: relative difference, limits, and half-width.

    The half-width is that of the interval of the logarithm; for small differences it equals the
    relative one. It and the limits are None for fewer than two blocks. ``good_shares`` are the
    shares of good answers of both variants, and ``requests`` the numbers that they are of.
    """

    blocks: int
    relative: float
    low: float | None = None
    high: float | None = None
    half_width: float | None = None
    good_shares: tuple[float, float] = (1.0, 1.0)
    requests: tuple[int, int] = (0, 0)

    @property
    def comparable(self) -> bool:
        """
        Whether times may be compared, by the same rule as in a report.
        """
        return are_comparable(self.good_shares)


def round_times(trial: TrialRecord) -> dict[int, float]:
    """
    The time per request of each whole round, in microseconds.
    """
    return {load.round: load.us_per_request for load in trial.loads if load.is_whole}


def log_ratio(before: Mapping[int, float], after: Mapping[int, float]) -> float | None:
    """
    The mean log-ratio of times per request over common rounds; None without a common round.
    """
    logs = [math.log(time / before[number]) for number, time in after.items() if number in before]
    return statistics.fmean(logs) if logs else None


class Estimates:
    """
    The estimates of a run so far; trials are added as they end.

    Only times are kept, because a run may have thousands of trials.
    """

    def __init__(self) -> None:
        """
        There are no trials yet.
        """
        self._times: dict[tuple[int, int], dict[str, dict[int, float]]] = defaultdict(dict)
        self._asked: Counter[str] = Counter()
        self._good: Counter[str] = Counter()

    def add(self, record: TrialRecord) -> None:
        """
        Add a trial; of a trial without a result only the lost requests count.
        """
        self._asked[record.variant] += record.requests_lost
        if record.status == OK and record.load is not None and record.loads:
            self._asked[record.variant] += record.load.requests
            self._good[record.variant] += record.load.requests_ok
            self._times[record.block, record.part][record.variant] = round_times(record)

    def of(self, baseline: str, treatment: str) -> Estimate | None:
        """
        The estimate of a pair; None if no block has both variants.
        """
        pairs = {
            where: (times[baseline], times[treatment])
            for where, times in self._times.items()
            if baseline in times and treatment in times
        }
        blocks: dict[int, list[float]] = defaultdict(list)
        for (block, _), pair in pairs.items():
            ratio = log_ratio(*pair)
            if ratio is not None:
                blocks[block].append(ratio)
        logs = [statistics.fmean(ratios) for ratios in blocks.values()]
        if not logs:
            return None
        requests = (self._asked[baseline], self._asked[treatment])
        shares = (self._good[baseline] / requests[0], self._good[treatment] / requests[1])
        mean = statistics.fmean(logs)
        first = Estimate(len(logs), math.expm1(mean), good_shares=shares, requests=requests)
        if len(logs) < 2:
            return first
        quantile = T_QUANTILES[min(len(logs) - 1, len(T_QUANTILES)) - 1]
        half = quantile * statistics.stdev(logs) / math.sqrt(len(logs))
        return replace(
            first, low=math.expm1(mean - half), high=math.expm1(mean + half), half_width=half
        )


@dataclass(frozen=True)
class Standing:
    """
    The state of a target: the ``half_width`` so far, or None if there is no interval yet.
    """

    target: Target
    half_width: float | None

    @property
    def times_too_wide(self) -> float:
        """
        The half-width as a multiple of the target; infinite without an interval.
        """
        return math.inf if self.half_width is None else self.half_width / self.target.half_width


@dataclass(frozen=True)
class Rule:
    """
    A run has at least ``blocks`` blocks and ends when every target is reached.

    Without targets it ends after ``blocks`` blocks.
    """

    blocks: int
    targets: Sequence[Target]

    def is_enough(self, begun: int, estimates: Estimates) -> bool:
        """
        Whether the run can end after this many blocks.
        """
        if begun < self.blocks:
            return False
        return all(each.times_too_wide <= 1 for each in self._standings(estimates))

    def expected_blocks(self, begun: int, estimates: Estimates) -> int:
        """
        The expected number of blocks: an interval shrinks with the square root of the number.
        """
        if self.is_enough(begun, estimates):
            return begun
        worst = max((each.times_too_wide for each in self._standings(estimates)), default=0.0)
        if math.isinf(worst):
            return MOST_BLOCKS
        return min(max(self.blocks, begun + 1, math.ceil(begun * worst**2)), MOST_BLOCKS)

    def standing(self, estimates: Estimates) -> str:
        """
        The target that is furthest from being reached, in words; empty without targets.
        """
        standings = self._standings(estimates)
        if not standings:
            return ""
        unknown = [each for each in standings if each.half_width is None]
        if unknown:
            pair = unknown[0].target
            return f"no interval yet for {pair.treatment} against {pair.baseline}"
        worst = max(standings, key=lambda each: each.times_too_wide)
        pair, reached = worst.target, worst.half_width or 0.0
        return (
            f"furthest from its target: {pair.treatment} against {pair.baseline}, "
            f"±{reached * 100:.1f} %; target ±{pair.half_width * 100:g} %"
        )

    def _standings(self, estimates: Estimates) -> list[Standing]:
        found = []
        for target in self.targets:
            estimate = estimates.of(target.baseline, target.treatment)
            # A pair that is not comparable gets no verdict, however long the run continues.
            if estimate is None or estimate.comparable:
                found.append(Standing(target, estimate.half_width if estimate else None))
        return found
