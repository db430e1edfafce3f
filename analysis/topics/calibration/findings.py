"""
Calibration by spike recovery: a known cost is injected into one arm and must be recovered.

As in analytical chemistry (Thompson, Ellison, Fajgelj, Willetts and Wood, "Harmonised Guidelines
for the Use of Recovery Information in Analytical Measurement", IUPAC 1999), the results are the
slope of recovered against injected cost, and the bias. The block is the replicate: each block gives
a slope and a bias, and their means have Student's t intervals. Time is paired by rounds and at
equal place, as in every comparison. CPU time is over all loads of a trial.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.estimates import good_shares, pairs_by_block
from analysis.statistics.intervals import t_interval
from experiments.records.trials import are_comparable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.statistics.estimates import Pair
    from analysis.statistics.intervals import Interval
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

INJECTED = {"burn_us": "CPU time", "sleep_us": "sleep"}
"""The factors that inject a cost, and the kind of cost."""

TIME = "time per request"
CPU = "CPU time of the services"
REST = "time beyond that CPU time"
MEASURES = (TIME, CPU, REST)

COMES_OUT = {
    ("burn_us", TIME): 1.0,
    ("burn_us", CPU): 1.0,
    ("burn_us", REST): 0.0,
    ("sleep_us", TIME): 1.0,
    ("sleep_us", CPU): 0.0,
    ("sleep_us", REST): 1.0,
}
"""
The share of an injected cost that each measure should show: sleep takes time but no CPU time.

``REST`` is the time per request less the CPU time of the services. It may be negative
where services compute in parallel on several CPUs.
"""


@dataclass(frozen=True)
class InjectedDose:
    """
    One dose and the cost that one measure recovered, in microseconds per request.
    """

    injected_us: int
    recovered_us: Interval

    def holds(self, share: float) -> bool:
        """
        Whether the interval contains the expected value; False without an interval.
        """
        interval = self.recovered_us
        if interval.low is None or interval.high is None:
            return False
        return interval.low <= share * self.injected_us <= interval.high


@dataclass(frozen=True)
class Recovery:
    """
    The recovery of all doses of one kind by one measure.

    ``share`` is the share of a dose that should be recovered. ``slope`` is the slope of recovered
    against injected cost; ``bias_us`` is the recovered less the expected cost, averaged over doses.
    """

    factor: str
    measure: str
    share: float
    blocks: int
    slope: Interval
    bias_us: Interval
    doses: list[InjectedDose]

    @property
    def held(self) -> int | None:
        """
        The number of doses whose interval contains the expected value; None without intervals.
        """
        if self.bias_us.low is None:
            return None
        return sum(dose.holds(self.share) for dose in self.doses)


def recoveries(
    manifest: Manifest, trials: Sequence[TrialRecord], level: Sequence[TrialRecord]
) -> list[Recovery]:
    """
    Every kind of injection by every measure, over the blocks with the baseline and all doses.

    ``level`` are the trials at equal place.
    """
    results = []
    for factor in INJECTED:
        baseline, doses = _doses(manifest, factor)
        if baseline is None or len(doses) < 2:
            continue
        for measure in MEASURES:
            # CPU time is not corrected for the place, so neither is the time less CPU time.
            rows = _rows(baseline, doses, measure, level if measure == TIME else trials)
            if rows:
                results.append(_recovery(factor, measure, sorted(doses.values()), rows))
    return results


def _doses(manifest: Manifest, factor: str) -> tuple[str | None, dict[str, int]]:
    """
    The first variant without a dose, and the variants that differ from it in the dose alone.
    """
    levels = manifest.levels
    zero = [name for name, variant_levels in levels.items() if _is_clean(variant_levels)]
    if not zero:
        return None, {}
    base = levels[zero[0]]
    doses = {
        name: int(variant_levels[factor])
        for name, variant_levels in levels.items()
        if variant_levels.get(factor, "").isdecimal()
        and int(variant_levels[factor]) > 0
        and {**variant_levels, factor: "0"} == dict(base)
    }
    return zero[0], doses


def _is_clean(levels: Mapping[str, str]) -> bool:
    return all(levels.get(factor) == "0" for factor in INJECTED)


def _rows(
    baseline: str, doses: Mapping[str, int], measure: str, trials: Sequence[TrialRecord]
) -> list[dict[int, float]]:
    """
    Recovered cost by dose for each complete block; empty if shares of good answers differ.
    """
    by_dose = {dose: pairs_by_block(baseline, name, trials) for name, dose in doses.items()}
    shares = [good_shares(baseline, name, trials) for name in doses]
    if not all(by_dose.values()) or not all(map(are_comparable, shares)):
        return []
    rows: dict[int, dict[int, float]] = {}
    for dose, blocks in by_dose.items():
        for block, pairs in blocks.items():
            costs_us = [us for pair in pairs if (us := _recovered_us(pair, measure)) is not None]
            if costs_us:
                rows.setdefault(block, {})[dose] = statistics.fmean(costs_us)
    return [row for _, row in sorted(rows.items()) if len(row) == len(by_dose)]


def _recovered_us(pair: Pair, measure: str) -> float | None:
    """
    Treatment less baseline in microseconds per request; None without CPU records.
    """
    if measure == TIME:
        return pair.difference_us
    before, after = _cpu_us(pair.baseline), _cpu_us(pair.treatment)
    if before is None or after is None:
        return None
    return after - before if measure == CPU else pair.difference_us - (after - before)


def _cpu_us(trial: TrialRecord) -> float | None:
    """
    CPU time of a trial's services in microseconds per request; None if not recorded.
    """
    if trial.load is None or trial.cpu is None or trial.facts is None:
        return None
    services = [spent for name, spent in trial.cpu.parts.items() if name in trial.facts.services]
    seconds = sum(spent.total_s for spent in services)
    return seconds * 1e6 / trial.load.requests_completed


def _recovery(
    factor: str, measure: str, doses: Sequence[int], rows: Sequence[Mapping[int, float]]
) -> Recovery:
    share = COMES_OUT[factor, measure]
    slopes = [
        statistics.linear_regression(doses, [row[dose] for dose in doses]).slope for row in rows
    ]
    biases = [statistics.fmean(row[dose] - share * dose for dose in doses) for row in rows]
    return Recovery(
        factor=factor,
        measure=measure,
        share=share,
        blocks=len(rows),
        slope=t_interval(slopes),
        bias_us=t_interval(biases),
        doses=[InjectedDose(dose, t_interval([row[dose] for row in rows])) for dose in doses],
    )
