"""
A bounded search for the best configuration: one change after the other, kept when it was faster.

The trials of the search choose, so they are biased towards what they chose; what is reported is
measured again, in blocks that the search never saw.
"""

from __future__ import annotations

import dataclasses
import math
import random
from typing import TYPE_CHECKING, Any

from experiments.factors import FACTORS, different, impossible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from experiments.variants import Search, Variant


@dataclasses.dataclass(frozen=True)
class Outcome:
    """
    What became of one change.

    ``log_ratios`` are of the time per request, changed to unchanged, one for each pair of trials.
    """

    change: dict[str, str]
    log_ratios: list[float]
    kept: bool
    note: str = ""


def search(
    wanted: Search,
    start: Variant,
    seed: int,
    measure: Callable[[Variant], float | None],
) -> tuple[dict[str, str], list[Outcome]]:
    """
    Try every change once on what was best so far; the best levels, and what became of each change.

    ``measure`` deploys a variant once and returns its microseconds per request, or None when the
    trial failed. The order within each pair is drawn from the seed.
    """
    generator = random.Random(seed)  # noqa: S311 - an order needs no cryptography
    best = dict(start.levels)
    outcomes = []
    for change in wanted.changes:
        levels = {**best, **change}
        reason = impossible(levels)
        if not different(best, levels):
            reason = "it is so already"
        if reason:
            outcomes.append(Outcome(dict(change), [], kept=False, note=f"not tried: {reason}"))
            continue
        pair = [
            dataclasses.replace(start, name=_name(wanted, each), levels=dict(each))
            for each in (best, levels)
        ]
        ratios = list(_ratios(pair, wanted.pairs, generator, measure))
        kept = bool(ratios) and sum(ratios) < 0
        note = "" if ratios else "its trials failed"
        outcomes.append(Outcome(dict(change), ratios, kept=kept, note=note))
        if kept:
            best = levels
    return best, outcomes


def _ratios(
    pair: list[Variant],
    pairs: int,
    generator: random.Random,
    measure: Callable[[Variant], float | None],
) -> Iterator[float]:
    for _ in range(pairs):
        found = {variant.name: measure(variant) for variant in generator.sample(pair, 2)}
        before, after = (found[variant.name] for variant in pair)
        if before and after:
            yield math.log(after / before)


def _name(wanted: Search, levels: Mapping[str, str]) -> str:
    """
    A name for a candidate, from the levels that the search may change.
    """
    varied = [name for name in FACTORS if any(name in change for change in wanted.changes)]
    return "-".join(levels[name] for name in varied)


def as_record(wanted: Search, levels: Mapping[str, str], outcomes: list[Outcome]) -> dict[str, Any]:
    """
    The search as a manifest holds it.
    """
    return {
        **dataclasses.asdict(wanted),
        "levels": dict(levels),
        "outcomes": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
