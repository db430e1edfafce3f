"""
Options beside ``--resume``: the plan of the run stands, and what contradicts it is refused.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from experiments.declare.reading import VARIANTS_FILE, load_variants
from experiments.declare.stack import FOLDER, STACK_VARIANTS_FILE
from experiments.declare.workloads import choose_workload
from experiments.errors import UsageError
from experiments.records.manifest import RATE_WANTED, ROUNDS_WANTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.records.manifest import Manifest


def mirror_of(plan: Manifest) -> str:
    """
    The Debian mirror of a run as ``--mirror`` takes it.
    """
    mirror = plan.userland.mirror
    return "" if mirror == "default" else mirror


FREE = {"resume", "results", "minutes"}
"""Options that say which run is resumed, and for how long."""

PLANNED: dict[str, Callable[[Manifest], Any]] = {
    "profile": lambda plan: plan.profile,
    "blocks": lambda plan: plan.blocks,
    "half_width": lambda plan: plan.half_width,
    "margin": lambda plan: plan.margin,
    "seed": lambda plan: plan.seed,
    "machine": lambda plan: plan.machine.name,
    "workload": lambda plan: plan.workload.name,
    "stack": lambda plan: plan.stack and plan.stack.folder / plan.stack.files[0],
    "images_from": lambda plan: plan.stack.images_from if plan.stack else FOLDER,
    "url": lambda plan: [plan.url],
    "requests": lambda plan: (
        plan.pilot.requests_asked if plan.pilot.wanted == ROUNDS_WANTED else plan.requests
    ),
    "rounds": lambda plan: None if plan.pilot.wanted == ROUNDS_WANTED else plan.rounds,
    "agreement": lambda plan: plan.agreement,
    "warmup_requests": lambda plan: plan.warmup_requests,
    "open_loop": lambda plan: bool(plan.open_fractions),
    "open_requests": lambda plan: plan.open_requests,
    "common_rate": lambda plan: (
        None if plan.pilot.wanted == RATE_WANTED else plan.common_rate_per_s
    ),
    "concurrency": lambda plan: plan.concurrency,
    "same_length": lambda plan: not plan.any_length,
    "allow": lambda plan: plan.allowed,
    "allow_privileged": lambda plan: plan.allow_privileged,
    "probes": lambda plan: plan.probes,
    "mirror": mirror_of,
}
"""What the plan of a run says for an option; None if a pilot or the profile decided it."""


def refuse_contradictions(given: Mapping[str, Any], plan: Manifest) -> None:
    """
    Raise UsageError with every option that the user gave and that contradicts the plan.
    """
    found = list(contradictions(given, plan))
    if found:
        msg = (
            f"--resume continues run {plan.run} as it was planned, so leave out what contradicts "
            f"it: {'; '.join(found)}"
        )
        raise UsageError(msg)


def contradictions(given: Mapping[str, Any], plan: Manifest) -> Iterator[str]:
    """
    The options that contradict the plan, with both values.
    """
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if name == "variants":
            if set(value) != (names := planned_names(plan)):
                yield f"{option} {','.join(value)}, where the run has {','.join(sorted(names))}"
        elif name == "variants_file":
            yield from (f"{option} {value}: {words}" for words in altered_variants(value, plan))
        elif name not in FREE and not _is_planned(name, value, plan):
            planned = PLANNED[name](plan)
            words = "none" if planned is None else _as_given(planned)
            yield f"{option} {_as_given(value)}, where the run has {words}"


def _is_planned(name: str, value: object, plan: Manifest) -> bool:
    if name == "machine" and value == "auto":
        return True
    if name == "concurrency" and isinstance(value, int):
        # Not more at a time than there are requests.
        return min(value, plan.requests) == plan.concurrency or value == plan.concurrency
    return bool(PLANNED[name](plan) == value)


def _as_given(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else f"{value}"


def planned_names(plan: Manifest) -> set[str]:
    """
    The variants that the user asked for: without the copy that is the control.
    """
    asked = {each.name for each in plan.variants if not each.twin_of}
    return asked | set(plan.environment.left_out)


def altered_variants(file: Path, plan: Manifest) -> Iterator[str]:
    """
    The variants of a plan that a variants file declares in another way today, in words.

    The levels of the variant of the search are its result, so they are not compared.
    """
    declared = load_variants(file).variants
    searched = plan.search.name if plan.search else ""
    for each in plan.variants:
        now = declared.get(each.twin_of or each.name)
        if now is None:
            yield f"it no longer declares {each.name}"
        elif each.name != searched:
            yield from _altered(each, now)


def _altered(then: Variant, now: Variant) -> Iterator[str]:
    for factor, level in then.levels.items():
        if (found := now.levels.get(factor)) != level:
            yield f"{then.name} has {factor} {found}, and in the run {level}"
    digests = tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in now.overlays)
    if digests != then.overlays_sha256:
        yield f"{then.name} has other override files than in the run"


def altered_declarations(plan: Manifest) -> Iterator[str]:
    """
    What the project declares today in another way than the plan, which stands all the same.
    """
    if not plan.variants_file:
        own = STACK_VARIANTS_FILE if plan.stack else VARIANTS_FILE
        for words in altered_variants(own, plan):
            yield f"{own.name}: {words}"
    if plan.stack:
        return
    try:
        same = choose_workload(plan.workload.name) == plan.workload
    except UsageError:
        same = False
    if not same:
        yield f"the workload {plan.workload.name} is declared in another way today"
