"""
The comparison of arms: the difference of their rates, with the interval that the runs support.
"""

from __future__ import annotations

import math
import statistics
from itertools import chain
from typing import TYPE_CHECKING

from analysis.audit.arms import fault
from analysis.audit.conditions import conditions, unlike
from analysis.audit.findings import Finding, Severity, listed, share
from analysis.formatting import GOOD_PERCENT, count, percent
from analysis.statistics.intervals import CONFIDENCE, Interval, welch
from experiments.records.trials import are_comparable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.audit.arms import Arm, GoodShare

MEDIANS_FROM = 0.9
"""With this share of good answers, bad ones move a median little."""

EQUAL_MEDIANS = 0.02
MEANS_APART = 0.1

LARGEST_LOG_RATIO = 100.0
"""A larger limit of an interval is of no use, and its exponential would soon overflow."""


def compare(arms: Sequence[Arm]) -> list[Finding]:
    """
    Which runs are left out, what the arms differ in, and every other arm against the first.
    """
    found = [*_left_out(arms)]
    compared = [arm for arm in arms if arm.measured]
    if len(compared) < 2:
        text = "No comparison: fewer than two arms have a run with a result."
        return [*found, Finding("difference", Severity.WARNING, text)]
    first, *others = compared
    found += [*chain(*map(_copies, compared)), *conditions(compared)]
    for other in others:
        if same := _in_both(first, other):
            found.append(same)
            continue
        found += [*_perhaps_bad(first, other), _difference(first, other)]
        found += _in_the_tail(first, other)
    return [*found, *_side_by_side(found), _order()]


def _left_out(arms: Sequence[Arm]) -> list[Finding]:
    """
    One finding on every arm of which runs are left out.
    """
    found = []
    for arm in arms:
        faults = {number: fault(run) for number, run in enumerate(arm.runs, 1)}
        faults = {number: why for number, why in faults.items() if why}
        if not faults and arm.runs:
            continue
        text = f"{arm.name} is not compared, because it has no output of ab."
        if arm.runs:
            named = "; ".join(f"run {number}: {why}" for number, why in faults.items())
            which = f"{len(faults)} of {count(len(arm.runs), 'run')} of {arm.name}"
            if len(arm.runs) == 1:
                which, named = f"The only run of {arm.name} is", named.removeprefix("run 1: ")
            text = f"{which} left out of the comparison ({named})."
            if arm.measured and any(run.failure for run in arm.runs):
                text += (
                    " Only the runs that finished are compared, which is a selection of the better "
                    f"ones: name the failures of {arm.name} beside its rate."
                )
        values = {"arm": arm.name, "runs": list(faults)}
        found.append(Finding("left_out", Severity.WARNING, text, values))
    return found


def _copies(arm: Arm) -> list[Finding]:
    copies: dict[int | None, list[str]] = {}
    for number, run in enumerate(arm.runs, 1):
        place = arm.place_of(run)
        if place not in {None, number}:
            copies.setdefault(place, []).append(str(number))
    if not copies:
        return []
    named = [
        f"run {numbers[0]} is a copy of run {place}"
        if len(numbers) == 1
        else f"runs {listed(numbers)} are copies of run {place}"
        for place, numbers in copies.items()
    ]
    text = (
        f"{arm.name} has only {count(len(arm.measured), 'run')}: {listed(named)}, the same in "
        "every number. Copies are no replicates and count once."
    )
    return [Finding("copies", Severity.WARNING, text, {"arm": arm.name})]


def _in_both(first: Arm, other: Arm) -> Finding | None:
    """
    That one output is in both arms.
    """
    for number, run in enumerate(other.runs, 1):
        if place := first.place_of(run):
            text = (
                f"{other.name} is not compared with {first.name}: run {number} of {other.name} is "
                f"run {place} of {first.name}, the same in every number. One output cannot be a "
                "run of both."
            )
            values = {"baseline": first.name, "treatment": other.name}
            return Finding("difference", Severity.ERROR, text, values)
    return None


def _good_shares(first: Arm, other: Arm) -> str:
    shown = " and ".join(f"{_share(arm.good)} of {arm.name}" for arm in (first, other))
    return f"{shown} were good, and times are compared from {GOOD_PERCENT}"


def _share(good: GoodShare) -> str:
    if good.least == good.most:
        return share(good.most, 1)
    return f"{share(good.least, 1)} to {share(good.most, 1)}"


def _perhaps_bad(first: Arm, other: Arm) -> list[Finding]:
    """
    That more answers may be bad than a comparison of times allows, where this is not certain.
    """
    shares = [arm.good for arm in (first, other)]
    if are_comparable(good.least for good in shares):
        return []
    if not are_comparable(good.most for good in shares):
        return []
    text = (
        "Perhaps not comparable in time, because bad answers may be fast: "
        f"{_good_shares(first, other)}."
    )
    # With -l, for one, every run may have bad answers that are counted nowhere.
    counted = any(run.requests_failed for arm in (first, other) for run in arm.measured)
    severity = Severity.WARNING if counted else Severity.NOTE
    return [Finding("good_answers", severity, text)]


def _difference(first: Arm, other: Arm) -> Finding:
    rates = [first.rates_per_s, other.rates_per_s]
    centres = [statistics.fmean(map(math.log, values)) for values in rates]
    ratio = math.exp(centres[1] - centres[0]) - 1
    shown = [
        f"{arm.name} {math.exp(centre):.5g}/s ({count(len(values), 'run')})"
        for arm, centre, values in zip((first, other), centres, rates, strict=True)
    ]
    values = {
        "baseline": first.name,
        "treatment": other.name,
        "rates_per_s": {first.name: rates[0], other.name: rates[1]},
        "ratio_percent": 100 * ratio,
        "low_percent": None,
        "high_percent": None,
        "good_shares": {arm.name: arm.good for arm in (first, other)},
    }
    side_by_side = f"{shown[1]} against {shown[0]}"
    without = f"{side_by_side}: {100 * ratio:+z.1f} %, without a confidence interval"
    if not are_comparable(arm.good.most for arm in (first, other)):
        text = (
            f"Not comparable in time, because bad answers may be fast: "
            f"{_good_shares(first, other)} ({side_by_side})."
        )
        return Finding("difference", Severity.WARNING, text, values)
    if min(map(len, rates)) < 2:
        text = (
            f"{without}. With one run in an arm, the difference cannot be told from variation "
            "between runs."
        )
        return Finding("difference", Severity.WARNING, text, values)
    mixed = {arm.name: list(unlike([arm])) for arm in (first, other)}
    if any(mixed.values()):
        differ = [f"the runs of {name} differ in {listed(w)}" for name, w in mixed.items() if w]
        text = f"{without}: {listed(differ)}, so that they are no replicates."
        return Finding("difference", Severity.WARNING, text, values)
    interval = welch_interval(rates[0], rates[1])
    if interval.low is None or interval.high is None:
        text = f"{without}: all runs of an arm have the same rate. Are they copies of one run?"
        return Finding("difference", Severity.WARNING, text, values)
    values |= {"low_percent": 100 * interval.low, "high_percent": 100 * interval.high}
    verdict = "excludes" if interval.excludes_zero else "includes"
    text = (
        f"{side_by_side}: {percent(interval)}, {100 * CONFIDENCE:.0f} % confidence interval "
        f"(Welch's t of the log ratio); it {verdict} zero."
    )
    return Finding("difference", Severity.NOTE, text, values)


def welch_interval(baseline: Sequence[float], treatment: Sequence[float]) -> Interval:
    """
    The relative difference of two unpaired samples of at least two positive values each.

    Welch's t interval of the difference of the mean logarithms (Welch, "The generalization of
    'Student's' problem", Biometrika 1947); without limits if nothing varies.
    """
    before, after = ([math.log(value) for value in values] for values in (baseline, treatment))
    difference = statistics.fmean(after) - statistics.fmean(before)
    if not any(map(statistics.variance, (before, after))):
        return Interval(math.expm1(difference), None, None)
    limits, _ = welch(before, after)
    return limits.map(lambda log_ratio: math.expm1(min(log_ratio, LARGEST_LOG_RATIO)))


def _side_by_side(found: Sequence[Finding]) -> list[Finding]:
    """
    How sure all intervals are together, by Bonferroni's inequality.
    """
    intervals = sum(finding.values.get("low_percent") is not None for finding in found)
    if intervals < 2:
        return []
    together = max(0.0, 1 - intervals * (1 - CONFIDENCE))
    text = (
        f"{intervals} intervals stand side by side: each has {100 * CONFIDENCE:.0f} % confidence, "
        f"all together have at least {100 * together:.0f} % (Bonferroni)."
    )
    return [Finding("side_by_side", Severity.NOTE, text, {"together_percent": 100 * together})]


def _in_the_tail(first: Arm, other: Arm) -> list[Finding]:
    arms = (first, other)
    if any(arm.good.least < MEDIANS_FROM for arm in arms) or "concurrency" in unlike(arms):
        return []
    medians = [_mean_of_medians_ms(arm) for arm in arms]
    rates = [arm.rates_per_s for arm in arms]
    if not medians[0] or not medians[1]:
        return []
    of_medians = medians[1] / medians[0] - 1
    # Whole milliseconds may hide as much.
    hidden = 1 / min(medians[0], medians[1])
    of_means = statistics.fmean(rates[0]) / statistics.fmean(rates[1]) - 1
    if abs(of_medians) > EQUAL_MEDIANS or abs(of_means) < max(MEANS_APART, 2 * hidden):
        return []
    text = (
        f"The medians agree ({medians[0]:g} and {medians[1]:g} ms, {100 * of_medians:+z.1f} %), "
        f"the mean times per request do not ({100 * of_means:+.0f} % for {other.name}). "
        f"{_beside_the_median(arms, max(medians[0], medians[1]))}"
    )
    values = {"medians_percent": 100 * of_medians, "means_percent": 100 * of_means}
    return [Finding("difference_beside_median", Severity.WARNING, text, values)]


def _beside_the_median(arms: Sequence[Arm], median_ms: float) -> str:
    """
    Whether slow requests make most of the difference of two means, or fast ones.
    """
    concurrency = arms[0].measured[0].concurrency
    if not concurrency:
        return "The difference is in requests that are slower or faster than the median."
    means_ms = [1e3 * concurrency / statistics.fmean(arm.rates_per_s) for arm in arms]
    if max(means_ms) - median_ms > (max(means_ms) - min(means_ms)) / 2:
        return "The difference is in the tail; stalls in one arm would explain it."
    faster = arms[means_ms.index(min(means_ms))]
    return f"The difference is in requests of {faster.name} that are far below its median."


def _mean_of_medians_ms(arm: Arm) -> float | None:
    medians = [run.percentiles_ms[50].value for run in arm.measured if 50 in run.percentiles_ms]
    return statistics.fmean(medians) if medians else None


def _order() -> Finding:
    text = (
        "ab's text does not tell in which order the runs were made. If one arm ran after the "
        "other, drift of the machine and leftovers of the first arm (caches, memory, heat) are "
        "part of the difference, and no interval covers them. Interleave the arms in random order "
        "and compare within pairs."
    )
    return Finding("order", Severity.NOTE, text)
