"""
Random orders: of the deployments in a block, and of the loads in a round.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def block_order(every: Mapping[str, int], block: int, seed: int) -> list[str]:
    """
    The variants of a block (counted from 1) in the order in which they are brought up.

    ``every`` maps each variant to N if it has a trial in every N-th block, starting with the first.
    A deployment that is brought up earlier is slower throughout. So the order is drawn from the
    seed once and rotated from block to block: every variant takes every place equally often, and
    its first few places are spread over the order. The loads of a round have their own random order
    (Abedi and Brecht, "Conducting Repeatable Experiments in Highly Variable Cloud Computing
    Environments", ICPE 2017).
    """
    generator = random.Random(seed)  # noqa: S311 - an order needs no cryptography
    drawn = generator.sample(list(every), len(every))
    count = max(1, len(drawn))
    # Each full rotation starts one later, so that variants of every N-th block see all places.
    first = ((block - 1) * stride(count) + (block - 1) // count) % count
    return [name for name in drawn[first:] + drawn[:first] if (block - 1) % every[name] == 0]


def orders_of(block: int, part: int, seed: int) -> random.Random:
    """
    What draws all orders within a part of a block, such as those of its rounds.

    It depends on nothing else, so that a resumed run has the orders of a run without a pause.
    """
    return random.Random(f"{seed} {block} {part}")  # noqa: S311 - an order needs no cryptography


def stride(count: int) -> int:
    """
    The rotation per block: coprime to ``count``, so that all places occur, and spread out early.

    The coprime number nearest to the golden section of ``count`` (Knuth, "The Art of Computer
    Programming", volume 3, section 6.4).
    """
    golden = count * (math.sqrt(5) - 1) / 2
    coprime = [number for number in range(1, count + 1) if math.gcd(number, count) == 1]
    return min(coprime, key=lambda number: abs(number - golden))


def round_order(
    names: Sequence[str],
    pairs: Sequence[Sequence[str]],
    generator: random.Random,
    closest: Sequence[Sequence[str]] = (),
) -> list[str]:
    """
    A round's loads in a random order; the loads of a compared pair mostly follow each other.

    The speed of a machine changes within seconds. So the order is a walk through the graph of
    pairs: depth first, from a random start to random neighbours, with a neighbour from ``closest``
    first, and reversed half of the time. Either variant of a pair comes first equally often.
    """
    near = {frozenset(pair) for pair in closest}
    joined: dict[str, list[str]] = {name: [] for name in names}
    for one, other in pairs:
        if one in joined and other in joined:
            joined[one].append(other)
            joined[other].append(one)
    order: dict[str, None] = {}
    for start in generator.sample(list(names), len(names)):
        ahead = [start]
        while ahead:
            name = ahead.pop()
            if name not in order:
                order[name] = None
                drawn = generator.sample(joined[name], len(joined[name]))
                # The stack is taken from its end.
                ahead += [other for other in drawn if {name, other} not in near]
                ahead += [other for other in drawn if {name, other} in near]
    found = list(order)
    return found[::-1] if generator.random() < 0.5 else found
