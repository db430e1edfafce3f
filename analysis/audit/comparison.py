"""
Arms beside one another: their rates, and what so many runs can say of the difference.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made
from analysis.audit.reading import LABELS
from analysis.formatting import count, percent
from analysis.statistics.intervals import CONFIDENCE, Interval, welch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.audit.reading import Reading
    from analysis.audit.rounding import Printed

SAME = ("concurrency", "requests_complete", "document_path", "version", "keep_alive")
"""What must be the same in every run, or the rates differ for that alone."""

EQUAL_MEDIANS = 0.02
MEANS_APART = 0.1

LARGEST_LOG_RATIO = 100.0
"""Beyond it an interval says nothing, and its limit would soon be larger than numbers are."""


@dataclass(frozen=True)
class Arm:
    """
    The runs of one thing that is compared.
    """

    name: str
    runs: Sequence[Reading]

    @property
    def rates_per_s(self) -> list[float]:
        """
        The rate of every run that has one.
        """
        return [rate for run in self.runs if (rate := _rate_per_s(run)) is not None]


def compare(arms: Sequence[Arm]) -> list[Finding]:
    """
    Every other arm against the first, and whether they can be compared at all.
    """
    first, *others = arms
    found = [_comparable(arms)]
    for other in others:
        found.append(_difference(first, other))
        found += _in_the_tail(first, other)
    if others:
        found.append(_order())
    return found


def _rate_per_s(run: Reading) -> float | None:
    # The same number is printed in up to three ways, of which the least rounded says most.
    ways: list[tuple[float, float]] = []

    def way(printed: Printed | None, rate_per_s: float) -> None:
        if printed is not None and printed.value > 0 and rate_per_s > 0:
            ways.append((printed.half_unit / printed.value, rate_per_s))

    requests, time, mean = run.requests_complete, run.duration_s, run.latency_mean_ms
    if run.requests_per_s is not None:
        way(run.requests_per_s, run.requests_per_s.value)
    if requests and time is not None and time.value:
        way(time, requests / time.value)
    if run.concurrency and mean is not None and mean.value:
        way(mean, run.concurrency / mean.value * 1e3)
    return min(ways)[1] if ways else None


def _comparable(arms: Sequence[Arm]) -> Finding:
    runs = [run for arm in arms for run in arm.runs]
    differing = [name for name in SAME if len({getattr(run, name) for run in runs}) > 1]
    if not differing:
        text = "Concurrency, requests, path, ab's version and keep-alive are the same in every run."
        return Finding("comparable", Severity.OK, text, {"differing": []})
    named = ", ".join(f"“{LABELS.get(name, name.replace('_', '-'))}”" for name in differing)
    text = f"The runs are not alike: {named} differ, and the rates may differ for that alone."
    return Finding("comparable", Severity.WARNING, text, {"differing": differing})


def _difference(first: Arm, other: Arm) -> Finding:
    rates = [first.rates_per_s, other.rates_per_s]
    if not all(rates):
        return not_made("difference", {LABELS["requests_per_s"]: None})
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
            f"{side_by_side}: {100 * ratio:+.1f} %, and no interval can be given. With one run in "
            "an arm nothing tells this difference from that between two runs of the same arm."
        )
        return Finding("difference", Severity.WARNING, text, values)
    interval = welch_interval(rates[0], rates[1])
    if interval.low is None or interval.high is None:
        text = (
            f"{side_by_side}: {100 * ratio:+.1f} %; each arm has one rate in all of its runs, "
            "so there is no spread to make an interval of. Are they copies of one run?"
        )
        return Finding("difference", Severity.WARNING, text, values)
    values |= {"low_percent": 100 * interval.low, "high_percent": 100 * interval.high}
    verdict = "excludes" if interval.excludes_zero else "includes"
    text = (
        f"{side_by_side}: {percent(interval)}, {100 * CONFIDENCE:.0f} % by Welch's t of the log "
        f"ratio; it {verdict} zero."
    )
    return Finding("difference", Severity.NOTE, text, values)


def welch_interval(baseline: Sequence[float], treatment: Sequence[float]) -> Interval:
    """
    The relative difference of two unpaired samples of at least two positive values each.

    Welch's t interval of the difference of the mean logarithms (Welch, "The generalization of
    'Student's' problem", Biometrika 1947); without limits where nothing varies.
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
        f"The medians are alike ({medians[0]:g} and {medians[1]:g} ms, {100 * of_medians:+.1f} %), "
        f"the mean times per request are not ({100 * of_means:+.0f} % for {other.name}): the whole "
        "difference sits in a tail, as stalls in one of the arms would make it."
    )
    values = {"medians_percent": 100 * of_medians, "means_percent": 100 * of_means}
    return [Finding("difference_in_tail", Severity.WARNING, text, values)]


def _mean_of_medians_ms(arm: Arm) -> float | None:
    medians = [run.percentiles_ms[50].value for run in arm.runs if 50 in run.percentiles_ms]
    return statistics.fmean(medians) if medians else None


def _order() -> Finding:
    text = (
        "For all that these texts say, the arms ran one after the other: drift of the machine and "
        "what the first arm left behind (caches, memory, heat) are then part of the difference, "
        "and no interval knows of them. Interleave the arms in a random order, afresh each time, "
        "and compare within pairs."
    )
    return Finding("order", Severity.NOTE, text)
