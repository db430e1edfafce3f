"""
The order of a block: of its deployments, and of the loads in each of its rounds.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def block_order(every: Mapping[str, int], block: int, seed: int) -> list[str]:
    """
    The variants of a block, counted from 1, in the order in which they are brought up.

    ``every`` maps the variants to 1, or to N for those that every N-th block has, the first one
    included. What is brought up earlier is slower for as long as it lives, so the order is drawn
    from the seed once and turned from block to block: each variant stands in each place equally
    often, and in a few blocks already in places all over the order. (The loads of a round have a
    random order of their own; see Abedi and Brecht, "Conducting Repeatable Experiments in Highly
    Variable Cloud Computing Environments", ICPE 2017.)
    """
    generator = random.Random(seed)  # noqa: S311 - an order needs no cryptography
    drawn = generator.sample(list(every), len(every))
    count = max(1, len(drawn))
    # One more at each new turn, so that what only some blocks have sees all places too.
    first = ((block - 1) * stride(count) + (block - 1) // count) % count
    return [name for name in drawn[first:] + drawn[:first] if (block - 1) % every[name] == 0]


def stride(count: int) -> int:
    """
    By how many of ``count`` places the order turns: so that all come, and few already lie apart.

    The number without a common divisor that is nearest to the golden section (Knuth, "The Art of
    Computer Programming", volume 3, section 6.4, on multiples of it).
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
    A round's loads in a random order in which those that are compared mostly follow each other.

    A machine's speed ten seconds later tells little of its speed now. So the order is a walk
    through what is compared: depth first, from a random start, to random neighbours, the other one
    of a ``closest`` pair first, and forwards or backwards. Either of a pair comes first equally
    often.
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
                # What comes last is taken first.
                ahead += [other for other in drawn if {name, other} not in near]
                ahead += [other for other in drawn if {name, other} in near]
    found = list(order)
    return found[::-1] if generator.random() < 0.5 else found
