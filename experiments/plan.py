"""
Planning a run: how much of everything, and in which order.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONCURRENCY = 50
"""Requests under way at once, as published."""

REQUESTS = 1000
"""Requests per trial, as published."""

WARMUP_REQUESTS = 200
"""Requests before those that count; the published report had none, and measured a cold start."""

DEFAULT_SEED = 1


@dataclass(frozen=True)
class Profile:
    """
    How long a run goes on: ``blocks`` blocks, as far as they end within ``minutes`` minutes.
    """

    name: str
    blocks: int
    minutes: float
    about: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 3, 5, "a look: does it work here, and roughly what comes out"),
        Profile("standard", 10, 10, "the default: enough blocks for intervals that mean something"),
        Profile("full", 30, 60, "narrow intervals, for results that are to be published"),
    )
}
DEFAULT_PROFILE = "standard"


def block_order(every: Mapping[str, int], blocks: int, seed: int) -> list[list[str]]:
    """
    For each block its variants once, in an order drawn at random from the seed.

    ``every`` maps the variants to 1, or to N for those that every N-th block has, the first one
    included.

    Randomised interleaving keeps a drift of the machine from falling on one variant; see Abedi and
    Brecht, "Conducting Repeatable Experiments in Highly Variable Cloud Computing Environments"
    (ICPE 2017).
    """
    generator = random.Random(seed)  # noqa: S311 - an order needs no cryptography
    order = []
    for block in range(blocks):
        chosen = [name for name, number in every.items() if block % number == 0]
        order.append(generator.sample(chosen, len(chosen)))
    return order
