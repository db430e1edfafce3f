"""
Checks of what a type cannot say: that a record agrees with itself and with its run's manifest.

Every check yields faults in words, with the field and its value. They are for data that somebody
edited, mixed or damaged; what a run writes passes all of them.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from experiments.declare.factors import FACTORS
from experiments.declare.variants import ROLES
from experiments.records.cpu import STAT_FIELDS
from experiments.records.manifest import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    PROBES,
    RATE_WANTED,
    ROUNDS_WANTED,
    RUNNING,
)
from experiments.records.trials import ERROR, OK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from experiments.declare.variants import Variant
    from experiments.records.ab.report import AbReport
    from experiments.records.manifest import Manifest
    from experiments.records.trials import (
        AgreementLoad,
        LoadResult,
        OpenLoad,
        RoundLoad,
        TrialRecord,
    )

SHORTEST_US = 1e-3
"""A latency is zero, where ab rounds it, or at least this."""

SLACK = 1e-6
"""Relative difference of two computations of one number, with room for a rounded last digit."""

ROUNDED = 0.02
"""Relative difference of a duration from the rate: both are computed from rounded numbers."""

ROUNDED_S = 0.001
"""Difference in seconds for each load beside that, because ab prints milliseconds."""

COUNTS = (
    "requests",
    "requests_completed",
    "requests_failed",
    "requests_ok",
    "responses_non_2xx",
    "sampled",
    "sampled_bad",
)


def trial_faults(trial: TrialRecord) -> Iterator[str]:
    """
    Where a trial contradicts itself.
    """
    yield from _status_faults(trial)
    merged = max(1, len(trial.loads))
    for name, load, loads in (
        ("load", trial.load, merged),
        ("at_once", trial.at_once, 1),
        ("cold", trial.cold, 1),
    ):
        if load is not None:
            yield from _load_faults(name, load, loads)
    yield from _round_faults(trial)
    for index, each in enumerate(trial.open_loads):
        place = f"open_loads[{index}]"
        yield from _count_faults(place, each)
        if each.log.startswith("/") or ".." in each.log.split("/"):
            yield f"{place}.log is {each.log!r}, which is outside of the run"
    if trial.cpu is not None:
        for column in STAT_FIELDS:
            if column not in trial.cpu.machine_s:
                yield f"cpu.machine_s has no {column!r}"


def _status_faults(trial: TrialRecord) -> Iterator[str]:
    if trial.status not in {OK, ERROR}:
        yield f"status is {trial.status!r}, which is neither {OK!r} nor {ERROR!r}"
    elif (trial.load is None) != (trial.status == ERROR):
        yield f"status is {trial.status!r}, and load is {'there' if trial.load else 'null'}"


def _round_faults(trial: TrialRecord) -> Iterator[str]:
    for index, each in enumerate(trial.loads):
        yield from _count_faults(f"loads[{index}]", each)
        yield from _sample_faults(f"loads[{index}]", each)
    for number, times in Counter(each.round for each in trial.loads).items():
        if times > 1:
            yield f"loads has round {number} {times} times"
    if trial.load is not None and trial.loads:
        yield from _sum_faults(trial.load, trial.loads)


def placed_faults(trial: TrialRecord, manifest: Manifest) -> Iterator[str]:
    """
    Where a trial of a block contradicts its run's manifest.
    """
    block, part, position = trial.block, trial.part, trial.position
    parts = manifest.order[block - 1] if 1 <= block <= len(manifest.order) else []
    names = parts[part - 1] if 1 <= part <= len(parts) else []
    if not parts:
        yield f"block is {block}; the manifest's order has {len(manifest.order)} there"
    elif not names:
        yield f"part is {part}; the manifest's order has {len(parts)} there"
    elif not 1 <= position <= len(names):
        yield f"position is {position}; the manifest's order has {len(names)} there"
    elif names[position - 1] != trial.variant:
        yield (
            f"variant is {trial.variant!r}, but the manifest's order has {names[position - 1]!r} "
            f"in block {block}, part {part}, position {position}"
        )
    for index, each in enumerate(trial.loads):
        if each.round > manifest.rounds:
            yield f"loads[{index}].round is {each.round}; the manifest has {manifest.rounds} rounds"
            return


def agreement_faults(load: AgreementLoad, manifest: Manifest) -> Iterator[str]:
    """
    Where a load of the agreement contradicts itself or its run's manifest.
    """
    if load.requests_ok > load.requests:
        yield f"requests_ok is {load.requests_ok}, of {load.requests} requests"
    if load.variant not in {each.name for each in manifest.variants}:
        yield f"variant is {load.variant!r}, which the manifest does not have"


def manifest_faults(manifest: Manifest) -> Iterator[str]:
    """
    Where a manifest contradicts itself.
    """
    yield from _word_faults(manifest)
    variants = Counter(each.name for each in manifest.variants)
    yield from _repeated("variants", variants)
    for index, variant in enumerate(manifest.variants):
        yield from _level_faults(f"variants[{index}]", variant)
    for field, names in _named_variants(manifest):
        for name in names:
            if name not in variants:
                yield f"{field} names {name!r}, which is not among the manifest's variants"
    for index, block in enumerate(manifest.order):
        for number, part in enumerate(block):
            yield from _repeated(f"order[{index}][{number}]", Counter(part))
    yield from _whole_faults(manifest)
    yield from _session_faults(manifest)
    for index, step in enumerate(manifest.found.steps if manifest.found else ()):
        count = len(step.candidates)
        if step.chosen is not None and step.chosen >= count:
            yield f"found.steps[{index}].chosen is {step.chosen}, of {count} candidates"


def _word_faults(manifest: Manifest) -> Iterator[str]:
    for name, value, known in (
        ("state", manifest.state, (COMPLETE, INTERRUPTED, FAILED, RUNNING)),
        ("probes", manifest.probes, tuple(PROBES)),
        ("pilot.wanted", manifest.pilot.wanted, (ROUNDS_WANTED, RATE_WANTED, "")),
    ):
        if value not in known:
            yield f"{name} is {value!r}, not one of {', '.join(map(repr, known))}"
    if not SLACK <= manifest.margin < 1:
        yield f"margin is {manifest.margin:g}; it is a relative difference above 0 and below 1"
    for index, comparison in enumerate(manifest.comparisons):
        if comparison.role not in {*ROLES, ""}:
            yield f"comparisons[{index}].role is {comparison.role!r}"


def _session_faults(manifest: Manifest) -> Iterator[str]:
    states = (COMPLETE, INTERRUPTED, FAILED, RUNNING)
    for index, session in enumerate(manifest.sessions):
        if session.state not in states:
            yield f"sessions[{index}].state is {session.state!r}, not one of {', '.join(states)}"
        if session.after_block > len(manifest.order):
            yield (
                f"sessions[{index}].after_block is {session.after_block}; the manifest's order has "
                f"{len(manifest.order)} blocks"
            )


LEAST_STEPS = 2
"""Of a ladder: a step is a difference of neighbours."""


def _whole_faults(manifest: Manifest) -> Iterator[str]:
    ladders = Counter(ladder.name for ladder in manifest.ladders)
    yield from _repeated("ladders", ladders)
    for index, ladder in enumerate(manifest.ladders):
        if len(ladder.steps) < LEAST_STEPS:
            yield f"ladders[{index}].steps has {len(ladder.steps)} steps, and needs {LEAST_STEPS}"
    for index, whole in enumerate(manifest.wholes):
        if not whole.ladders:
            yield f"wholes[{index}].ladders is empty"
        for name in whole.ladders:
            if name not in ladders:
                yield f"wholes[{index}].ladders has {name!r}, which is not among the ladders"


def _level_faults(place: str, variant: Variant) -> Iterator[str]:
    """
    Levels that the analysis computes with and that are no such number.
    """
    for name, level in variant.levels.items():
        factor = FACTORS.get(name)
        if factor and factor.pattern and not factor.allows(level):
            yield f"{place}.levels.{name} is {level!r}, not {factor.choices()}"
        elif not level.isprintable():
            yield f"{place}.levels.{name} is {level!r}"
    if not variant.name.isprintable():
        yield f"{place}.name is {variant.name!r}"


def _named_variants(manifest: Manifest) -> Iterator[tuple[str, Iterable[str]]]:
    """
    The fields of a manifest that name its variants, with the names.

    ``agreement``, ``artefact`` and ``side_by_side`` may name variants that were left out.
    """
    yield "comparisons", [n for c in manifest.comparisons for n in (c.baseline, c.treatment)]
    yield "ladders", [name for ladder in manifest.ladders for name in ladder.steps]
    yield "wholes", [n for whole in manifest.wholes for n in (whole.baseline, whole.treatment)]
    yield "focal", [name for pair in manifest.focal for name in pair]
    yield "targets", [n for target in manifest.targets for n in (target.baseline, target.treatment)]
    yield "at_once", manifest.at_once
    yield "order", [name for block in manifest.order for part in block for name in part]


def _repeated(field: str, names: Counter[str]) -> Iterator[str]:
    for name, times in names.items():
        if times > 1:
            yield f"{field} has {name!r} {times} times"


def _count_faults(place: str, load: LoadResult | RoundLoad | OpenLoad) -> Iterator[str]:
    completed, ok = load.requests_completed, load.requests_ok
    if completed > load.requests:
        yield f"{place}.requests_completed is {completed}, of {load.requests} requests"
    if ok > completed:
        yield f"{place}.requests_ok is {ok}, of {completed} completed requests"


def _sample_faults(place: str, load: LoadResult | RoundLoad) -> Iterator[str]:
    if load.sampled_bad > load.sampled:
        yield f"{place}.sampled_bad is {load.sampled_bad}, of {load.sampled} sampled answers"


def _load_faults(place: str, load: LoadResult, merged: int) -> Iterator[str]:
    yield from _count_faults(place, load)
    if load.requests_ok + load.responses_non_2xx > load.requests:
        yield (
            f"{place}.responses_non_2xx is {load.responses_non_2xx} beside {load.requests_ok} good "
            f"answers, of {load.requests} requests"
        )
    yield from _sample_faults(place, load)
    yield from _report_faults(f"{place}.details", load.details)
    names = ("latency_p50_us", "latency_p90_us", "latency_p99_us", "latency_max_us")
    for lower, upper in pairwise(names):
        low, high = getattr(load, lower), getattr(load, upper)
        if 0 < low < SHORTEST_US:
            yield f"{place}.{lower} is {low:g}, less than a nanosecond"
        if low > high * (1 + SLACK):
            yield f"{place}.{lower} is {low:g}, above {upper}, {high:g}"
    rate = load.requests_per_second
    if not _near(rate, load.concurrency * 1e6 / load.latency_mean_us, SLACK):
        mean_us = load.latency_mean_us
        yield f"{place}.requests_per_second is {rate:g}, but latency_mean_us is {mean_us:g}"
    seconds = load.requests_completed / rate
    if abs(load.duration_s - seconds) > ROUNDED * seconds + ROUNDED_S * merged:
        yield (
            f"{place}.duration_s is {load.duration_s:g}, but {load.requests_completed} requests at "
            f"{rate:g} per second take {seconds:g} s"
        )


def _report_faults(place: str, report: AbReport | None) -> Iterator[str]:
    total = report.connection_times_ms.get("total") if report else None
    if total and "mean" not in total:
        yield f"{place}.connection_times_ms.total has no 'mean'"
    for percent in report.percentiles_ms if report else ():
        if not 0 <= percent <= 100:
            yield f"{place}.percentiles_ms has {percent} per cent"


def _sum_faults(load: LoadResult, loads: list[RoundLoad]) -> Iterator[str]:
    for name in COUNTS:
        total = sum(getattr(each, name) for each in loads)
        if getattr(load, name) != total:
            yield f"load.{name} is {getattr(load, name)}, but the sum over loads is {total}"
            return
    us = sum(each.us_per_request * each.requests_completed for each in loads)
    rate = load.requests_per_second
    if not _near(us * rate, load.requests_completed * 1e6, SLACK):
        yield f"load.requests_per_second is {rate:g}, which loads contradict: us_per_request"


def _near(one: float, other: float, slack: float) -> bool:
    return abs(one - other) <= slack * max(abs(one), abs(other))
