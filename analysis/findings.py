"""
All results of a run that a report shows, each computed once.

Sections, figures, exports and ``analysis.verify`` read them here, and only format or draw them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from analysis.statistics.estimates import Differences, Trials, at_once, summarise, us_per_request
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
from analysis.topics.sweep.findings import Measured, curve, placed
from analysis.topics.trust.simulation import resampled
from analysis.topics.warm_up.findings import warm_up

if TYPE_CHECKING:
    from analysis.run import Run
    from analysis.statistics.estimates import VariantSummary
    from analysis.statistics.intervals import Interval
    from analysis.topics.answer.findings import Answer
    from analysis.topics.calibration.agreement import Agreement
    from analysis.topics.calibration.findings import Recovery
    from analysis.topics.claims.findings import Claim
    from analysis.topics.comparisons.findings import JudgedComparison
    from analysis.topics.cpu.findings import CpuComparison, CpuCost
    from analysis.topics.ladder.findings import Climb, Remainder
    from analysis.topics.latency.findings import Latencies
    from analysis.topics.limits.findings import LimitDose
    from analysis.topics.recommendations.findings import Change
    from analysis.topics.sweep.findings import Curve, Placed
    from analysis.topics.trust.simulation import Resampled
    from analysis.topics.warm_up.findings import WarmUp
    from experiments.records.manifest import Manifest


class Findings:
    """
    The results of one run; each is computed on first access.
    """

    def __init__(self, run: Run, other_curve: Curve | None = None) -> None:
        """
        Compute nothing yet; ``other_curve`` is that of another run, if it has a sweep.
        """
        self.run = run
        self.other_curve = other_curve

    @classmethod
    def of(cls, run: Run, other_curve: Curve | None = None) -> Findings:
        """
        The findings of a run.
        """
        return cls(run, other_curve)

    @property
    def manifest(self) -> Manifest:
        """
        The run's manifest.
        """
        return self.run.manifest

    @cached_property
    def trials(self) -> Trials:
        """
        The run's trials, as measured.
        """
        return Trials.of(self.run.trials)

    @cached_property
    def at_equal_place(self) -> Trials:
        """
        The trials, corrected to equal place in the start order (see places.py).
        """
        return Trials.of(at_equal_place(self.trials))

    @cached_property
    def differences(self) -> Differences:
        """
        Differences between variants under short loads, the basis of all verdicts.
        """
        return Differences(self.at_equal_place)

    @cached_property
    def differences_at_once(self) -> Differences:
        """
        Differences between variants under the long loads (``at_once``).
        """
        return Differences(at_once(self.at_equal_place))

    @cached_property
    def summaries(self) -> dict[str, VariantSummary]:
        """
        One summary per variant, over all of its trials.
        """
        return {each.name: summarise(each.name, self.trials) for each in self.manifest.variants}

    @cached_property
    def summaries_at_once(self) -> dict[str, VariantSummary]:
        """
        One summary per variant that has long loads (``at_once``), over these loads.
        """
        long = Trials.of(at_once(self.trials))
        return {
            name: summarise(name, long) for name in dict.fromkeys(trial.variant for trial in long)
        }

    @cached_property
    def costs(self) -> dict[str, tuple[Interval, int]]:
        """
        Microseconds per request and number of trials, per variant with trials.
        """
        costs = {
            each.name: us_per_request(each.name, self.trials) for each in self.manifest.variants
        }
        return {name: cost for name, cost in costs.items() if cost is not None}

    @cached_property
    def comparisons(self) -> list[JudgedComparison]:
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
        For each measured whole: what the sum of its steps leaves unexplained.
        """
        remainders = [
            remainder(whole, self.manifest, self.differences) for whole in self.manifest.wholes
        ]
        return [rest for rest in remainders if rest is not None]

    @cached_property
    def changes(self) -> list[Change]:
        """
        The comparisons that are changes within one runtime.
        """
        return changes(self.manifest, self.comparisons, self.differences)

    @cached_property
    def answer(self) -> Answer | None:
        """
        The results that the report's answer states.
        """
        return answer(self.manifest, self.comparisons, self.ladders, self.remainders, self.changes)

    @cached_property
    def cpu_costs(self) -> dict[str, CpuCost]:
        """
        CPU time per variant, where it was recorded.
        """
        costs = {each.name: cpu_cost(each.name, self.trials) for each in self.manifest.variants}
        return {name: cost for name, cost in costs.items() if cost is not None}

    @cached_property
    def cpu_comparisons(self) -> list[CpuComparison]:
        """
        The declared comparisons in CPU time.
        """
        return cpu_comparisons(self.comparisons, self.trials)

    @cached_property
    def doses(self) -> list[LimitDose]:
        """
        Variants with resource limits against the variants without.
        """
        return doses(self.manifest, self.differences, self.costs, self.cpu_costs)

    @cached_property
    def sweep(self) -> Curve | None:
        """
        The cost of Docker by how heavy a request is; None if this run has no sweep.
        """

        def measured(baseline: str, treatment: str) -> Measured | None:
            return Measured.of(self.differences.between(baseline, treatment))

        return curve(self.manifest, measured)

    @cached_property
    def placed(self) -> Placed | None:
        """
        The matched pair on another run's curve; None if this run has a curve itself.
        """
        if self.sweep is not None or self.other_curve is None:
            return None
        return placed(self.comparisons, self.other_curve)

    @cached_property
    def latencies(self) -> Latencies | None:
        """
        Latencies of open-loop loads; None without such loads or without their logs (pooled runs).

        Raises ResultsError for a log that is missing or broken.
        """
        if self.run.folder is None or not any(trial.open_loads for trial in self.trials):
            return None
        return latencies(self.manifest, self.trials, self.run.folder)

    @cached_property
    def warm_up(self) -> WarmUp | None:
        """
        Start-up times and drift over the rounds; None where nothing was recorded.
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
        Injected costs against recovered costs.
        """
        return recoveries(self.manifest, self.trials, self.at_equal_place)

    @cached_property
    def agreements(self) -> list[Agreement]:
        """
        Short loads of thawed deployments against one long load of a deployment never frozen.
        """
        return agreements(self.run.agreement)

    @cached_property
    def short_against_at_once(self) -> dict[str, Interval]:
        """
        Per variant: the relative time per request of short loads against long ones.
        """
        return short_against_at_once(self.manifest, self.trials)

    @cached_property
    def place_term(self) -> Interval:
        """
        The effect of doubling a trial's place in the start order (see place_term).
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
        The A/A comparisons, resampled under this protocol and under others.
        """
        return resampled(self.comparisons, self.at_equal_place, self.manifest.margin)
