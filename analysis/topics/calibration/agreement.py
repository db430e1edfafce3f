"""
Agreement of short loads of thawed deployments with the reference that they stand for.

The reference is one long load of a deployment that runs alone and was never frozen.
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
"""Whether a load was short, on a thawed deployment, and beside frozen deployments."""

REFERENCE: Condition = (False, False, False)

QUESTIONS: dict[str, tuple[Condition, Condition]] = {
    "length": ((True, False, False), REFERENCE),
    "thawing": ((True, True, True), (True, False, True)),
    "company": ((True, False, True), (True, False, False)),
    "all together": ((True, True, True), REFERENCE),
}
"""Each question with the two conditions that it compares; the second is the baseline."""


@dataclass(frozen=True)
class Agreement:
    """
    The relative difference in a variant's time per request between two conditions.

    ``question`` is one of QUESTIONS. ``relative`` (0.01 is one per cent) is over ``repetitions``
    fresh deployments. ``short`` and ``long`` are the requests per load of each kind.
    """

    variant: str
    question: str
    relative: Interval
    repetitions: int
    short: int
    long: int


def agreements(loads: Sequence[AgreementLoad]) -> list[Agreement]:
    """
    Every question for every variant, over the repetitions that have both conditions.

    Loads with errors do not count, because errors are quick. A variant's short loads have its
    smallest number of requests, its long loads the largest.
    """
    good = [load for load in loads if are_good(load.requests_ok, load.requests)]
    results = []
    for variant in dict.fromkeys(load.variant for load in good):
        variant_loads = [load for load in good if load.variant == variant]
        lengths = [load.requests for load in variant_loads]
        short, long = min(lengths), max(lengths)
        logs: dict[int, dict[Condition, list[float]]] = defaultdict(lambda: defaultdict(list))
        for load in variant_loads:
            condition = (load.requests == short, load.thawed, load.beside > 0)
            if load.requests in (short, long):
                logs[load.repetition][condition].append(math.log(load.us_per_request))
        for question, (after, before) in QUESTIONS.items():
            ratios = [
                statistics.fmean(by_condition[after]) - statistics.fmean(by_condition[before])
                for by_condition in logs.values()
                if after in by_condition and before in by_condition
            ]
            if ratios:
                relative = t_interval(ratios).map(math.expm1)
                results.append(Agreement(variant, question, relative, len(ratios), short, long))
    return results


def short_against_at_once(manifest: Manifest, trials: Sequence[TrialRecord]) -> dict[str, Interval]:
    """
    The relative time per request of a trial's short loads against its one long load.

    By variant, over its trials; 0.01 is one per cent.
    """
    by_variant = {}
    for variant in manifest.at_once:
        ratios = [
            statistics.fmean(math.log(load.us_per_request) for load in trial.loads)
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
            by_variant[variant] = t_interval(ratios).map(math.expm1)
    return by_variant
