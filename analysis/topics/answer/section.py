"""
The answer in three sentences: what Docker costs, where that comes from, and what gets it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import microseconds, negative, percent, sentence
from analysis.statistics.verdicts import Kind
from analysis.topics.claims.findings import AS_PUBLISHED, MATCHED
from analysis.topics.comparisons.findings import trusted
from analysis.topics.ladder.findings import climb, remainder
from analysis.topics.recommendations.findings import remaining

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.topics.comparisons.findings import Comparison
    from analysis.topics.ladder.findings import Step
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

NAMED = 4
"""As many steps a sentence can hold."""

UNTRUSTED = (
    "None: in this run two things that are the same came out as two (A/A), so what it says of "
    "others is not to be relied on."
)


def answer(
    manifest: Manifest, trials: Sequence[TrialRecord], compared: Sequence[Comparison]
) -> str:
    """
    At most three sentences, each no more than its verdict says; empty without pair and ladder.

    What it costs; where that comes from, where a ladder was climbed; and what gets it back.
    """
    costs = _costs(compared)
    if not costs and not manifest.ladders:
        return ""
    if not trusted(compared):
        return f"## The answer\n\n{UNTRUSTED}"
    steps = _where(manifest, trials)
    if steps and len(costs) == 2:
        # One sentence for what it costs leaves one for where and one for what gets it back.
        costs = [f"{costs[0].rstrip('.')}; {costs[1][:1].lower()}{costs[1][1:]}"]
    sentences = [*costs, steps, _best_change(manifest, trials, compared)]
    return "\n\n".join(["## The answer", " ".join(each for each in sentences if each)])


def _costs(compared: Sequence[Comparison]) -> list[str]:
    """
    One sentence for either pair that was measured.
    """
    pairs = {(each.baseline, each.treatment): each for each in compared}
    sentences = []
    if MATCHED in pairs:
        sentences.append(
            "With the same files, network layout and way in, Docker as it comes "
            f"{_says(pairs[MATCHED])} raw network namespaces."
        )
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
    if kind is Kind.NOT_COMPARABLE:
        baseline, treatment = each.difference.good_shares
        return (
            f"cannot be compared in time per request ({treatment * 100:.2f} % of its answers were "
            f"good, and {baseline * 100:.2f} % of the baseline's) with"
        )
    if kind is Kind.EQUIVALENT:
        return (
            f"takes the same time per request, within ±{each.verdict.margin * 100:g} % "
            f"({percent(relative)}), as"
        )
    return f"cannot be told apart here ({percent(relative)} time per request) from"


def _where(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    Which steps cost time, of what leads to a whole, else of all; empty without a ladder.
    """
    if not manifest.ladders:
        return ""
    climbed = dict(
        zip((each.name for each in manifest.ladders), climb(manifest, trials), strict=True)
    )
    for whole in manifest.wholes:
        left = remainder(whole, manifest, trials)
        if left is not None:
            words = _costly(manifest, [step for name in whole.ladders for step in climbed[name]])
            return (
                f"{sentence(whole.name)} it is {microseconds(left.whole)} per request, of which "
                f"{words}; all steps together add up to {microseconds(left.steps)}."
            )
    words = _costly(manifest, [step for steps in climbed.values() for step in steps])
    return f"Of the steps that were climbed {words}."


def _costly(manifest: Manifest, steps: Sequence[Step]) -> str:
    """
    The steps that can be told to cost time, as the rest of a sentence.
    """
    abouts = manifest.abouts
    costly = [
        # What a step brings is before the colon, and what that means behind it.
        (step.difference.us_per_request, abouts[step.upper].removeprefix("+ ").partition(":")[0])
        for step in steps
        if step.verdict.kind is Kind.SLOWER and step.difference is not None
    ]
    if not costly:
        return "no single one can be shown to cost time"
    costly.sort(key=lambda step: step[0].estimate, reverse=True)
    words = ", ".join(f"{about} ({microseconds(us)})" for us, about in costly[:NAMED])
    more = f" and {len(costly) - NAMED} more" if len(costly) > NAMED else ""
    return f"these can be shown to cost time: {words}{more}"


def _best_change(
    manifest: Manifest, trials: Sequence[TrialRecord], compared: Sequence[Comparison]
) -> str:
    """
    Which change to Docker saves most time, of those of which it was told that they save any.

    Changes to one thing are ranked, to Docker as published where there are such. What a search
    found is measured like all else, but is no change that one can name.
    """
    tried = [
        each
        for each in compared
        if each.baseline.startswith("docker")
        and each.treatment.startswith("docker")
        and not each.control
        and (manifest.search is None or each.treatment != manifest.search.name)
    ]
    if not tried:
        return ""
    gains = [
        (each.difference.relative["us_per_request"], each)
        for each in tried
        if each.verdict.kind is Kind.FASTER and each.difference is not None
    ]
    if not gains:
        return "No change to Docker that was tried could be shown to make it faster."
    published = [gain for gain in gains if gain[1].baseline == AS_PUBLISHED[1]]
    relative, best = min(published or gains, key=lambda gain: gain[0].estimate)
    left = remaining(manifest, trials, best.treatment)
    rest = ""
    if left and left[1].comparable:
        words = percent(left[1].relative["us_per_request"])
        rest = f"; against raw namespaces with the same server ({left[0]}) {words} remain"
    return (
        f"Of the changes to {best.baseline} that were tried, “{best.name}” ({best.treatment}) "
        f"shows the largest saving, {percent(negative(relative), sign='-')} of the time per "
        f"request{rest}."
    )
