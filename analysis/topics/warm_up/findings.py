"""
Cold start and warm-up: start-up times, first requests, and drift over the rounds.

If one arm warms up more slowly than the other, their difference changes over the rounds.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from analysis.statistics.estimates import (
    METRICS,
    Differences,
    Trials,
    shared_rounds,
    trials_by_part,
    us_per_request,
)
from analysis.statistics.intervals import t_interval
from analysis.statistics.places import at_equal_place
from experiments.records.trials import OK, are_good

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.statistics.estimates import Difference
    from analysis.statistics.intervals import Interval
    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.records.trials import TrialRecord

    Answers = Mapping[tuple[int, int, str], float]
    """The time to the first good answer in seconds by block, part and variant."""


@dataclass(frozen=True)
class Start:
    """
    The starts of one variant's deployments; None for what was not recorded.

    ``first_answer_s`` is the time from the start of the deployment to its first good answer.
    ``cold_us`` is the time per request of the first requests in microseconds, ``against_rounds``
    their relative difference from the rounds (0.1 is ten per cent more).
    """

    variant: str
    trials: int
    first_answer_s: Interval | None
    cold_us: Interval | None
    against_rounds: Interval | None


@dataclass(frozen=True)
class StartComparison:
    """
    A comparison of starts and of drift; None for what no block has.

    ``later_s`` is the delay of the treatment's first good answer, over ``later_blocks``. ``cold``
    is the difference of the first requests, ``change`` the drift (see over_rounds).
    """

    compared: JudgedComparison
    later_s: Interval | None
    later_blocks: int
    cold: Difference | None
    change: Interval | None


@dataclass(frozen=True)
class WarmUp:
    """
    Starts by variant, and by comparison without A/A.

    ``cold_requests`` are the numbers of first requests. ``has_starts`` says whether any start was
    recorded.
    """

    starts: list[Start]
    comparisons: list[StartComparison]
    cold_requests: list[int]
    has_starts: bool


def warm_up(
    names: Sequence[str], compared: Sequence[JudgedComparison], trials: Sequence[TrialRecord]
) -> WarmUp | None:
    """
    Starts and drift over the rounds; None if neither was recorded.
    """
    good = [trial for trial in trials if trial.status == OK and trial.load is not None]
    seen = Trials.of(trial for trial in good if len(trial.loads) > 1 or _has_start(trial))
    if not seen:
        return None
    cold = Trials.of(replace(trial, load=trial.cold, loads=[]) for trial in seen)
    level = Differences(at_equal_place(cold))
    answers_s = {
        (trial.block, trial.part, trial.variant): trial.first_answer_s
        for trial in seen
        if trial.first_answer_s is not None
    }
    return WarmUp(
        starts=[
            _start(name, own, cold)
            for name in names
            if (own := [each for each in seen.by_variant.get(name, ()) if _has_start(each)])
        ],
        comparisons=[
            _compared(each, seen, answers_s, level) for each in compared if not each.control
        ],
        cold_requests=sorted({trial.cold.requests for trial in seen if trial.cold}),
        has_starts=any(map(_has_start, seen)),
    )


def _has_start(trial: TrialRecord) -> bool:
    return trial.cold is not None or trial.first_answer_s is not None


def _start(name: str, trials: Sequence[TrialRecord], starts: Sequence[TrialRecord]) -> Start:
    answers = [trial.first_answer_s for trial in trials if trial.first_answer_s is not None]
    cold = us_per_request(name, starts)
    cost = METRICS["us_per_request"]
    ratios = [
        math.log(cost(trial.cold) / cost(trial.load))
        for trial in trials
        # Errors are quick.
        if trial.cold
        and trial.load
        and all(are_good(load.requests_ok, load.requests) for load in (trial.cold, trial.load))
    ]
    return Start(
        variant=name,
        trials=len(trials),
        first_answer_s=t_interval(answers) if answers else None,
        cold_us=cold[0] if cold else None,
        against_rounds=t_interval(ratios).map(math.expm1) if ratios else None,
    )


def _compared(
    each: JudgedComparison, trials: Trials, answers_s: Answers, cold: Differences
) -> StartComparison:
    later = _later_s(each.baseline, each.treatment, answers_s)
    return StartComparison(
        compared=each,
        later_s=t_interval(later) if later else None,
        later_blocks=len(later),
        cold=cold.between(each.baseline, each.treatment),
        change=over_rounds(each.baseline, each.treatment, trials)
        if each.difference and each.difference.comparable
        else None,
    )


def _later_s(baseline: str, treatment: str, answers_s: Answers) -> list[float]:
    """
    The delay of the treatment's first good answer in seconds, where a part has both arms.
    """
    return [
        answers_s[block, part, treatment] - answer_s
        for (block, part, variant), answer_s in answers_s.items()
        if variant == baseline and (block, part, treatment) in answers_s
    ]


def over_rounds(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> Interval | None:
    """
    The drift: the ratio of times in the second half of the rounds relative to the first half.

    Relative (0.01 is one per cent), over blocks. An odd number of rounds leaves out the middle one.
    None if no block has two rounds of both arms.
    """
    blocks: dict[int, list[float]] = defaultdict(list)
    for (block, _), part in trials_by_part(trials).items():
        if baseline in part and treatment in part:
            logs = [
                math.log(after / before)
                for before, after in shared_rounds(part[baseline], part[treatment])
            ]
            half = len(logs) // 2
            if half:
                change = statistics.fmean(logs[-half:]) - statistics.fmean(logs[:half])
                blocks[block].append(change)
    if not blocks:
        return None
    return t_interval([statistics.fmean(each) for each in blocks.values()]).map(math.expm1)
