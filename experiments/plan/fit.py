"""
Fitting a plan to the machine: blocks in parts if memory is short, no limit above its CPUs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from experiments.declare.variants import Comparison, Target, Whole
    from experiments.records.manifest import Manifest


def parts_of(names: Sequence[str], pairs: Sequence[Sequence[str]], fits: int) -> list[list[str]]:
    """
    A block's variants in parts of at most ``fits``; both variants of a pair share a part.

    If not all variants fit in one part, a variant may be in several and has a trial in each.
    Raises DeployError if fewer than two fit.
    """
    if len(names) <= fits:
        return [list(names)]
    if fits < 2:
        msg = f"{max(fits, 0)} deployments fit in memory, and a comparison needs two; free some"
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
    The variants whose CPU limit is above the number of CPUs of the stack.
    """
    limits = {name: levels["cpus"] for name, levels in manifest.levels.items()}
    return [
        name
        for name, limit in limits.items()
        if limit.replace(".", "").isdecimal() and float(limit) > cpus
    ]


def leave_out(manifest: Manifest, names: Collection[str]) -> Manifest:
    """
    The same plan without some variants, and without their comparisons and ladders.
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
