"""
A run of the published pair, and the claims that are tested by it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from msgspec import structs

from experiments.declare.variants import PUBLISHED as AS_PUBLISHED
from experiments.declare.variants import Comparison, Variant
from tests.unit.samples import findings, load, manifest, trial

if TYPE_CHECKING:
    from analysis.topics.claims.findings import Claim
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

PAIR = ("netns-as-published", "docker-as-published")


def run_of(ratio: float, blocks: int = 9, non_2xx: int = 0) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of the published pair, whose Docker takes so many times as long per request.
    """
    made = dataclasses.replace(
        manifest(blocks=blocks),
        variants=[Variant(name, name, {"runtime": name}) for name in PAIR],
        comparisons=[Comparison("the two", "", *PAIR, role=AS_PUBLISHED)],
    )
    trials = []
    for block in range(1, blocks + 1):
        for position, (name, times) in enumerate(zip(PAIR, (1.0, ratio), strict=True)):
            # A spread of one per cent, so that intervals are intervals.
            rate = 250 / times * (1 + 0.01 * ((block + position) % 3 - 1))
            one = trial(2 * block + position, block, name, rate)
            trials.append(structs.replace(one, load=load(rate, non_2xx=non_2xx)))
    return made, trials


def judged(made: Manifest, trials: list[TrialRecord]) -> list[Claim]:
    """
    All claims, without a cold start.
    """
    return findings(made, trials).claims


def found(of: tuple[Manifest, list[TrialRecord]], beginning: str) -> Claim:
    """
    The claim that begins so.
    """
    (each,) = [each for each in judged(*of) if each.claim.startswith(beginning)]
    return each
