"""
The published claims: what their own numbers support, what this run measured, and the verdict.

Each claim in ``published.toml`` names its test, a function of this module.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.formatting import count, percent, time_difference
from analysis.statistics.verdicts import Kind, judge
from analysis.topics.comparisons.findings import trusted
from experiments.declare.variants import MATCHED
from experiments.declare.variants import PUBLISHED as AS_PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.statistics.estimates import Difference, Differences, VariantSummary
    from analysis.topics.comparisons.findings import JudgedComparison
    from analysis.topics.ladder.findings import Climb
    from analysis.topics.limits.findings import LimitDose
    from experiments.records.manifest import Manifest
    from experiments.records.trials import LoadResult, TrialRecord

PUBLISHED = Path(__file__).with_name("published.toml")


class Holds(Enum):
    """
    The verdict on a claim.
    """

    YES = "holds"
    DIRECTION = "holds in direction only"
    NO = "does not hold"
    UNTESTED = "cannot be tested"


@dataclass(frozen=True)
class PublishedClaim:
    """
    A claim of the published report, and the name of its test.

    A recommendation is tested by the comparisons named in ``comparison`` and ``also``. With
    ``wholly``, the claim is that nothing of Docker's cost remains.
    """

    claim: str
    test: str
    comparison: str = ""
    also: str = ""
    wholly: bool = False


@dataclass(frozen=True)
class Claim:
    """
    One claim: what the published numbers support, what was measured here, and the verdict.
    """

    claim: str
    supported: str
    measured: str
    verdict: Holds


@dataclass(frozen=True)
class Evidence:
    """
    The data that a test may use: a run's results, its cold starts and the published numbers.

    ``numbers`` has the published metrics of each arm (``baseline``, ``treatment``), ``load`` the
    published load. ``blamed`` maps each blamed factor to the level that the report blames.
    """

    manifest: Manifest
    compared: Sequence[JudgedComparison]
    measured: Differences
    summaries: Mapping[str, VariantSummary]
    ladders: Sequence[Climb]
    doses: Sequence[LimitDose]
    cold_starts: Sequence[TrialRecord]
    numbers: Mapping[str, Mapping[str, float]]
    load: Mapping[str, Any]
    blamed: Mapping[str, str]

    def named(self, name: str) -> JudgedComparison | None:
        """
        The comparison of this name; None if it was not measured.
        """
        for each in self.compared:
            if each.name == name and each.difference is not None:
                return each
        return None

    def in_role(self, role: str) -> JudgedComparison | None:
        """
        The comparison in this role; None if it was not measured.
        """
        for each in self.compared:
            if each.role == role and each.difference is not None:
                return each
        return None

    def arms(self, arm: str) -> list[VariantSummary]:
        """
        The baselines or the treatments (``arm``) of both roles, if they have trials.
        """
        pairs = [each for role in (MATCHED, AS_PUBLISHED) if (each := self.in_role(role))]
        summaries = [self.summaries[getattr(pair, arm)] for pair in pairs]
        return [summary for summary in summaries if summary.trials or summary.aborted]


def claims(
    *,
    manifest: Manifest,
    compared: Sequence[JudgedComparison],
    measured: Differences,
    summaries: Mapping[str, VariantSummary],
    ladders: Sequence[Climb],
    doses: Sequence[LimitDose],
    cold_starts: Sequence[TrialRecord],
) -> list[Claim]:
    """
    Every published claim with its verdict.

    Empty if neither of the two pairs was measured, or under another load than the published one.
    """
    published = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))
    evidence = Evidence(
        *(manifest, compared, measured, summaries, ladders, doses, cold_starts),
        numbers=published["numbers"],
        load=published["load"],
        blamed=published["blamed"],
    )
    if evidence.in_role(AS_PUBLISHED) is None and evidence.in_role(MATCHED) is None:
        return []
    asked = (manifest.workload.path, manifest.concurrency)
    if asked != (published["load"]["path"], published["load"]["concurrency"]):
        # The published numbers say nothing about another load.
        return []
    claimed = [PublishedClaim(**table) for table in published["claims"]]
    tested = [TESTS[each.test](each, evidence) for each in claimed]
    if not trusted(compared):
        tested = [replace(each, verdict=Holds.UNTESTED) for each in tested]
    return tested


def _rate(each: PublishedClaim, evidence: Evidence) -> Claim:
    baseline, treatment = evidence.numbers["baseline"], evidence.numbers["treatment"]
    ratio = treatment["requests_per_second"] / baseline["requests_per_second"]
    supported = (
        f"{baseline['requests_per_second']:.2f} and {treatment['requests_per_second']:.2f}: one "
        "run of each, so no interval, and no word on what another run would show."
    )
    return Claim(
        each.claim,
        supported,
        _both(evidence, "requests_per_second", "requests per second"),
        _size(evidence.in_role(AS_PUBLISHED), "requests_per_second", ratio - 1),
    )


def _mean(each: PublishedClaim, evidence: Evidence) -> Claim:
    baseline, treatment = evidence.numbers["baseline"], evidence.numbers["treatment"]
    concurrency = evidence.load["concurrency"]
    means = [concurrency / arm["requests_per_second"] * 1e3 for arm in (baseline, treatment)]
    supported = (
        "The same measurement as the rate, counted twice: ab's mean is concurrency × time / "
        f"requests, and {concurrency} / {baseline['requests_per_second']} = {means[0]:.1f} ms, "
        f"{concurrency} / {treatment['requests_per_second']} = {means[1]:.1f} ms."
    )
    ratio = treatment["latency_mean_ms"] / baseline["latency_mean_ms"]
    return Claim(
        each.claim,
        supported,
        _both(evidence, "latency_mean_us", "mean latency"),
        _size(evidence.in_role(AS_PUBLISHED), "latency_mean_us", ratio - 1),
    )


def _median(each: PublishedClaim, evidence: Evidence) -> Claim:
    baseline, treatment = evidence.numbers["baseline"], evidence.numbers["treatment"]
    supported = (
        f"{baseline['latency_median_ms']:g} and {treatment['latency_median_ms']:g} ms: equal, so "
        "all of the difference in means sits above the median. A stall of the first connections "
        "would be enough; one cold run of each cannot tell it from a steady cost."
    )
    published = evidence.in_role(AS_PUBLISHED)
    verdict = Holds.UNTESTED
    if (
        published is not None
        and published.difference is not None
        and published.difference.comparable
    ):
        interval = published.difference.relative["latency_p50_us"]
        margin = evidence.manifest.margin
        if interval.low is not None and interval.high is not None:
            if -margin < interval.low and interval.high < margin:
                verdict = Holds.YES
            elif interval.low > margin or interval.high < -margin:
                verdict = Holds.NO
    return Claim(
        each.claim, supported, _both(evidence, "latency_p50_us", "median latency"), verdict
    )


def _artefact(each: PublishedClaim, evidence: Evidence) -> Claim:
    treatment, requests = evidence.numbers["treatment"], evidence.load["requests"]
    good = requests - treatment["non_2xx"]
    supported = (
        f"{treatment['failed']:g} + {treatment['non_2xx']:g} = {requests:g}. ab takes the length "
        "of the first answer that ends, whatever its status, and counts every other length as "
        f"failed. Where that first one was one of the {treatment['non_2xx']:g} errors, the other "
        f"{good:g} answers were good: about {good / requests * 100:.1f} % reliable."
    )
    rows = [cold_start(trial.load) for trial in evidence.cold_starts if trial.load is not None]
    if not rows:
        measured = "No stack was loaded before it was up in this run; the sum above stands alone."
        return Claim(each.claim, supported, measured, Holds.NO)
    measured = "For a stack that was loaded before it was up, " + "; ".join(
        f"ab {'with' if row.any_length else 'without'} `-l` counts {row.failed} of "
        f"{row.requests} as failed, and {row.non_2xx} not 2xx"
        for row in rows
    )
    shown = any(row.is_artefact for row in rows)
    measured += ". This is the same artefact." if shown else ". This is not the artefact."
    return Claim(each.claim, supported, measured, Holds.NO)


@dataclass(frozen=True)
class ColdStart:
    """
    ab's counts for a stack loaded before it was up; ``ok`` is the number of good answers.
    """

    any_length: bool
    requests: int
    failed: int
    failed_length: int
    non_2xx: int
    ok: int

    @property
    def is_artefact(self) -> bool:
        """
        Whether every answer was an error or flagged for its length, and both occurred.
        """
        flagged = self.failed_length
        return 0 < self.non_2xx < self.requests and flagged + self.non_2xx == self.requests


def cold_start(load: LoadResult) -> ColdStart:
    """
    The counts of one load before the stack was up.
    """
    return ColdStart(
        any_length="-l" in load.command,
        requests=load.requests_completed,
        failed=load.requests_failed,
        failed_length=load.details.failed_length if load.details else 0,
        non_2xx=load.responses_non_2xx,
        ok=load.requests_ok,
    )


def _reliability(each: PublishedClaim, evidence: Evidence) -> Claim:
    supported = (
        "Four answers were not 2xx. Of truncated bodies there is no sign: all 996 flagged answers "
        "differ in length from an error page, as good ones do."
    )
    return _all_good(each, supported, evidence.arms("treatment"), wanted=False)


def _stability(each: PublishedClaim, evidence: Evidence) -> Claim:
    supported = "One run without a failure; its spread is not given."
    return _all_good(each, supported, evidence.arms("baseline"), wanted=True)


def _all_good(
    each: PublishedClaim, supported: str, arms: Sequence[VariantSummary], *, wanted: bool
) -> Claim:
    """
    Test whether all requests had good answers; ``wanted`` is the outcome that the claim states.
    """
    if not arms:
        return Claim(each.claim, supported, "Not measured in this run.", Holds.UNTESTED)
    requests = sum(summary.requests for summary in arms)
    bad = sum(round((1 - (summary.reliability or 0.0)) * summary.requests) for summary in arms)
    trials = sum(summary.trials + summary.aborted for summary in arms)
    measured = (
        f"{bad} of {requests} requests in {count(trials, 'trial')} were not answered correctly."
    )
    aborted = sum(summary.aborted for summary in arms)
    if aborted:
        measured += f" {count(aborted, 'load')} broke off, and counts as none answered."
    good = bad == 0
    return Claim(each.claim, supported, measured, Holds.YES if good is wanted else Holds.NO)


def _ladder(each: PublishedClaim, evidence: Evidence) -> Claim:
    supported = "Nothing: no step between the two systems was measured."
    steps = [step for climbed in evidence.ladders for step in climbed.steps]
    if not steps:
        measured = "This run climbed no ladder; `nox -s ladder` does."
        return Claim(each.claim, supported, measured, Holds.UNTESTED)
    words = [
        f"{step.upper} after {step.lower} {time_difference(step.difference)}"
        for step in steps
        if step.verdict.kind is Kind.SLOWER and step.difference is not None
    ]
    measured = "Steps that cost time: " + ("; ".join(words) or "none that could be told") + "."
    blamed = [step for step in steps if evidence.blamed.get(step.factor) == step.to]
    kinds = {step.verdict.kind for step in blamed}
    # Other steps of the same ladders. Confinement steps split the runtime, so they are neither.
    others = [
        step.verdict.kind
        for climbed in evidence.ladders
        if any(step in blamed for step in climbed.steps)
        for step in climbed.steps
        if step not in blamed and step.factor != "confinement"
    ]
    free = {Kind.EQUIVALENT, Kind.FASTER}
    verdict = Holds.DIRECTION if Kind.SLOWER in kinds else Holds.UNTESTED
    if {step.factor for step in blamed} == set(evidence.blamed):
        if kinds == {Kind.SLOWER} and set(others) <= free:
            verdict = Holds.YES
        elif kinds <= free:
            verdict = Holds.NO
    return Claim(each.claim, supported, measured, verdict)


def _recommendation(each: PublishedClaim, evidence: Evidence) -> Claim:
    supported = "Nothing: it was recommended, and not tried."
    comparison = evidence.named(each.comparison)
    if comparison is None or comparison.difference is None:
        return Claim(each.claim, supported, "Not measured in this run.", Holds.UNTESTED)
    measured = (
        f"Time per request of {comparison.treatment} against {comparison.baseline}: "
        f"{time_difference(comparison.difference)}."
    )
    verdict = _faster(comparison.verdict.kind)
    if verdict is Holds.YES and comparison.slower_at:
        measured += f" Slower at: {', '.join(comparison.slower_at)} latency."
        verdict = Holds.DIRECTION
    matched = evidence.in_role(MATCHED)
    base = matched.baseline if matched else ""
    left = evidence.measured.between(base, comparison.treatment) if each.wholly and base else None
    if left is not None and left.comparable:
        interval = left.relative["us_per_request"]
        measured += (
            f" The remaining difference to {base}, which has no Docker but a bridge, is "
            f"{percent(interval)}, not corrected for several comparisons."
        )
        margin = evidence.manifest.margin
        # A negative remainder also means that no cost remains.
        gone = interval.high is not None and interval.high < margin
        if verdict is Holds.YES and not gone:
            verdict = Holds.DIRECTION
        elif verdict is Holds.UNTESTED and interval.low is not None and interval.low > margin:
            # The saving is undecided, but some cost certainly remains.
            verdict = Holds.NO
    elif verdict is Holds.YES and each.wholly:
        why = "was not measured" if left is None else "is not comparable"
        measured += f" The remaining difference to {base or 'raw namespaces'} {why}."
        verdict = Holds.DIRECTION
    also = evidence.named(each.also) if each.also else None
    if also is not None and also.difference is not None:
        measured += (
            f" {also.treatment} against {also.baseline}: {time_difference(also.difference)}."
        )
        # The claim holds as a whole only if both comparisons agree.
        other = _faster(also.verdict.kind)
        if other is not verdict and Holds.YES in {other, verdict}:
            verdict = Holds.DIRECTION
    return Claim(each.claim, supported, measured, verdict)


def _faster(kind: Kind) -> Holds:
    return {
        Kind.FASTER: Holds.YES,
        Kind.SLOWER: Holds.NO,
        Kind.EQUIVALENT: Holds.NO,
        Kind.CANNOT_TELL: Holds.UNTESTED,
        Kind.NOT_COMPARABLE: Holds.UNTESTED,
    }[kind]


def _resources(each: PublishedClaim, evidence: Evidence) -> Claim:
    supported = "Nothing: no limit was set, so there was none to lift."
    matched = evidence.in_role(MATCHED)
    lifted: list[tuple[str, Difference]] = []
    for dose in evidence.doses:
        if matched and dose.base == matched.treatment != dose.variant:
            difference = evidence.measured.between(dose.variant, dose.base)
            if difference is not None:
                lifted.append((dose.variant, difference))
    if not lifted:
        return Claim(each.claim, supported, "Not measured in this run.", Holds.UNTESTED)
    verdicts = judge([difference for _, difference in lifted], evidence.manifest.margin)
    words = [
        f"without the limit of {dose} {time_difference(difference)}" for dose, difference in lifted
    ]
    kinds = {_faster(verdict.kind) for verdict in verdicts}
    verdict = Holds.UNTESTED
    if Holds.YES in kinds:
        # Lifting a limit helps, but a container without a limit cannot be given more.
        verdict = Holds.DIRECTION
    elif kinds == {Holds.NO}:
        verdict = Holds.NO
    measured = (
        "Time per request: " + "; ".join(words) + ". Where no limit binds, none can be lifted."
    )
    return Claim(each.claim, supported, measured, verdict)


def _none(each: PublishedClaim, _evidence: Evidence) -> Claim:
    return Claim(
        each.claim,
        "Nothing: neither was measured.",
        "Not a quantity of this experiment.",
        Holds.UNTESTED,
    )


def _both(evidence: Evidence, metric: str, words: str) -> str:
    parts = []
    for role, name in ((AS_PUBLISHED, "as published"), (MATCHED, "matched")):
        comparison = evidence.in_role(role)
        if comparison is not None and comparison.difference is not None:
            parts.append(f"{name} {time_difference(comparison.difference, metric)}")
    return f"{words[0].upper()}{words[1:]}: {'; '.join(parts)}."


def _size(comparison: JudgedComparison | None, metric: str, published: float) -> Holds:
    """
    Whether the published relative difference agrees with the one measured as published.
    """
    if comparison is None or comparison.difference is None:
        return Holds.UNTESTED
    interval = comparison.difference.relative[metric]
    untold = comparison.verdict.kind in {Kind.CANNOT_TELL, Kind.NOT_COMPARABLE}
    if untold or interval.low is None or interval.high is None:
        return Holds.UNTESTED
    if comparison.verdict.kind is Kind.EQUIVALENT or interval.estimate * published < 0:
        return Holds.NO
    return Holds.YES if interval.low <= published <= interval.high else Holds.DIRECTION


Test = Callable[[PublishedClaim, Evidence], Claim]

TESTS: dict[str, Test] = {
    "rate": _rate,
    "mean": _mean,
    "median": _median,
    "artefact": _artefact,
    "reliability": _reliability,
    "stability": _stability,
    "ladder": _ladder,
    "recommendation": _recommendation,
    "resources": _resources,
    "none": _none,
}
