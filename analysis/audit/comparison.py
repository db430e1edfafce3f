"""
The comparison of arms: the difference of their rates, with the interval that the runs support.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.audit.account import account_of
from analysis.audit.findings import Finding, Severity, share, shortened
from analysis.formatting import GOOD_PERCENT, count, percent
from analysis.statistics.intervals import CONFIDENCE, Interval, welch
from experiments.records.ab.output import seconds_per_request
from experiments.records.trials import are_comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from experiments.records.ab.output import AbOutput

LONGEST_REASON = 120

SAME_DURATION = 0.02
"""Durations that differ by less are those of one time limit (-t)."""

MEDIANS_FROM = 0.9
"""With this share of good answers, bad ones move a median little."""

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
    def measured(self) -> list[AbOutput]:
        """
        The runs that have a result with a rate.
        """
        return [run for run in self.runs if _fault(run) is None]

    @property
    def rates_per_s(self) -> list[float]:
        """
        The rate of every such run.
        """
        return [1 / time_s for run in self.measured if (time_s := seconds_per_request(run))]

    @property
    def good(self) -> tuple[float, float]:
        """
        The least and the largest share of good answers that all of these runs together may have.
        """
        least, most, complete = 0, 0, 0
        for account in map(account_of, self.measured):
            complete += account.complete
            most += account.good.most
            # Where nothing was counted against it, a run is not under suspicion.
            unsuspected = account.likely == account.complete
            least += account.complete if unsuspected else account.good.least
        return least / complete, most / complete


def _fault(run: AbOutput) -> str | None:
    """
    Why a run has no place in a comparison; None if it has.
    """
    if run.failure:
        return shortened(run.failure, LONGEST_REASON)
    return None if run.requests_completed and seconds_per_request(run) else "it has no rate"


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
    found += _comparable(compared)
    for other in others:
        found += [*_perhaps_bad(first, other), _difference(first, other)]
        found += _in_the_tail(first, other)
    return [*found, _order()]


def _left_out(arms: Sequence[Arm]) -> list[Finding]:
    """
    One finding on every arm of which runs are left out.
    """
    found = []
    for arm in arms:
        faults = {number: _fault(run) for number, run in enumerate(arm.runs, 1)}
        faults = {number: fault for number, fault in faults.items() if fault}
        if not faults and arm.runs:
            continue
        text = f"{arm.name} is not compared, because it has no output of ab."
        if arm.runs:
            named = "; ".join(f"run {number}: {fault}" for number, fault in faults.items())
            text = (
                f"{len(faults)} of {count(len(arm.runs), 'run')} of {arm.name} left out of the "
                f"comparison ({named})."
            )
        values = {"arm": arm.name, "runs": list(faults)}
        found.append(Finding("left_out", Severity.WARNING, text, values))
    return found


def _version(run: AbOutput) -> str | None:
    return run.version and run.version + ("" if run.workers is None else " (trunk)")


def _keep_alive(run: AbOutput) -> str | None:
    return None if run.keep_alive is None else "with -k" if run.keep_alive else "without -k"


def _length(run: AbOutput) -> str | None:
    """
    The length of the good answers, which is not the document's if the first answer was bad.
    """
    if run.document_length_variable:
        return "not compared (-l)"
    length = account_of(run).good_bytes
    return None if length is None else count(length, "byte")


def _path(run: AbOutput) -> str | None:
    return run.document_path and shortened(run.document_path, 40)


DESCRIBED: dict[str, Callable[[AbOutput], str | None]] = {
    "concurrency": lambda run: None if run.concurrency is None else str(run.concurrency),
    "version of ab": _version,
    "keep-alive": _keep_alive,
    "TLS": lambda run: run.tls_protocol and "TLS",
    "document length": _length,
    "path": _path,
}
"""What must be the same in every run; a difference in one may change the rate by itself."""


def _comparable(arms: Sequence[Arm]) -> list[Finding]:
    """
    One finding for each thing that the arms differ in.
    """
    described = {
        name: [_distinct(map(describe, arm.measured)) for arm in arms]
        for name, describe in DESCRIBED.items()
    }
    described["number of requests and duration"] = _amounts(arms)
    found = []
    for name, values in described.items():
        known = [value for value in values if value]
        if len(set(known)) < 2 and not any(len(value) > 1 for value in known):
            continue
        shown = ", ".join(
            f"{arm.name} {' and '.join(value)}"
            for arm, value in zip(arms, values, strict=True)
            if value
        )
        text = f"The runs differ in {name}, which alone may change the rate: {shown}."
        found.append(Finding("comparable", Severity.WARNING, text, {"differing": [name]}))
    if found:
        return found
    text = (
        f"All runs have the same {', '.join(DESCRIBED)}, and the same number of requests or "
        "duration, as far as they tell."
    )
    return [Finding("comparable", Severity.OK, text, {"differing": []})]


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))


def _amounts(arms: Sequence[Arm]) -> list[tuple[str, ...]]:
    """
    The amounts of work of each arm, if neither the requests nor the durations are the same.
    """
    runs = [run for arm in arms for run in arm.measured]
    durations_s = [run.duration_s.value for run in runs if run.duration_s]
    same_requests = len({run.requests_completed for run in runs}) == 1
    if same_requests or not durations_s:
        return [() for _ in arms]
    if max(durations_s) <= min(durations_s) * (1 + SAME_DURATION):
        return [() for _ in arms]
    return [
        _distinct(
            f"{run.requests_completed} in {run.duration_s.value:.3g} s"
            for run in arm.measured
            if run.duration_s
        )
        for arm in arms
    ]


def _good_shares(first: Arm, other: Arm) -> str:
    shown = ", ".join(
        f"{share(most, 1) if least == most else f'{share(least, 1)} to {share(most, 1)}'} of {name}"
        for name, (least, most) in ((arm.name, arm.good) for arm in (first, other))
    )
    return f"{shown} were good, and times are compared from {GOOD_PERCENT}"


def _perhaps_bad(first: Arm, other: Arm) -> list[Finding]:
    """
    That more answers may be bad than a comparison of times allows, where this is not certain.
    """
    shares = [arm.good for arm in (first, other)]
    if are_comparable(least for least, _ in shares):
        return []
    if not are_comparable(most for _, most in shares):
        return []
    text = (
        "Perhaps not comparable in time, because bad answers may be fast: "
        f"{_good_shares(first, other)}."
    )
    return [Finding("good_answers", Severity.WARNING, text)]


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
    if not are_comparable(arm.good[1] for arm in (first, other)):
        text = (
            f"Not comparable in time, because bad answers may be fast: "
            f"{_good_shares(first, other)} ({side_by_side})."
        )
        return Finding("difference", Severity.WARNING, text, values)
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
    if any(arm.good[0] < MEDIANS_FROM for arm in (first, other)):
        return []
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
