"""
The answer in three sentences: what Docker costs, where that comes from, and what gets it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.claims import AS_PUBLISHED, MATCHED
from analysis.formatting import microseconds, negative, percent
from analysis.ladder import climb
from analysis.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.comparisons import Comparison
    from experiments.records import Manifest, TrialRecord

NAMED = 4
"""As many steps a sentence can hold."""


def answer(
    manifest: Manifest, trials: Sequence[TrialRecord], compared: Sequence[Comparison]
) -> str:
    """
    At most three sentences, each no more than its verdict says; empty without either pair.

    What it costs; where that comes from, where a ladder was climbed; and what gets it back.
    """
    costs = _costs(compared)
    if not costs and not manifest.ladders:
        return ""
    steps = _costly_steps(manifest, trials)
    if steps and len(costs) == 2:
        # One sentence for what it costs leaves one for where and one for what gets it back.
        costs = [f"{costs[0].rstrip('.')}; {costs[1][:1].lower()}{costs[1][1:]}"]
    sentences = [*costs, steps, _best_change(compared)]
    return "\n\n".join(["## The answer", " ".join(each for each in sentences if each)])


def _costs(compared: Sequence[Comparison]) -> list[str]:
    """
    One sentence for either pair that was measured.
    """
    pairs = {(each.baseline, each.treatment): each for each in compared}
    sentences = []
    if MATCHED in pairs:
        sentences.append(f"All else equal, Docker {_says(pairs[MATCHED])} raw network namespaces.")
    if AS_PUBLISHED in pairs:
        sentences.append(
            "As it was published, through docker-proxy and by service names against routed "
            f"bridges, Docker {_says(pairs[AS_PUBLISHED])} raw namespaces."
        )
    return sentences


def _says(each: Comparison) -> str:
    """
    A verdict as the predicate of a sentence that ends with what it is compared with.
    """
    if each.difference is None:
        return "was not measured in one block with"
    relative = each.difference.relative["us_per_request"]
    kind = each.verdict.kind
    if kind is Kind.SLOWER:
        return f"takes {percent(relative, sign='-')} more time per request than"
    if kind is Kind.FASTER:
        return f"takes {percent(negative(relative), sign='-')} less time per request than"
    if kind is Kind.EQUIVALENT:
        return (
            f"takes the same time per request, within ±{each.verdict.margin * 100:g} % "
            f"({percent(relative)}), as"
        )
    return f"cannot be told apart here ({percent(relative)} time per request) from"


def _costly_steps(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    Where the cost comes from, where a ladder was climbed.
    """
    abouts = {each["name"]: each["about"] for each in manifest.variants}
    costly = [
        (step.difference.us_per_request, abouts[step.upper].removeprefix("+ "))
        for ladder in climb(manifest, trials)
        for step in ladder
        if step.verdict.kind is Kind.SLOWER and step.difference is not None
    ]
    if not manifest.ladders:
        return ""
    if not costly:
        return "No single step of a ladder could be shown to cost time in this run."
    costly.sort(key=lambda step: step[0].estimate, reverse=True)
    words = "; ".join(f"{about} ({microseconds(us)})" for us, about in costly[:NAMED])
    more = f"; and {len(costly) - NAMED} more" if len(costly) > NAMED else ""
    return f"Single steps that cost time, the dearest first: {words}{more}."


def _best_change(compared: Sequence[Comparison]) -> str:
    """
    Which change to Docker saves most time, among those of which it was told that they save any.
    """
    gains = [
        (each.difference.relative["us_per_request"], each)
        for each in compared
        if each.verdict.kind is Kind.FASTER
        and each.difference is not None
        and each.baseline.startswith("docker")
        and each.treatment.startswith("docker")
    ]
    tried = [
        each
        for each in compared
        if each.baseline.startswith("docker") and each.treatment.startswith("docker")
    ]
    if not tried:
        return ""
    if not gains:
        return "No change to Docker that was tried could be shown to make it faster."
    relative, best = min(gains, key=lambda gain: gain[0].estimate)
    return (
        f"The change to Docker that saves most time is “{best.name}” ({best.treatment}): "
        f"{percent(negative(relative), sign='-')} less time per request than {best.baseline}."
    )
