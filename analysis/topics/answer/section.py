"""
The answer in three sentences: what Docker costs, where that comes from, and what gets it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import microseconds, negative, percent, sentence
from analysis.statistics.verdicts import Kind

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.answer.findings import Answer
    from analysis.topics.comparisons.findings import Comparison

NAMED = 4
"""As many steps a sentence can hold."""

UNTRUSTED = (
    "None: in this run two things that are the same came out as two (A/A), so what it says of "
    "others is not to be relied on."
)


def answer(findings: Findings) -> str:
    """
    At most three sentences, each no more than its verdict says; empty without pair and ladder.

    What it costs; where that comes from, where a ladder was climbed; and what gets it back.
    """
    found = findings.answer
    if found is None:
        return ""
    if not found.trusted:
        return f"## The answer\n\n{UNTRUSTED}"
    costs = _costs(found)
    steps = _where(found, findings.manifest.abouts)
    if steps and len(costs) == 2:
        # One sentence for what it costs leaves one for where and one for what gets it back.
        costs = [f"{costs[0].rstrip('.')}; {costs[1][:1].lower()}{costs[1][1:]}"]
    sentences = [*costs, steps, _best_change(found)]
    return "\n\n".join(["## The answer", " ".join(each for each in sentences if each)])


def _costs(found: Answer) -> list[str]:
    """
    One sentence for either pair that was measured.
    """
    sentences = []
    if found.matched:
        sentences.append(
            "With the same files, network layout and way in, Docker as it comes "
            f"{_says(found.matched)} raw network namespaces."
        )
    if found.published:
        sentences.append(
            "As it was published, through docker-proxy and by service names against routed "
            f"bridges, Docker {_says(found.published)} raw namespaces."
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


def _where(found: Answer, abouts: dict[str, str]) -> str:
    """
    Which steps cost time, of what leads to a whole, else of all; empty without a ladder.
    """
    if not found.has_ladders:
        return ""
    words = _costly(found, abouts)
    if found.whole is None:
        return f"Of the steps that were climbed {words}."
    return (
        f"{sentence(found.whole.declared.name)} it is {microseconds(found.whole.whole)} per "
        f"request, of which {words}; all steps together add up to "
        f"{microseconds(found.whole.steps)}."
    )


def _costly(found: Answer, abouts: dict[str, str]) -> str:
    """
    The steps that can be told to cost time, as the rest of a sentence.
    """
    costly = [
        # What a step brings is before the colon, and what that means behind it.
        f"{abouts[step.upper].removeprefix('+ ').partition(':')[0]} "
        f"({microseconds(step.difference.us_per_request)})"
        for step in found.costly
        if step.difference is not None
    ]
    if not costly:
        return "no single one can be shown to cost time"
    more = f" and {len(costly) - NAMED} more" if len(costly) > NAMED else ""
    return f"these can be shown to cost time: {', '.join(costly[:NAMED])}{more}"


def _best_change(found: Answer) -> str:
    """
    Which change to Docker saves most time, of those of which it was told that they save any.
    """
    if not found.tried:
        return ""
    if found.best is None or found.best.comparison.relative is None:
        return "No change to Docker that was tried could be shown to make it faster."
    best, left = found.best.comparison, found.best.left
    rest = ""
    if left and left.difference.comparable:
        words = percent(left.difference.relative["us_per_request"])
        rest = f"; against raw namespaces with the same server ({left.baseline}) {words} remain"
    return (
        f"Of the changes to {best.baseline} that were tried, “{best.name}” ({best.treatment}) "
        f"shows the largest saving, {percent(negative(found.best.comparison.relative), sign='-')} "
        f"of the time per request{rest}."
    )
