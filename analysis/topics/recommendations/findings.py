"""
The comparisons that measure a change within one runtime, and what each change gives up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.topics.calibration.findings import INJECTED
from experiments.declare.variants import MATCHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.statistics.estimates import Difference, Differences
    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.records.manifest import Manifest

GIVES_UP = {
    ("network", "host"): "a network of its own for each service",
    ("entry", "direct"): "a port at the host's own address",
    ("discovery", "addresses"): "finding services by name",
    ("stdio", "docker-none"): "what docker logs shows",
    ("stdio", "docker-local"): "logs that other tools can read",
    ("limits", "none"): "the limits' protection of other services",
    ("server", "gunicorn"): "memory for each worker, one more program",
    ("userland_proxy", "off"): "the kernel's refusal to route 127.0.0.0/8",
}
"""
What a change gives up, by the factor and the level that it changes to.

The comments of the override files in services/ say the same. Userland proxy: without it, dockerd
sets route_localnet and does not reset it (moby, issue 45578).
"""


SERVER = ("server", "worker_class", "workers")
"""The factors of the server program, which is not part of Docker."""


@dataclass(frozen=True)
class Left:
    """
    A variant's remaining difference from ``baseline``, raw namespaces with the same server.
    """

    baseline: str
    difference: Difference


@dataclass(frozen=True)
class Change:
    """
    A change within one runtime, what it gives up (empty if unknown), and what remains.

    ``same_as`` is another treatment with the same levels, against the same baseline; else empty.
    """

    comparison: JudgedComparison
    gives_up: list[str]
    left: Left | None
    same_as: str = ""


def changes(
    manifest: Manifest, compared: Sequence[JudgedComparison], measured: Differences
) -> list[Change]:
    """
    The comparisons within one runtime.

    Excluded are comparisons of runtimes (the question, not a change), A/A comparisons, and injected
    costs (calibration).
    """
    levels = manifest.levels
    return [
        Change(
            each,
            gives_up(levels[each.baseline], levels[each.treatment]),
            remaining(manifest, measured, each.treatment),
            _same_as(manifest, each, compared),
        )
        for each in compared
        if not each.control
        and all(
            levels[each.baseline].get(factor) == levels[each.treatment].get(factor)
            for factor in ("runtime", *INJECTED)
        )
    ]


def _same_as(
    manifest: Manifest, each: JudgedComparison, compared: Sequence[JudgedComparison]
) -> str:
    """
    What a search found may be a declared variant; the declared one is the original.
    """
    if manifest.search is None or each.treatment != manifest.search.name:
        return ""
    levels = manifest.levels
    for other in compared:
        if (
            other.baseline == each.baseline
            and other.treatment != each.treatment
            and levels[other.treatment] == levels[each.treatment]
        ):
            return other.treatment
    return ""


def gives_up(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """
    What a change between these levels gives up; empty if unknown.
    """
    words = []
    for (factor, level), lost in GIVES_UP.items():
        came = after.get(factor) == level and before.get(factor) != level
        # On the host network, the gateway still has the host's own address.
        stays = factor == "entry" and after.get("network") == "host"
        if came and not stays:
            words.append(lost)
    return words


def remaining(manifest: Manifest, measured: Differences, treatment: str) -> Left | None:
    """
    A variant's remaining difference from raw namespaces with the same server.

    That baseline is the matched pair's, with the server changed. None if it was not measured, and
    for a variant that runs in raw namespaces itself.
    """
    levels = manifest.levels
    matched = [each.baseline for each in manifest.comparisons if each.role == MATCHED]
    base, treated = levels.get(matched[0]) if matched else None, levels[treatment]
    if base is None or base.get("runtime") == treated.get("runtime"):
        return None
    wanted = {**base, **{name: treated[name] for name in SERVER if name in treated}}
    for each in manifest.variants:
        if each.levels == wanted and not each.twin_of:
            difference = measured.between(each.name, treatment)
            if difference is not None:
                return Left(each.name, difference)
    return None
