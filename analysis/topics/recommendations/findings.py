"""
Which comparisons are of a change that one can make, and what each gives up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.topics.calibration.findings import INJECTED
from experiments.declare.variants import MATCHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.statistics.estimates import Difference, Differences
    from analysis.topics.comparisons.findings import Comparison
    from experiments.records.manifest import Manifest

GIVES_UP = {
    ("network", "host"): "a network of its own for each service",
    ("entry", "direct"): "a port at the host's own address",
    ("discovery", "addresses"): "finding services by name",
    ("stdio", "docker-none"): "what docker logs shows",
    ("stdio", "docker-local"): "logs that other tools can read",
    ("server", "gunicorn"): "memory for each worker, one more program",
    ("userland_proxy", "off"): "a kernel that does not route 127.0.0.0/8",
}
"""
What is given up where a factor comes to a level, by both.

The override files in services/ say so of themselves. Of the userland proxy: without it dockerd sets
route_localnet, and does not take it back (moby, issue 45578).
"""


SERVER = ("server", "worker_class", "workers")
"""The factors that say what answers requests, which is no part of Docker."""


@dataclass(frozen=True)
class Left:
    """
    What a variant still takes longer than ``baseline``, the raw-namespace one with its server.
    """

    baseline: str
    difference: Difference


@dataclass(frozen=True)
class Change:
    """
    A change within one runtime, what it gives up (empty where not known), and what it leaves.
    """

    comparison: Comparison
    gives_up: str
    left: Left | None


def changes(
    manifest: Manifest, compared: Sequence[Comparison], measured: Differences
) -> list[Change]:
    """
    The comparisons within one runtime.

    What differs in the runtime is the question and no change that one makes; what differs in
    nothing is A/A; and nobody burns CPU time or sleeps but to calibrate.
    """
    levels = manifest.levels
    return [
        Change(
            each,
            gives_up(levels[each.baseline], levels[each.treatment]),
            remaining(manifest, measured, each.treatment),
        )
        for each in compared
        if not each.control
        and all(
            levels[each.baseline].get(factor) == levels[each.treatment].get(factor)
            for factor in ("runtime", *INJECTED)
        )
    ]


def gives_up(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """
    What is given up for these levels; empty where it is not known.
    """
    words = []
    for (factor, level), lost in GIVES_UP.items():
        came = after.get(factor) == level and before.get(factor) != level
        # On the host's network the gateway is at the host's own address, which stays.
        stays = factor == "entry" and after.get("network") == "host"
        if came and not stays:
            words.append(lost)
    return "; ".join(words)


def remaining(manifest: Manifest, measured: Differences, treatment: str) -> Left | None:
    """
    What a variant still takes longer than the raw-namespace one with the same server.

    That is the matched pair's baseline but for its server. None where none such was measured, or
    where the variant is in raw namespaces itself.
    """
    levels = manifest.levels
    matched = [each.baseline for each in manifest.comparisons if each.role == MATCHED]
    base, own = levels.get(matched[0]) if matched else None, levels[treatment]
    if base is None or base.get("runtime") == own.get("runtime"):
        return None
    wanted = {**base, **{name: own[name] for name in SERVER if name in own}}
    for each in manifest.variants:
        if each.levels == wanted and not each.twin_of:
            difference = measured.between(each.name, treatment)
            if difference is not None:
                return Left(each.name, difference)
    return None
