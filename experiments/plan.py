"""
Planning a run: how much of everything, and in which order.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from experiments.records import Manifest

CONCURRENCY = 50
"""Requests under way at once, as published."""

REQUESTS = 1000
"""Requests per trial, as published."""

WARMUP_REQUESTS = 200
"""Requests before those that count; the published report had none, and measured a cold start."""

OPEN_FRACTIONS = (0.3, 0.5, 0.7, 0.9)
"""Shares of a deployment's own capacity at which it is loaded by schedule."""

OPEN_REQUESTS = 1000

DEFAULT_SEED = 1


@dataclass(frozen=True)
class Profile:
    """
    How long a run goes on: for at least ``blocks`` blocks, as far as they end within ``minutes``.

    With a ``half_width`` it then goes on until the focal comparisons have one as small as that.
    """

    name: str
    blocks: int
    minutes: float
    half_width: float | None
    about: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 3, 5, None, "a look: does it work here, and roughly what comes out"),
        Profile("standard", 10, 10, 0.02, "the default: intervals that mean something"),
        Profile("full", 30, 60, 0.01, "narrow intervals, for results that are to be published"),
    )
}
DEFAULT_PROFILE = "standard"


def block_order(
    every: Mapping[str, int], block: int, seed: int, together: Sequence[Sequence[str]] = ()
) -> list[str]:
    """
    The variants of a block, counted from 1, once each in an order drawn at random from the seed.

    ``every`` maps the variants to 1, or to N for those that every N-th block has, the first one
    included. ``together`` are pairs that are compared: what they join is one group, whose trials
    follow each other, in a random order too, because a machine's speed a minute later tells little
    of its speed now.

    Randomised interleaving keeps a drift of the machine from falling on one variant; see Abedi and
    Brecht, "Conducting Repeatable Experiments in Highly Variable Cloud Computing Environments"
    (ICPE 2017).
    """
    chosen = [name for name, number in every.items() if (block - 1) % number == 0]
    generator = random.Random(f"{seed} {block}")  # noqa: S311 - an order needs no cryptography
    order: list[str] = []
    groups = joined(chosen, together)
    for group in generator.sample(groups, len(groups)):
        order += generator.sample(group, len(group))
    return order


def joined(names: Sequence[str], pairs: Sequence[Sequence[str]]) -> list[list[str]]:
    """
    The names in groups: those that pairs join, directly or by others, are in one.
    """
    groups = [[name] for name in names]
    for pair in pairs:
        ends = [group for group in groups if set(group) & set(pair)]
        rest = [group for group in groups if group not in ends]
        groups = [*rest, [name for group in ends for name in group]] if ends else rest
    return groups


def too_many_cpus(manifest: Manifest, cpus: int) -> list[str]:
    """
    The variants whose services may each take more CPUs than the stack has.
    """
    limits = {table["name"]: table["levels"]["cpus"] for table in manifest.variants}
    return [
        name
        for name, limit in limits.items()
        if limit.replace(".", "").isdecimal() and float(limit) > cpus
    ]


def leave_out(manifest: Manifest, names: Collection[str]) -> Manifest:
    """
    The same plan without some variants, and without what compares or climbs them.
    """
    there = {table["name"] for table in manifest.variants} - set(names)
    ladders = [each for each in manifest.ladders if there >= set(each["steps"])]
    climbed = {each["name"] for each in ladders}

    steps = [list(pair) for each in ladders for pair in pairwise(each["steps"])]

    def both(pair: Mapping[str, str]) -> bool:
        return there >= {pair["baseline"], pair["treatment"]}

    compared = [pair for pair in manifest.comparisons if both(pair)]
    still = [*steps, *([pair["baseline"], pair["treatment"]] for pair in compared)]
    return replace(
        manifest,
        variants=[table for table in manifest.variants if table["name"] in there],
        comparisons=compared,
        focal=[pair for pair in manifest.focal if pair in still],
        together=[pair for pair in manifest.together if pair in still],
        ladders=ladders,
        wholes=[each for each in manifest.wholes if both(each) and climbed >= set(each["ladders"])],
        environment={**manifest.environment, "left_out": sorted(names)},
    )
