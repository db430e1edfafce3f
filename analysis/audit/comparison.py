"""
The comparison of arms: the difference of their rates, with the interval that the runs support.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made
from analysis.formatting import count, percent
from analysis.statistics.intervals import CONFIDENCE, Interval, welch
from experiments.records.ab.fields import LABELS
from experiments.records.ab.output import seconds_per_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.ab.output import AbOutput

SAME = ("concurrency", "requests_completed", "document_path", "version", "keep_alive")
"""Fields that must be the same in every run; a difference in one changes the rate by itself."""

EQUAL_MEDIANS = 0.02
MEANS_APART = 0.1

LARGEST_LOG_RATIO = 100.0
"""A larger limit of an interval is of no use, and its exponential would soon overflow."""


@dataclass(frozen=True)
class Arm:
    """
    The runs of one alternative.
    """

    name: str
    runs: Sequence[AbOutput]

    @property
    def rates_per_s(self) -> list[float]:
        """
        The rate of every run that has one.
        """
        times_s = map(seconds_per_request, self.runs)
        return [1 / time_s for time_s in times_s if time_s]


def compare(arms: Sequence[Arm]) -> list[Finding]:
    """
    Whether the runs are comparable, and every other arm against the first.
    """
    first, *others = arms
    found = [_comparable(arms)]
    for other in others:
        found.append(_difference(first, other))
        found += _in_the_tail(first, other)
    if others:
        found.append(_order())
    return found


def _comparable(arms: Sequence[Arm]) -> Finding:
    runs = [run for arm in arms for run in arm.runs]
    differing = [name for name in SAME if len({getattr(run, name) for run in runs}) > 1]
    if not differing:
        text = "All runs have the same concurrency, requests, path, ab version and keep-alive."
        return Finding("comparable", Severity.OK, text, {"differing": []})
    named = ", ".join(f"“{LABELS.get(name, name.replace('_', '-'))}”" for name in differing)
    text = f"The runs differ in {named}. This alone may explain a difference in rates."
    return Finding("comparable", Severity.WARNING, text, {"differing": differing})


def _difference(first: Arm, other: Arm) -> Finding:
    rates = [first.rates_per_s, other.rates_per_s]
    if not all(rates):
        return not_made("difference", ["Requests per second"])
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
    }
    side_by_side = f"{shown[1]} against {shown[0]}"
    if min(map(len, rates)) < 2:
        text = (
            f"{side_by_side}: {100 * ratio:+.1f} %, without a confidence interval. With one run "
            "in an arm, the difference cannot be told from variation between runs."
        )
        return Finding("difference", Severity.WARNING, text, values)
    interval = welch_interval(rates[0], rates[1])
    if interval.low is None or interval.high is None:
        text = (
            f"{side_by_side}: {100 * ratio:+.1f} %, without a confidence interval: all runs of an "
            "arm have the same rate. Are they copies of one run?"
        )
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


def _in_the_tail(first: Arm, other: Arm) -> list[Finding]:
    medians = [_mean_of_medians_ms(arm) for arm in (first, other)]
    rates = [arm.rates_per_s for arm in (first, other)]
    if medians[0] is None or medians[1] is None or not all(rates):
        return []
    if not medians[0] or not medians[1]:
        return []
    of_medians = medians[1] / medians[0] - 1
    of_means = statistics.fmean(rates[0]) / statistics.fmean(rates[1]) - 1
    if abs(of_medians) > EQUAL_MEDIANS or abs(of_means) < MEANS_APART:
        return []
    text = (
        f"The medians agree ({medians[0]:g} and {medians[1]:g} ms, {100 * of_medians:+.1f} %), the "
        f"mean times per request do not ({100 * of_means:+.0f} % for {other.name}). The difference "
        "is in the tail; stalls in one arm would explain it."
    )
    values = {"medians_percent": 100 * of_medians, "means_percent": 100 * of_means}
    return [Finding("difference_in_tail", Severity.WARNING, text, values)]


def _mean_of_medians_ms(arm: Arm) -> float | None:
    medians = [run.percentiles_ms[50].value for run in arm.runs if 50 in run.percentiles_ms]
    return statistics.fmean(medians) if medians else None


def _order() -> Finding:
    text = (
        "ab's text does not tell in which order the runs were made. If one arm ran after the "
        "other, drift of the machine and leftovers of the first arm (caches, memory, heat) are "
        "part of the difference, and no interval covers them. Interleave the arms in random order "
        "and compare within pairs."
    )
    return Finding("order", Severity.NOTE, text)
