"""
Limits as a dose and its response: time per request under each, and the time spent standing still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.formatting import plus_minus, table, time_difference
from analysis.statistics.estimates import compare, us_per_request
from analysis.topics.cpu.findings import cpu_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

UNLIMITED = "unlimited"
LIMITS = ("cpus", "memory")

INTRODUCTION = (
    "Each service has the limit to itself. “Throttled” is the time that services spent "
    "throttled at their limit, added up over services, per second of load. “Against unlimited” is "
    "by the blocks that have both, so it need not agree with the means beside it. In raw "
    "namespaces a limit brings a control group for each service, which the unlimited one has not."
)


def limits(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each dose; empty when no variant has a limit.
    """
    variants = manifest.levels
    limited = {name: levels for name, levels in variants.items() if is_limited(levels)}
    if not limited:
        return ""
    rows = [
        _row(name, base, variants[name], trials)
        for base, doses in bases(variants, limited)
        for name in [base, *doses]
    ]
    if not rows:
        return ""
    headers = ["Variant", "CPUs", "Memory", "Time per request (µs)", "Against unlimited"]
    return "\n\n".join(
        [
            "## Resource limits: dose and response",
            INTRODUCTION + _left_out(manifest),
            table([*headers, "Throttled (s/s)", "Trials"], rows),
        ]
    )


def _left_out(manifest: Manifest) -> str:
    names = manifest.environment.left_out
    if not names:
        return ""
    return f" Left out, because the stack has fewer CPUs here: {', '.join(names)}."


def bases(
    variants: Mapping[str, Mapping[str, str]], limited: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, list[str]]]:
    """
    The variants without a limit, each with those that differ from it in limits alone.
    """
    found = []
    seen: list[Mapping[str, str]] = []
    for base, levels in variants.items():
        # A second one that is the same, for A/A, has no doses of its own.
        if base not in limited and levels not in seen:
            seen.append(levels)
            doses = [name for name, own in limited.items() if _without(own) == _without(levels)]
            if doses:
                found.append((base, doses))
    return found


def _row(
    name: str, base: str, levels: Mapping[str, str], trials: Sequence[TrialRecord]
) -> list[str]:
    cost = us_per_request(name, trials)
    spent = cpu_cost(name, trials)
    difference = compare(base, name, trials) if name != base else None
    return [
        name,
        levels["cpus"],
        levels["memory"],
        plus_minus(cost[0]) if cost else "–",
        time_difference(difference) if difference else "–",
        plus_minus(spent.throttled_s, 2) if spent else "–",
        str(cost[1] if cost else 0),
    ]


def is_limited(levels: Mapping[str, Any]) -> bool:
    """
    Whether levels hold any limit.
    """
    return any(levels.get(name, UNLIMITED) != UNLIMITED for name in LIMITS)


def _without(levels: Mapping[str, str]) -> dict[str, str]:
    return {name: level for name, level in levels.items() if name not in LIMITS}
