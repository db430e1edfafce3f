"""
Cold start and warm-up: how a deployment does before its loads, and whether it changes during them.

A deployment that warms up more slowly than the other has another difference at first than later.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.statistics.estimates import (
    METRICS,
    Differences,
    shared_rounds,
    trials_by_part,
    us_per_request,
)
from analysis.statistics.intervals import t_interval
from analysis.statistics.places import at_equal_place
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.estimates import Difference
    from analysis.statistics.intervals import Interval
    from analysis.topics.comparisons.findings import Comparison
    from experiments.records.trials import TrialRecord


@dataclass(frozen=True)
class Start:
    """
    How the deployments of one variant start; what was not recorded is None.

    ``first_answer_s`` is from the beginning of the deployment to its first good answer, and
    ``cold_us`` the time per request of its first requests, in microseconds; ``against_rounds``
    is how much longer these take than those of the rounds (0.1 is ten per cent).
    """

    variant: str
    trials: int
    first_answer_s: Interval | None
    cold_us: Interval | None
    against_rounds: Interval | None


@dataclass(frozen=True)
class StartComparison:
    """
    A comparison before the loads and during them; what no block has is None.

    ``later_s`` is by how much the treatment's first good answer comes later, over ``later_blocks``;
    ``cold`` is the difference of the first requests, and ``change`` that of over_rounds.
    """

    compared: Comparison
    later_s: Interval | None
    later_blocks: int
    cold: Difference | None
    change: Interval | None


@dataclass(frozen=True)
class WarmUp:
    """
    All that was recorded of starts: by variant, and by comparison but those of A/A.

    ``cold_requests`` are the numbers of first requests; ``has_starts`` says whether any start was
    recorded at all.
    """

    starts: list[Start]
    comparisons: list[StartComparison]
    cold_requests: list[int]
    has_starts: bool


def warm_up(
    names: Sequence[str], compared: Sequence[Comparison], trials: Sequence[TrialRecord]
) -> WarmUp | None:
    """
    What is known of starts and of changes over the rounds; None where nothing was recorded.
    """
    good = [trial for trial in trials if trial.status == OK and trial.load is not None]
    seen = [trial for trial in good if len(trial.loads) > 1 or _has_start(trial)]
    if not seen:
        return None
    cold = Differences(at_equal_place(_cold(seen)))
    return WarmUp(
        starts=[
            _start(name, own)
            for name in names
            if (own := [each for each in seen if each.variant == name and _has_start(each)])
        ],
        comparisons=[_compared(each, seen, cold) for each in compared if not each.control],
        cold_requests=sorted({trial.cold.requests for trial in seen if trial.cold}),
        has_starts=any(map(_has_start, seen)),
    )


def _has_start(trial: TrialRecord) -> bool:
    return trial.cold is not None or trial.first_answer_s is not None


def _start(name: str, trials: Sequence[TrialRecord]) -> Start:
    answers = [trial.first_answer_s for trial in trials if trial.first_answer_s is not None]
    cold = us_per_request(name, _cold(trials))
    cost = METRICS["us_per_request"]
    ratios = [
        math.log(cost(trial.cold) / cost(trial.load))
        for trial in trials
        if trial.cold and trial.load
    ]
    return Start(
        variant=name,
        trials=len(trials),
        first_answer_s=t_interval(answers) if answers else None,
        cold_us=cold[0] if cold else None,
        against_rounds=t_interval(ratios).map(math.expm1) if ratios else None,
    )


def _cold(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """
    The same trials with their first requests in place of their loads.
    """
    return [replace(trial, load=trial.cold, loads=[]) for trial in trials]


def _compared(
    each: Comparison, trials: Sequence[TrialRecord], cold: Differences
) -> StartComparison:
    later = _later_s(each.baseline, each.treatment, trials)
    return StartComparison(
        compared=each,
        later_s=t_interval(later) if later else None,
        later_blocks=len(later),
        cold=cold.between(each.baseline, each.treatment),
        change=over_rounds(each.baseline, each.treatment, trials),
    )


def _later_s(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> list[float]:
    """
    For each block with both, by how many seconds the treatment's first good answer comes later.
    """
    answers = {
        (trial.block, trial.part, trial.variant): trial.first_answer_s
        for trial in trials
        if trial.first_answer_s is not None
    }
    return [
        answers[block, part, treatment] - answer_s
        for (block, part, variant), answer_s in answers.items()
        if variant == baseline and (block, part, treatment) in answers
    ]


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
