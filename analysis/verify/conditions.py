"""
The fields in which two runs must agree to be comparable, and the fields in which they may differ.

An effect is the difference of two configurations under one load. Another load or another
configuration is another effect, so such runs are not compared. Another machine or other software is
the point of a reproduction, so such differences are only listed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.declare.stack import same_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from analysis.run import Run
    from analysis.verify.runs import Pair
    from experiments.records.manifest import Manifest

VARIANTS = "variants"
ABSENT = "–"


@dataclass(frozen=True)
class Unlike:
    """
    A field in which two runs differ, with both values; ``entry`` says in which part of it.
    """

    field: str
    entry: str
    reference: object
    here: object

    @property
    def name(self) -> str:
        """
        The field, and the part of it.
        """
        return f"{self.field}: {self.entry}" if self.entry else self.field


def _workload(run: Run) -> object:
    return {key: value for key, value in asdict(run.manifest.workload).items() if key != "about"}


def _placement(run: Run) -> object:
    seen = {trial.placement.pinned and trial.placement.apart for trial in run.trials}
    return {True: "apart", False: "shared"}[all(seen)] if seen else None


def _acceleration(run: Run) -> object:
    return "emulated" if run.manifest.machine.is_emulated else "not emulated"


def _stack(run: Run) -> object:
    return same_stack(run.manifest.stack)


CONDITIONS: dict[str, tuple[str, Callable[[Run], object]]] = {
    "stack": ("Compose project and images", _stack),
    "workload": ("path, services, body, or the answer", _workload),
    "concurrency": ("requests under way at the same time", lambda run: run.manifest.concurrency),
    "any_length": (
        "whether the length of an answer may vary",
        lambda run: run.manifest.any_length,
    ),
    "warmup": (
        "warm or cold deployments",
        lambda run: "warm" if run.manifest.warmup_requests else "cold",
    ),
    "load_generator": (
        "tool that made the load",
        lambda run: sorted({trial.load.tool for trial in run.trials if trial.load}) or None,
    ),
    "placement": ("whether client and stack share CPUs", _placement),
    "emulation": ("whether the machine is emulated", _acceleration),
}
"""Meaning and value of each field; the value is None if a run does not record it."""

ALLOWABLE = {
    **{name: about for name, (about, _) in CONDITIONS.items()},
    VARIANTS: "levels or override files of a variant",
}
"""Fields in which runs must agree unless the user allows a difference, with their meaning."""


def incomparable(reference: Run, here: Run, shared: Iterable[Pair]) -> list[Unlike]:
    """
    All differences that make the shared effects incomparable.
    """
    found = []
    for name, (_, value) in CONDITIONS.items():
        before, after = value(reference), value(here)
        if before is not None and after is not None:
            found += _unlike(name, before, after)
    names = dict.fromkeys(name for pair in shared for name in pair)
    for name in names:
        if name not in searched(reference, here):
            found += unlike_variant(name, reference, here)
    return found


def searched(reference: Run, here: Run) -> set[str]:
    """
    Variants whose levels come from a search; another run's search may find other levels.
    """
    searches = [run.manifest.search for run in (reference, here)]
    return {search.name for search in searches if search is not None}


def unlike_variant(name: str, reference: Run, here: Run) -> list[Unlike]:
    """
    The differences of a variant between the runs.
    """
    before, after = (_configuration(run.manifest, name) for run in (reference, here))
    return _unlike(VARIANTS, before, after, f"{name}, ")


def _configuration(manifest: Manifest, name: str) -> dict[str, Any]:
    variant = manifest.variant(name)
    return {**variant.levels, "overlays_sha256": variant.overlays_sha256}


def told(reference: Run, here: Run) -> list[Unlike]:
    """
    All differences that are only listed: machine, software, plan of the run.
    """
    found = []
    before, after = _told(reference), _told(here)
    for name in dict.fromkeys([*before, *after]):
        found += _unlike(name, before.get(name), after.get(name))
    return found


def _told(run: Run) -> dict[str, object]:
    manifest = run.manifest
    machine, seen, userland = manifest.machine, manifest.environment, manifest.userland
    placed = run.trials[0].placement if run.trials else None
    names = ("kernel", "architecture", "virtualised", "cpu_model", "cpu_governor")
    return {
        "machine": machine.name,
        "acceleration": machine.acceleration,
        "hypervisor": machine.hypervisor,
        "box": machine.box and machine.box.version,
        "host": machine.host and asdict(machine.host),
        **{name: getattr(seen, name) for name in names},
        "cpus": seen.cpus_online,
        "cpus of the stack": len(placed.stack) if placed else None,
        # In whole GiB: memory that the kernel reserves is no difference.
        "memory_gib": round((seen.memory_bytes or 0) / 2**30) or None,
        "cgroup_layout": seen.cgroup_layout,
        "clock_source": seen.clock_source,
        "sysctls": seen.sysctls,
        "userland": str(userland.content_sha256 or userland.digest)[:16],
        "python": seen.python,
        "packages": userland.packages,
        "wheels": userland.wheels,
        "commit": manifest.git and manifest.git.commit[:12],
        "changed files": manifest.git and manifest.git.changed,
        "rounds": manifest.rounds,
        "requests": manifest.requests,
        "requests_at_once": manifest.requests_at_once,
        "warmup_requests": manifest.warmup_requests,
        "profile": manifest.profile,
        "margin": manifest.margin,
        "probes": manifest.probes,
        "allowed": manifest.allowed,
        "open_fractions": manifest.open_fractions,
    }


def _unlike(field: str, before: object, after: object, part: str = "") -> list[Unlike]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [] if before == after else [Unlike(field, "", before, after)]
    return [
        Unlike(field, f"{part}{key}", before.get(key, ABSENT), after.get(key, ABSENT))
        for key in sorted(before.keys() | after.keys())
        if before.get(key, ABSENT) != after.get(key, ABSENT)
    ]
