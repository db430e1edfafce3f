"""
Steadiness: whether the difference of two deployments changes over the rounds of their block.

One that warms up more slowly than the other has another difference at first than later.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

from analysis.statistics.estimates import shared_rounds, trials_by_part
from analysis.statistics.intervals import t_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.intervals import Interval
    from experiments.records.trials import TrialRecord


def over_rounds(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> Interval | None:
    """
    By how much the ratio of their times grows from the first half of the rounds to the second.

    Relative (0.01 is one per cent), over blocks; the middle one of an odd number of rounds is left
    out. None where no block has two rounds of both.
    """
    blocks: dict[int, list[float]] = defaultdict(list)
    for (block, _), own in trials_by_part(trials).items():
        if baseline in own and treatment in own:
            logs = [
                math.log(after / before)
                for before, after in shared_rounds(own[baseline], own[treatment])
            ]
            half = len(logs) // 2
            if half:
                change = statistics.fmean(logs[-half:]) - statistics.fmean(logs[:half])
                blocks[block].append(change)
    if not blocks:
        return None
    return t_interval([statistics.fmean(each) for each in blocks.values()]).map(math.expm1)
