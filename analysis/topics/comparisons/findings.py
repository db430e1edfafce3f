"""
The comparisons of a run, each with its difference and its verdict.
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
"""An instrument that sees a difference where there is none at this level is not to be trusted."""


@dataclass(frozen=True)
class Comparison:
    """
    One treatment against its baseline.

    ``family`` is how many comparisons its p-value is corrected for. ``control`` says that both are
    the same thing, so that what is seen between them is the instrument's own doing (A/A). ``role``
    is what the comparison is for the answer: one of ROLES, or empty.
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
        The relative difference in time per request; None where it is not known or not comparable.
        """
        difference = self.difference
        if difference is None or not difference.comparable:
            return None
        return difference.relative["us_per_request"]

    def trust_interval(self) -> Interval | None:
        """
        The 99 % interval of the relative difference's logarithm; None without two blocks.

        None too where the arms are not comparable.
        """
        difference = self.difference
        if difference is None or difference.blocks < 2 or not difference.comparable:
            return None
        return t_interval(difference.log_ratios, TRUST_CONFIDENCE)


def comparisons(manifest: Manifest, measured: Differences) -> list[Comparison]:
    """
    All that a manifest declares; those of one thing with itself are a family of their own.
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
        Comparison(
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


def trusted(compared: Sequence[Comparison]) -> bool:
    """
    Whether no thing that was measured twice came out as two.
    """
    intervals = [each.trust_interval() for each in compared if each.control]
    return not any(each is not None and each.excludes_zero for each in intervals)


def is_control(manifest: Manifest, baseline: str, treatment: str) -> bool:
    """
    Whether two variants are the same but for their names.
    """
    one, other = manifest.variant(baseline), manifest.variant(treatment)
    same = (one.levels, one.overlays_sha256) == (other.levels, other.overlays_sha256)
    return baseline != treatment and same
