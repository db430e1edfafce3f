"""
The plan of a run: a manifest made from the options, before anything is measured.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from experiments.declare.factors import UNLIMITED
from experiments.declare.profiles import (
    OPEN_FRACTIONS,
    PROFILES,
    REQUESTS,
    REQUESTS_AT_ONCE,
    ROUNDS,
    WIDER,
)
from experiments.declare.reading import VARIANTS_FILE, load_variants
from experiments.declare.stack import STACK_VARIANTS_FILE, stack_of
from experiments.declare.variants import (
    CONTROL,
    PUBLISHED,
    Target,
    doses,
    focal_pairs,
    with_control,
)
from experiments.errors import UsageError
from experiments.plan.requests import workloads_of
from experiments.records.manifest import (
    RATE_WANTED,
    ROUNDS_WANTED,
    RUNNING,
    MachineRecord,
    Manifest,
    PilotPlan,
    Source,
    UserlandRecord,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from experiments.declare.variants import Comparison, Variant
    from experiments.declare.workloads import Workload

PRODUCTS = "products"
"""The workload in which the gateway calls product services."""


def draft_manifest(
    options: argparse.Namespace, source: Source | None, workload: Workload | None = None
) -> Manifest:
    """
    The manifest of a run that has not begun; ``source`` is the state of the checkout.

    Without a ``workload`` it has the first one that the options ask for.

    Raises UsageError for unknown variants and workloads.
    """
    declared = load_variants(options.variants_file)
    names = list(dict.fromkeys(options.variants or declared.variants))
    ladders = declared.ladders_among(names)
    chosen, comparisons = with_control(
        declared.choose(names),
        declared.comparisons_among(names),
        ladders,
        declared.search.name if declared.search else "",
    )
    for name in options.agreement or []:
        if name not in names:
            msg = f"--agreement {name}: not a variant of this run; its variants: {', '.join(names)}"
            raise UsageError(msg)
    workload = workload or workloads_of(options)[0]
    refuse_calls(declared.choose(options.variants or []), workload.name)
    profile = PROFILES[options.profile]
    now = time.time()
    focal = focal_pairs(comparisons, ladders)
    fixed = options.blocks or options.open_loop or not focal
    half_width = options.half_width or (None if fixed else profile.half_width)
    pilot = PilotPlan()
    if options.open_loop and not options.common_rate:
        pilot = PilotPlan(RATE_WANTED)
    elif half_width and not options.rounds:
        pilot = PilotPlan(ROUNDS_WANTED, options.requests)
    requests = options.requests or REQUESTS
    declared_focal = [(each.baseline, each.treatment) for each in comparisons if each.focal]
    pairs = {
        "focal": declared_focal or ([] if ladders else focal),
        "step": [pair for ladder in ladders for pair in ladder.pairs()],
        "comparison": [
            (each.baseline, each.treatment) for each in comparisons if each.name != CONTROL
        ],
        "dose": doses(chosen, ("cpus", "memory"), UNLIMITED),
        "injected": doses(chosen, ("burn_us", "sleep_us"), "0"),
    }
    controls = [(each.baseline, each.treatment) for each in comparisons if each.name == CONTROL]
    wholes = declared.wholes_among(names)
    return Manifest(
        run=datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ"),
        state=RUNNING,
        seed=options.seed,
        profile=profile.name,
        blocks=options.blocks or profile.blocks,
        minutes=options.minutes or profile.minutes,
        half_width=half_width if focal else None,
        pilot=pilot,
        artefact=artefact_of(comparisons, workload.name),
        agreement=list(options.agreement or []),
        open_fractions=list(OPEN_FRACTIONS) if options.open_loop else [],
        common_rate_per_s=options.common_rate if options.open_loop else None,
        open_requests=options.open_requests if options.open_loop else 0,
        focal=focal,
        targets=targets(pairs, half_width) if half_width and focal else [],
        side_by_side=list(
            dict.fromkeys(
                [
                    *(pair for kind in pairs.values() for pair in kind),
                    *controls,
                    *((each.baseline, each.treatment) for each in wholes),
                ]
            )
        ),
        margin=options.margin,
        requests=requests,
        rounds=options.rounds or ROUNDS,
        requests_at_once=REQUESTS_AT_ONCE,
        at_once=sorted({name for pair in [*declared_focal, *controls] for name in pair})
        if declared_focal
        else [],
        concurrency=min(options.concurrency, requests),
        warmup_requests=options.warmup_requests,
        any_length=not options.same_length,
        workload=workload,
        variants=chosen,
        comparisons=comparisons,
        ladders=ladders,
        wholes=wholes,
        search=declared.search if declared.search and declared.search.name in names else None,
        allowed=options.allow or [],
        allow_privileged=options.allow_privileged,
        probes=options.probes,
        variants_file=str(options.variants_file)
        if options.variants_file not in {VARIANTS_FILE, STACK_VARIANTS_FILE}
        else "",
        stack=dataclasses.replace(stack_of(options.stack), images_from=options.images_from)
        if options.stack
        else None,
        url=workload.url if options.stack else None,
        machine=MachineRecord(),
        userland=UserlandRecord(),
        git=source,
        created_at=now,
    )


def targets(pairs: Mapping[str, Sequence[tuple[str, str]]], half_width: float) -> list[Target]:
    """
    The target of every pair; a pair of several kinds gets the narrowest target.
    """
    found: dict[tuple[str, str], float] = {}
    for kind, wanted in pairs.items():
        for pair in wanted:
            found[pair] = min(found.get(pair, WIDER[kind]), WIDER[kind])
    return [
        Target(baseline, treatment, half_width * wider)
        for (baseline, treatment), wider in found.items()
    ]


def refuse_calls(chosen: Sequence[Variant], workload: str) -> None:
    """
    Raise UsageError if several calls are asked for where their number cannot be proved.
    """
    for each in chosen:
        if each.levels["calls"] != "1" and workload != PRODUCTS:
            msg = (
                f"{each.name} calls product services several times for each request, which the "
                f"workload {workload} does not; leave it out, or take --workload {PRODUCTS}"
            )
            raise UsageError(msg)


def artefact_of(comparisons: Sequence[Comparison], workload: str) -> str:
    """
    The variant that is loaded before it is up: the published treatment; empty without that pair.
    """
    published = [each.treatment for each in comparisons if each.role == PUBLISHED]
    return published[0] if published and workload == PRODUCTS else ""
