"""
Everything that a report says of a run, each thing computed once.

Sections, figures, exports and the check of a reproduction take it from here; they only write and
draw.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from analysis.statistics.estimates import Differences, at_once, summarise, us_per_request
from analysis.statistics.places import at_equal_place, by_place, place_term
from analysis.topics.answer.findings import answer
from analysis.topics.calibration.agreement import agreements, short_against_at_once
from analysis.topics.calibration.findings import recoveries
from analysis.topics.claims.findings import claims
from analysis.topics.comparisons.findings import comparisons
from analysis.topics.cpu.findings import cpu_comparisons, cpu_cost
from analysis.topics.ladder.findings import climb, remainder
from analysis.topics.latency.findings import latencies
from analysis.topics.limits.findings import doses
from analysis.topics.recommendations.findings import changes
from analysis.topics.trust.simulation import resampled
from analysis.topics.warm_up.findings import warm_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.run import Run
    from analysis.statistics.estimates import VariantSummary
    from analysis.statistics.intervals import Interval
    from analysis.topics.answer.findings import Answer
    from analysis.topics.calibration.agreement import Agreement
    from analysis.topics.calibration.findings import Recovery
    from analysis.topics.claims.findings import Claim
    from analysis.topics.comparisons.findings import Comparison
    from analysis.topics.cpu.findings import CpuComparison, CpuCost
    from analysis.topics.ladder.findings import Climb, Remainder
    from analysis.topics.latency.findings import Latencies
    from analysis.topics.limits.findings import Dose
    from analysis.topics.recommendations.findings import Change
    from analysis.topics.trust.simulation import Resampled
    from analysis.topics.warm_up.findings import WarmUp
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


class Findings:
    """
    What was found in a run; a topic that nobody asks for is not computed.
    """

    def __init__(self, run: Run) -> None:
        """
        Computes nothing yet.
        """
        self.run = run

    @classmethod
    def of(cls, run: Run) -> Findings:
        """
        The findings of a run.
        """
        return cls(run)

    @property
    def manifest(self) -> Manifest:
        """
        The run's manifest.
        """
        return self.run.manifest

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """
        The run's trials, as measured.
        """
        return self.run.trials

    @cached_property
    def level(self) -> list[TrialRecord]:
        """
        The trials at equal place.
        """
        return at_equal_place(self.trials)

    @cached_property
    def differences(self) -> Differences:
        """
        Of the short loads, which all verdicts rest on.
        """
        return Differences(self.level)

    @cached_property
    def differences_at_once(self) -> Differences:
        """
        Of the loads at once.
        """
        return Differences(at_once(self.level))

    @cached_property
    def summaries(self) -> dict[str, VariantSummary]:
        """
        By variant, over all of its trials.
        """
        return {each.name: summarise(each.name, self.trials) for each in self.manifest.variants}

    @cached_property
    def summaries_at_once(self) -> dict[str, VariantSummary]:
        """
        By variant, over its loads at once, where it has any.
        """
        own = at_once(self.trials)
        return {
            name: summarise(name, own) for name in dict.fromkeys(trial.variant for trial in own)
        }

    @cached_property
    def costs(self) -> dict[str, tuple[Interval, int]]:
        """
        Microseconds per request and trials, by variant; those without a trial are left out.
        """
        found = {
            each.name: us_per_request(each.name, self.trials) for each in self.manifest.variants
        }
        return {name: cost for name, cost in found.items() if cost is not None}

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """
        The declared comparisons with their verdicts.
        """
        return comparisons(self.manifest, self.differences)

    @cached_property
    def ladders(self) -> list[Climb]:
        """
        The declared ladders, each with its steps.
        """
        return climb(self.manifest, self.differences)

    @cached_property
    def remainders(self) -> list[Remainder]:
        """
        What the steps leave unexplained of each declared whole that was measured.
        """
        found = [
            remainder(whole, self.manifest, self.differences) for whole in self.manifest.wholes
        ]
        return [left for left in found if left is not None]

    @cached_property
    def changes(self) -> list[Change]:
        """
        The comparisons that are changes within one runtime.
        """
        return changes(self.manifest, self.comparisons, self.differences)

    @cached_property
    def answer(self) -> Answer | None:
        """
        What the report's first sentences rest on.
        """
        return answer(self.manifest, self.comparisons, self.ladders, self.remainders, self.changes)

    @cached_property
    def cpu_costs(self) -> dict[str, CpuCost]:
        """
        CPU time by variant, where it was looked at.
        """
        found = {each.name: cpu_cost(each.name, self.trials) for each in self.manifest.variants}
        return {name: cost for name, cost in found.items() if cost is not None}

    @cached_property
    def cpu_comparisons(self) -> list[CpuComparison]:
        """
        The declared comparisons in CPU time.
        """
        return cpu_comparisons(self.comparisons, self.trials)

    @cached_property
    def doses(self) -> list[Dose]:
        """
        Limited variants beside the unlimited ones.
        """
        return doses(self.manifest, self.differences, self.costs, self.cpu_costs)

    @cached_property
    def latencies(self) -> Latencies | None:
        """
        Of the loads by schedule; None without any, and without their logs (pooled runs).

        Raises ResultsError for a log that is missing or broken.
        """
        if self.run.folder is None or not any(trial.open_loads for trial in self.trials):
            return None
        return latencies(self.manifest, self.trials, self.run.folder)

    @cached_property
    def warm_up(self) -> WarmUp | None:
        """
        Starts, and changes over the rounds; None where nothing was recorded.
        """
        names = [each.name for each in self.manifest.variants]
        return warm_up(names, self.comparisons, self.trials)

    @cached_property
    def claims(self) -> list[Claim]:
        """
        The published claims with their verdicts; none where neither system was measured.
        """
        return claims(
            manifest=self.manifest,
            compared=self.comparisons,
            measured=self.differences,
            summaries=self.summaries,
            ladders=self.ladders,
            doses=self.doses,
            cold_starts=self.run.cold_starts,
        )

    @cached_property
    def recoveries(self) -> list[Recovery]:
        """
        What came out of known costs.
        """
        return recoveries(self.manifest, self.trials, self.level)

    @cached_property
    def agreements(self) -> list[Agreement]:
        """
        Short loads of thawed deployments against what they stand for.
        """
        return agreements(self.run.agreement)

    @cached_property
    def short_against_at_once(self) -> dict[str, Interval]:
        """
        How much longer requests of short loads take than those of loads at once, by variant.
        """
        return short_against_at_once(self.manifest, self.trials)

    @cached_property
    def place_term(self) -> Interval:
        """
        What a trial gains at twice the place (see place_term).
        """
        return place_term(self.trials)

    @cached_property
    def places(self) -> list[tuple[str, Interval, int]]:
        """
        The effect of each place (see by_place).
        """
        return by_place(self.trials)

    @cached_property
    def resampled(self) -> list[Resampled]:
        """
        The A/A pairs, resampled by this protocol and by others.
        """
        return resampled(self.comparisons, self.level, self.manifest.margin)
