"""
Planning a run: how much of everything, and in which order.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from experiments.records.manifest import Manifest
    from experiments.variants import Comparison, Target, Whole

CONCURRENCY = 50
"""Requests under way at once, as published."""

REQUESTS = 250
"""Requests in each short load: about half a second on the machine that this was built on."""

ROUNDS = 6
"""Short loads of each deployment, where no pilot chooses."""

REQUESTS_AT_ONCE = 1000
"""Requests in one load, as published."""

AT_ONCE_EVERY = 2
"""Every so many blocks have such a load, the first one included: it is as long as four others."""

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

    With a ``half_width`` it then goes on until the focal comparisons have one as small as that, and
    others one as small as WIDER says.
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
        Profile("standard", 5, 10, 0.01, "the default: intervals that mean something"),
        Profile("full", 10, 60, 0.005, "narrow intervals, for results that are to be published"),
    )
}
DEFAULT_PROFILE = "standard"

WIDER = {"focal": 1.0, "step": 1.5, "comparison": 2.0, "dose": 5.0, "injected": 0.5}
"""
How many times as wide as a focal comparison's an interval may be: of a ladder's step, of the dose
of a limit, and so on.
"""


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


def parts_of(names: Sequence[str], pairs: Sequence[Sequence[str]], fits: int) -> list[list[str]]:
    """
    A block's variants in parts of at most ``fits``, so that both of each pair stand in one of them.

    One part where all fit. Else a variant may be in several parts, and has a trial in each.
    Raises DeployError when not even two fit.
    """
    if len(names) <= fits:
        return [list(names)]
    if fits < 2:
        msg = f"{max(fits, 0)} deployments fit into the memory, and what is compared needs two"
        raise DeployError(msg)
    wanted = [set(pair) for pair in pairs if set(pair) <= set(names)]
    found: list[set[str]] = []
    for pair in wanted:
        if any(pair <= part for part in found):
            continue
        if not found or len(found[-1] | pair) > fits:
            found.append(set())
        found[-1] |= pair
    for name in names:
        if not any(name in part for part in found):
            roomy = next((part for part in found if len(part) < fits), None)
            if roomy is None:
                found.append(set())
                roomy = found[-1]
            roomy.add(name)
    return [[name for name in names if name in part] for part in found]


def too_many_cpus(manifest: Manifest, cpus: int) -> list[str]:
    """
    The variants whose services may each take more CPUs than the stack has.
    """
    limits = {name: levels["cpus"] for name, levels in manifest.levels.items()}
    return [
        name
        for name, limit in limits.items()
        if limit.replace(".", "").isdecimal() and float(limit) > cpus
    ]


def leave_out(manifest: Manifest, names: Collection[str]) -> Manifest:
    """
    The same plan without some variants, and without what compares or climbs them.
    """
    there = {each.name for each in manifest.variants} - set(names)
    ladders = [each for each in manifest.ladders if there >= set(each.steps)]
    climbed = {each.name for each in ladders}

    steps = [pair for each in ladders for pair in each.pairs()]

    def both(pair: Comparison | Target | Whole) -> bool:
        return there >= {pair.baseline, pair.treatment}

    compared = [pair for pair in manifest.comparisons if both(pair)]
    still = [*steps, *((pair.baseline, pair.treatment) for pair in compared)]
    return replace(
        manifest,
        variants=[each for each in manifest.variants if each.name in there],
        comparisons=compared,
        focal=[pair for pair in manifest.focal if pair in still],
        targets=[each for each in manifest.targets if both(each)],
        at_once=[name for name in manifest.at_once if name in there],
        ladders=ladders,
        wholes=[each for each in manifest.wholes if both(each) and climbed >= set(each.ladders)],
        environment=replace(manifest.environment, left_out=sorted(names)),
    )
