"""
The cost of Docker by how heavy a request is, and the place of another stack on that curve.

A sweep measures the matched pair again with more CPU time, or with more calls between services, in
every request of both arms. Between two points, the cost in microseconds is taken to change evenly
with the time per request: a constant cost and a cost for each call both do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analysis.statistics.intervals import Interval
from experiments.declare.variants import MATCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.statistics.estimates import Difference
    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.declare.variants import Comparison
    from experiments.records.manifest import Manifest

NO_DOSE = {"burn_us": "none", "calls": "1"}
"""The factors of a sweep, with their levels in the matched pair."""

BRANCHES = {"burn_us": "computing in one service", "calls": "calls between services"}
"""What makes requests longer on each branch of the curve, by its factor."""


@dataclass(frozen=True)
class Measured:
    """
    The difference of a pair; ``baseline_us`` and ``cost_us`` are microseconds per request.
    """

    blocks: int
    baseline_us: Interval
    cost_us: Interval
    relative: Interval

    @classmethod
    def of(cls, difference: Difference | None) -> Measured | None:
        """
        What was measured; None if it is not comparable.
        """
        if difference is None or not difference.comparable:
            return None
        return cls(
            blocks=difference.blocks,
            baseline_us=difference.baseline_us,
            cost_us=difference.us_per_request,
            relative=difference.relative["us_per_request"],
        )


@dataclass(frozen=True)
class Point:
    """
    One pair of a sweep, with its doses.
    """

    baseline: str
    treatment: str
    burn_us: int
    calls: int
    measured: Measured

    @property
    def time_us(self) -> float:
        """
        The time per request in raw namespaces.
        """
        return self.measured.baseline_us.estimate

    def has_dose_of(self, factor: str) -> bool:
        """
        Whether requests are heavier by this factor.
        """
        return self.calls > 1 if factor == "calls" else self.burn_us > 0


@dataclass(frozen=True)
class Expected:
    """
    What a branch says of a time per request: the points around it, and the relative cost there.

    Beyond an end of the branch, only the point at that end is known.
    """

    lower: Point | None
    upper: Point | None
    relative: Interval | None


@dataclass(frozen=True)
class Curve:
    """
    The points of a sweep, and of which run and CPU they are.
    """

    run: str
    cpu: str
    points: list[Point]

    def branch(self, factor: str) -> list[Point]:
        """
        The points that only this factor makes heavier, by rising time per request.

        The matched pair is the first point of each branch. Empty for fewer than two points.
        """
        others = [name for name in BRANCHES if name != factor]
        points = [each for each in self.points if not any(map(each.has_dose_of, others))]
        return sorted(points, key=lambda each: each.time_us) if len(points) > 1 else []

    def expected(self, factor: str, time_us: float) -> Expected:
        """
        What this branch says of a time per request.

        Raises IndexError for an empty branch.
        """
        points = self.branch(factor)
        for lower, upper in pairwise(points):
            if lower.time_us <= time_us <= upper.time_us:
                return Expected(lower, upper, _between(lower, upper, time_us))
        if time_us < points[0].time_us:
            return Expected(None, points[0], None)
        return Expected(points[-1], None, None)


@dataclass(frozen=True)
class Placed:
    """
    The matched pair of a run, and what each branch of another run's curve says of it.
    """

    comparison: JudgedComparison
    measured: Measured
    curve: Curve
    expected: dict[str, Expected]


def curve(manifest: Manifest, measured: Callable[[str, str], Measured | None]) -> Curve | None:
    """
    The curve of a run; None if it has no sweep.
    """
    points = [
        Point(pair.baseline, pair.treatment, burn_us, calls, known)
        for pair, burn_us, calls in _pairs(manifest)
        if (known := measured(pair.baseline, pair.treatment)) is not None
    ]
    cpu = manifest.environment.cpu_model or "an unknown CPU"
    found = Curve(manifest.run, cpu, points)
    return found if any(map(found.branch, BRANCHES)) else None


def placed(compared: Sequence[JudgedComparison], known: Curve) -> Placed | None:
    """
    The matched pair on the curve of another run; None if it was not measured.
    """
    for comparison in compared:
        measured = Measured.of(comparison.difference)
        if comparison.role == MATCHED and measured is not None:
            time_us = measured.baseline_us.estimate
            branches = [factor for factor in BRANCHES if known.branch(factor)]
            expected = {factor: known.expected(factor, time_us) for factor in branches}
            return Placed(comparison, measured, known, expected)
    return None


def _pairs(manifest: Manifest) -> list[tuple[Comparison, int, int]]:
    """
    The matched pair and those that differ from it in equal doses only: CPU time (µs) and calls.
    """

    def doses(name: str) -> tuple[str, str]:
        levels = manifest.levels[name]
        burn_us, calls = (levels.get(factor, plain) for factor, plain in NO_DOSE.items())
        return burn_us, calls

    def rest(name: str) -> object:
        variant = manifest.variant(name)
        return {**variant.levels, **NO_DOSE}, variant.overlays_sha256

    matched = [each for each in manifest.comparisons if each.role == MATCHED]
    return [
        (each, 0 if burn_us == NO_DOSE["burn_us"] else int(burn_us), int(calls))
        for plain in matched
        for each in manifest.comparisons
        if rest(each.baseline) == rest(plain.baseline)
        and rest(each.treatment) == rest(plain.treatment)
        and doses(each.baseline) == doses(each.treatment)
        for burn_us, calls in [doses(each.baseline)]
    ]


def _between(lower: Point, upper: Point, time_us: float) -> Interval:
    """
    The relative cost between two points, where the cost itself changes evenly.

    The limits are interpolated as well: that is wider than the interval of two independent points.
    """
    share = 0.0
    if upper.time_us > lower.time_us:
        share = (time_us - lower.time_us) / (upper.time_us - lower.time_us)

    def relative(one: float, other: float) -> float:
        return ((1 - share) * one * lower.time_us + share * other * upper.time_us) / time_us

    one, other = lower.measured.relative, upper.measured.relative
    return Interval(
        relative(one.estimate, other.estimate),
        None if one.low is None or other.low is None else relative(one.low, other.low),
        None if one.high is None or other.high is None else relative(one.high, other.high),
    )
