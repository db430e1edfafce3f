"""
Limits as doses: variants that differ from an unlimited one in their limits alone.
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
class Dose:
    """
    One variant under its limits; ``base`` is the unlimited variant, which is a dose of its own.

    ``us_per_request`` is None without a trial, and ``against_base`` without a block of both.
    ``throttled_s`` is the time at a limit per second of load, summed over services.
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
        Whether as many of its answers were good as without the limit.
        """
        return self.against_base is None or self.against_base.comparable


def doses(
    manifest: Manifest,
    measured: Differences,
    costs: Mapping[str, tuple[Interval, int]],
    cpu_costs: Mapping[str, CpuCost],
) -> list[Dose]:
    """
    Every unlimited variant that has doses, each followed by them.

    ``costs`` are microseconds per request and trials, by variant.
    """
    levels = manifest.levels
    found = []
    for base, limited in _bases(levels):
        for name in (base, *limited):
            cost, trials = costs.get(name, (None, 0))
            spent = cpu_costs.get(name)
            found.append(
                Dose(
                    base=base,
                    variant=name,
                    limits={limit: levels[name].get(limit, UNLIMITED) for limit in LIMITS},
                    us_per_request=cost,
                    trials=trials,
                    against_base=measured.between(base, name) if name != base else None,
                    throttled_s=spent.throttled_s if spent else None,
                )
            )
    return found


def _bases(levels: Mapping[str, Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """
    The variants without a limit, each with those that differ from it in limits alone.
    """
    limited = {name: own for name, own in levels.items() if is_limited(own)}
    found = []
    seen: list[Mapping[str, str]] = []
    for base, own in levels.items():
        # A second one that is the same, for A/A, has no doses of its own.
        if base not in limited and own not in seen:
            seen.append(own)
            names = [name for name, each in limited.items() if _without(each) == _without(own)]
            if names:
                found.append((base, names))
    return found


def is_limited(levels: Mapping[str, str]) -> bool:
    """
    Whether levels hold any limit.
    """
    return any(levels.get(name, UNLIMITED) != UNLIMITED for name in LIMITS)


def _without(levels: Mapping[str, str]) -> dict[str, str]:
    return {name: level for name, level in levels.items() if name not in LIMITS}
