"""
When a run has enough blocks: by the width of its intervals, and never by what they say.

Stopping as soon as a difference is significant would find one far too often; the width of an
interval knows nothing of the difference. It is not quite for nothing: a run that ends because its
spread looks small has intervals that miss the truth about six times in a hundred and not five.
The intervals here are the report's, but for the term of the place: Student's t on the log-ratios of
the time per request, one for each block, each the mean over its rounds.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.records.trials import OK, are_comparable

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    it and the limits are None for fewer than two blocks. ``comparable`` says that about as many
    answers of both were good.
    """

    blocks: int
    relative: float
    low: float | None = None
    high: float | None = None
    half_width: float | None = None
    comparable: bool = True


def log_ratio(before: TrialRecord, after: TrialRecord) -> float | None:
    """
    The mean log-ratio of the times per request over the rounds that both have; None without any.
    """
    earlier = {load.round: load.us_per_request for load in before.loads if load.is_whole}
    logs = [
        math.log(load.us_per_request / earlier[load.round])
        for load in after.loads
        if load.is_whole and load.round in earlier
    ]
    return statistics.fmean(logs) if logs else None


class Widths:
    """
    The intervals of a run so far, from its trials as they end.
    """

    def __init__(self) -> None:
        """
        Nothing is known before the first trial.
        """
        self._trials: dict[tuple[int, int], dict[str, TrialRecord]] = defaultdict(dict)
        self._asked: Counter[str] = Counter()
        self._good: Counter[str] = Counter()

    def add(self, record: TrialRecord) -> None:
        """
        Take a trial in; one without a result says nothing but how many requests it lost.
        """
        self._asked[record.variant] += record.requests_lost
        if record.status == OK and record.load is not None and record.loads:
            self._asked[record.variant] += record.load.requests
            self._good[record.variant] += record.load.requests_ok
            self._trials[record.block, record.part][record.variant] = record

    def of(self, baseline: str, treatment: str) -> Width | None:
        """
        What is known of a pair; None when no block has both.
        """
        pairs = {
            where: (trials[baseline], trials[treatment])
            for where, trials in self._trials.items()
            if baseline in trials and treatment in trials
        }
        blocks: dict[int, list[float]] = defaultdict(list)
        for (block, _), pair in pairs.items():
            ratio = log_ratio(*pair)
            if ratio is not None:
                blocks[block].append(ratio)
        logs = [statistics.fmean(ratios) for ratios in blocks.values()]
        if not logs:
            return None
        comparable = are_comparable(
            self._good[name] / self._asked[name] for name in (baseline, treatment)
        )
        mean = statistics.fmean(logs)
        if len(logs) < 2:
            return Width(len(logs), math.expm1(mean), comparable=comparable)
        quantile = T_QUANTILES[min(len(logs) - 1, len(T_QUANTILES)) - 1]
        half = quantile * statistics.stdev(logs) / math.sqrt(len(logs))
        return Width(
            len(logs),
            math.expm1(mean),
            math.expm1(mean - half),
            math.expm1(mean + half),
            half,
            comparable,
        )


@dataclass(frozen=True)
class Standing:
    """
    How well a target's pair is known: ``half_width`` so far, which is None without an interval.
    """

    target: Target
    half_width: float | None

    @property
    def times_too_wide(self) -> float:
        """
        How many times as wide as it should be; infinite without an interval.
        """
        return math.inf if self.half_width is None else self.half_width / self.target.half_width


@dataclass(frozen=True)
class Rule:
    """
    A run has at least ``blocks`` blocks, and then goes on until every target is reached.

    Without targets it ends after its blocks.
    """

    blocks: int
    targets: Sequence[Target]

    def is_enough(self, begun: int, widths: Widths) -> bool:
        """
        Whether so many blocks are enough.
        """
        if begun < self.blocks:
            return False
        return all(each.times_too_wide <= 1 for each in self._standings(widths))

    def expected_blocks(self, begun: int, widths: Widths) -> int:
        """
        About how many blocks the run will have: an interval shrinks with the root of their number.
        """
        if self.is_enough(begun, widths):
            return begun
        worst = max((each.times_too_wide for each in self._standings(widths)), default=0.0)
        if math.isinf(worst):
            return MOST_BLOCKS
        return min(max(self.blocks, begun + 1, math.ceil(begun * worst**2)), MOST_BLOCKS)

    def standing(self, widths: Widths) -> str:
        """
        The target that is furthest from being reached, and how far; "" without targets.
        """
        standings = self._standings(widths)
        if not standings:
            return ""
        unknown = [each for each in standings if each.half_width is None]
        if unknown:
            pair = unknown[0].target
            return f"no interval yet of {pair.treatment} against {pair.baseline}"
        worst = max(standings, key=lambda each: each.times_too_wide)
        pair, reached = worst.target, worst.half_width or 0.0
        return (
            f"furthest from its target: {pair.treatment} against {pair.baseline}, known to "
            f"±{reached * 100:.1f} %; the target is ±{pair.half_width * 100:g} %"
        )

    def _standings(self, widths: Widths) -> list[Standing]:
        found = []
        for target in self.targets:
            width = widths.of(target.baseline, target.treatment)
            # What cannot be compared gets no verdict, however long it is waited for.
            if width is None or width.comparable:
                found.append(Standing(target, width.half_width if width else None))
        return found
