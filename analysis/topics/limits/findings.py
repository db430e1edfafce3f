"""
Limits as doses: variants that differ from an unlimited variant in their limits only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.statistics.estimates import Difference, Differences
    from analysis.statistics.intervals import Interval
    from analysis.topics.cpu.findings import CpuCost
    from experiments.records.manifest import Manifest

UNLIMITED = "unlimited"
LIMITS = ("cpus", "memory")
"""The factors that limit a service."""


@dataclass(frozen=True)
class LimitDose:
    """
    One variant under its limits; ``base`` is the unlimited variant, which counts as a dose too.

    ``us_per_request`` is None without trials, ``against_base`` without a block of both variants.
    ``throttled_s`` is seconds at a CPU limit per second of load, summed over services.
    """

    base: str
    variant: str
    limits: dict[str, str]
    us_per_request: Interval | None
    trials: int
    against_base: Difference | None
    throttled_s: Interval | None

    @property
    def is_comparable(self) -> bool:
        """
        Whether its share of good answers equals that without the limit.
        """
        return self.against_base is None or self.against_base.comparable


def doses(
    manifest: Manifest,
    measured: Differences,
    costs: Mapping[str, tuple[Interval, int]],
    cpu_costs: Mapping[str, CpuCost],
) -> list[LimitDose]:
    """
    Every unlimited variant that has doses, each followed by its doses.

    ``costs`` maps variants to microseconds per request and number of trials.
    """
    levels = manifest.levels
    all_doses = []
    for base, limited in _bases(levels):
        for name in (base, *limited):
            cost, trials = costs.get(name, (None, 0))
            spent = cpu_costs.get(name)
            all_doses.append(
                LimitDose(
                    base=base,
                    variant=name,
                    limits={limit: levels[name].get(limit, UNLIMITED) for limit in LIMITS},
                    us_per_request=cost,
                    trials=trials,
                    against_base=measured.between(base, name) if name != base else None,
                    throttled_s=spent.throttled_s if spent else None,
                )
            )
    return all_doses


def _bases(levels: Mapping[str, Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """
    The unlimited variants, each with the variants that differ from it in limits only.
    """
    limited = [name for name, variant_levels in levels.items() if is_limited(variant_levels)]
    bases = []
    seen: list[Mapping[str, str]] = []
    for base, base_levels in levels.items():
        # The second arm of an A/A comparison would only repeat the doses of the first.
        if base not in limited and base_levels not in seen:
            seen.append(base_levels)
            unlimited = _without(base_levels)
            names = [name for name in limited if _without(levels[name]) == unlimited]
            if names:
                bases.append((base, names))
    return bases


def is_limited(levels: Mapping[str, str]) -> bool:
    """
    Whether any of the levels is a limit.
    """
    return any(levels.get(name, UNLIMITED) != UNLIMITED for name in LIMITS)


def _without(levels: Mapping[str, str]) -> dict[str, str]:
    return {name: level for name, level in levels.items() if name not in LIMITS}
