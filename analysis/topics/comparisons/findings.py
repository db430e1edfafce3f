"""
The comparisons of a run with their differences and verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.intervals import Interval, t_interval
from analysis.statistics.verdicts import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.estimates import Difference, Differences
    from analysis.statistics.verdicts import Verdict
    from experiments.records.manifest import Manifest

TRUST_CONFIDENCE = 0.99
"""Confidence of the A/A interval; if it excludes zero, the run is not to be trusted."""


QUANTILES = {"median": "latency_p50_us", "p99": "latency_p99_us"}
"""Latency quantiles by name, with their metric."""


@dataclass(frozen=True)
class JudgedComparison:
    """
    One treatment against its baseline.

    ``family`` is the number of comparisons that its p-value is corrected for. ``control`` marks an
    A/A comparison: both arms are the same, so any difference comes from the instrument. ``role`` is
    the comparison's role in the answer: one of ROLES, or empty.
    """

    name: str
    about: str
    baseline: str
    treatment: str
    difference: Difference | None
    verdict: Verdict
    family: int = 1
    control: bool = False
    role: str = ""

    @property
    def relative(self) -> Interval | None:
        """
        The relative difference in time per request; None if unknown or not comparable.
        """
        difference = self.difference
        if difference is None or not difference.comparable:
            return None
        return difference.relative["us_per_request"]

    @property
    def slower_at(self) -> list[str]:
        """
        The latency quantiles at which the treatment is slower, by their uncorrected intervals.
        """
        difference = self.difference
        if difference is None or not difference.comparable:
            return []
        intervals = {name: difference.relative[metric] for name, metric in QUANTILES.items()}
        return [
            name
            for name, interval in intervals.items()
            if interval.low is not None and interval.low > 0
        ]

    def trust_interval(self) -> Interval | None:
        """
        The interval of the log-ratio with TRUST_CONFIDENCE.

        None for fewer than two blocks, and if the arms are not comparable.
        """
        difference = self.difference
        if difference is None or difference.blocks < 2 or not difference.comparable:
            return None
        return t_interval(difference.log_ratios, TRUST_CONFIDENCE)


def comparisons(manifest: Manifest, measured: Differences) -> list[JudgedComparison]:
    """
    The comparisons that a manifest declares; A/A comparisons are corrected as a separate family.
    """
    declared = manifest.comparisons
    controls = [is_control(manifest, pair.baseline, pair.treatment) for pair in declared]
    differences = [measured.between(pair.baseline, pair.treatment) for pair in declared]
    verdicts: dict[int, Verdict] = {}
    sizes = {}
    for kind in (False, True):
        family = [index for index, control in enumerate(controls) if control is kind]
        judged = judge([differences[index] for index in family], manifest.margin)
        verdicts |= dict(zip(family, judged, strict=True))
        sizes[kind] = sum(verdict.p_value is not None for verdict in judged)
    return [
        JudgedComparison(
            name=pair.name,
            about=pair.about,
            baseline=pair.baseline,
            treatment=pair.treatment,
            difference=differences[index],
            verdict=verdicts[index],
            family=sizes[controls[index]],
            control=controls[index],
            role=pair.role,
        )
        for index, pair in enumerate(declared)
    ]


def trusted(compared: Sequence[JudgedComparison]) -> bool:
    """
    Whether no A/A comparison shows a difference.
    """
    intervals = [each.trust_interval() for each in compared if each.control]
    return not any(each is not None and each.excludes_zero for each in intervals)


def is_control(manifest: Manifest, baseline: str, treatment: str) -> bool:
    """
    Whether two variants differ in their names only (A/A).
    """
    one, other = manifest.variant(baseline), manifest.variant(treatment)
    same = (one.levels, one.overlays_sha256) == (other.levels, other.overlays_sha256)
    return baseline != treatment and same
