"""
Pooling of several runs into one; they must have the same machine, software and settings.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec import structs

from experiments.declare.stack import same_stack
from experiments.errors import ResultsError
from experiments.records.manifest import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


def identity(manifest: Manifest) -> dict[str, Any]:
    """
    The fields that must be equal in pooled runs: the machine, the software and the load.
    """
    piloted = manifest.pilot.rounds is not None
    machine, seen, userland = manifest.machine, manifest.environment, manifest.userland
    return {
        "machine": machine.name,
        "acceleration": machine.acceleration,
        "hypervisor": machine.hypervisor,
        "box": machine.box and machine.box.sha256,
        "host": machine.host,
        "project": manifest.git,
        **{
            name: getattr(seen, name)
            for name in (
                "kernel",
                "architecture",
                "cpu_model",
                "cpus",
                "cgroup_layout",
                "clock_source",
            )
        },
        # Rounded to 0.1 GiB: the kernel reserves a slightly different amount at each boot.
        "memory_gib": round((seen.memory_bytes or 0) / 2**30, 1),
        "userland": userland.content_sha256 or userland.digest,
        "stack": same_stack(manifest.stack),
        "workload": manifest.workload,
        # A pilot may choose other numbers on the same machine.
        "requests": None if piloted else manifest.requests,
        "rounds": None if piloted else manifest.rounds,
        "requests_at_once": manifest.requests_at_once,
        "at_once": manifest.at_once,
        "concurrency": manifest.concurrency,
        "warmup_requests": manifest.warmup_requests,
        "any_length": manifest.any_length,
        "margin": manifest.margin,
        "open_fractions": manifest.open_fractions,
        "open_requests": manifest.open_requests,
        "common_rate_per_s": manifest.common_rate_per_s,
        "variants": {each.name: (each.levels, each.overlays_sha256) for each in manifest.variants},
    }


def pool(
    runs: Sequence[tuple[Manifest, Sequence[TrialRecord]]],
) -> tuple[Manifest, list[TrialRecord]]:
    """
    Pool runs into one manifest and one list of trials, with consecutive block numbers.

    Raises ResultsError for a run named twice, and for runs that differ in ``identity``; the message
    names the field and both values.
    """
    names = [manifest.run for manifest, _ in runs]
    for name in names:
        if names.count(name) > 1:
            msg = f"run {name} is named more than once; name each run once"
            raise ResultsError(msg)
    first, _ = runs[0]
    for manifest, _ in runs[1:]:
        before, after = identity(first), identity(manifest)
        for field, value in before.items():
            if after[field] != value:
                msg = (
                    f"runs {first.run} and {manifest.run} cannot be pooled: their {field} "
                    f"differs, {value!r} and {after[field]!r}"
                )
                raise ResultsError(msg)
    pooled: list[TrialRecord] = []
    order: list[list[list[str]]] = []
    for manifest, trials in runs:
        numbers, blocks = len(pooled), len(order)
        pooled += [
            structs.replace(trial, number=numbers + trial.number, block=blocks + trial.block)
            for trial in trials
        ]
        order += manifest.order
    manifests = [manifest for manifest, _ in runs]
    states = [manifest.state for manifest in manifests if manifest.state != COMPLETE]
    whole = dataclasses.replace(
        first,
        run=" + ".join(manifest.run for manifest in manifests),
        state=states[0] if states else COMPLETE,
        blocks=sum(manifest.blocks for manifest in manifests),
        order=order,
        ending=" + ".join(manifest.ending for manifest in manifests if manifest.ending),
        environment=dataclasses.replace(
            first.environment,
            stolen_s=sum(manifest.environment.stolen_s or 0.0 for manifest in manifests),
            observed_s=sum(manifest.environment.observed_s or 0.0 for manifest in manifests),
        ),
        note=" ".join(manifest.note for manifest in manifests if manifest.note),
        sessions=[],
    )
    return whole, pooled
