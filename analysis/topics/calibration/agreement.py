"""
Agreement: whether short loads of thawed deployments say what they stand for.

That is one long load of a deployment that stands alone and was never frozen.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.intervals import t_interval
from experiments.records.trials import OK, are_good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.intervals import Interval
    from experiments.records.manifest import Manifest
    from experiments.records.trials import AgreementLoad, TrialRecord

Condition = tuple[bool, bool, bool]
"""Whether a load was short, on a thawed deployment, and beside frozen ones."""

REFERENCE: Condition = (False, False, False)

QUESTIONS: dict[str, tuple[Condition, Condition]] = {
    "length": ((True, False, False), REFERENCE),
    "thawing": ((True, True, True), (True, False, True)),
    "company": ((True, False, True), (True, False, False)),
    "all together": ((True, True, True), REFERENCE),
}
"""What is asked, and the two conditions that are compared for it, the second the baseline."""


@dataclass(frozen=True)
class Agreement:
    """
    How much longer a variant's requests take under one condition than under another.

    ``question`` is one of QUESTIONS; ``relative`` (0.01 is one per cent) is over ``repetitions``
    fresh deployments. ``short`` and ``long`` are the requests of either kind of load.
    """

    variant: str
    question: str
    relative: Interval
    repetitions: int
    short: int
    long: int


def agreements(loads: Sequence[AgreementLoad]) -> list[Agreement]:
    """
    Every question for every variant, as far as repetitions have both conditions.

    Loads with errors do not count, because errors are quick. The short loads of a variant are those
    of its least number of requests, and the long ones those of its greatest.
    """
    good = [load for load in loads if are_good(load.requests_ok, load.requests)]
    found = []
    for variant in dict.fromkeys(load.variant for load in good):
        own = [load for load in good if load.variant == variant]
        lengths = [load.requests for load in own]
        short, long = min(lengths), max(lengths)
        logs: dict[int, dict[Condition, list[float]]] = defaultdict(lambda: defaultdict(list))
        for load in own:
            condition = (load.requests == short, load.thawed, load.beside > 0)
            if load.requests in (short, long):
                logs[load.repetition][condition].append(math.log(load.us_per_request))
        for question, (after, before) in QUESTIONS.items():
            ratios = [
                statistics.fmean(each[after]) - statistics.fmean(each[before])
                for each in logs.values()
                if after in each and before in each
            ]
            if ratios:
                relative = t_interval(ratios).map(math.expm1)
                found.append(Agreement(variant, question, relative, len(ratios), short, long))
    return found


def short_against_at_once(manifest: Manifest, trials: Sequence[TrialRecord]) -> dict[str, Interval]:
    """
    How much longer the requests of a trial's short loads take than those of its load at once.

    By variant: the relative difference (0.01 is one per cent) over its trials.
    """
    found = {}
    for variant in manifest.at_once:
        ratios = [
            statistics.fmean(math.log(each.us_per_request) for each in trial.loads)
            - math.log(1e6 / trial.at_once.requests_per_second)
            for trial in trials
            if trial.variant == variant
            and trial.status == OK
            and trial.at_once
            and trial.load
            and trial.loads
            # Errors are quick.
            and all(
                are_good(load.requests_ok, load.requests) for load in (trial.load, trial.at_once)
            )
        ]
        if ratios:
            found[variant] = t_interval(ratios).map(math.expm1)
    return found
