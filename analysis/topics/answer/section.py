"""
The answer: Docker's cost, where it comes from, and the change that saves most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import microseconds, negative, percent, sentence
from analysis.statistics.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.findings import Findings
    from analysis.topics.answer.findings import Answer
    from analysis.topics.comparisons.findings import JudgedComparison

NAMED = 4
"""The most steps that the sentence names."""

UNTRUSTED = (
    "None. This run found a difference between two deployments of the same thing (A/A), so its "
    "other differences cannot be relied on."
)


def answer(findings: Findings) -> str:
    """
    One item for each part of the question; empty without an answer.
    """
    result = findings.answer
    if result is None:
        return ""
    if not result.trusted:
        return f"## The answer\n\n{UNTRUSTED}"
    items = [
        ("What it costs", _costs(result)),
        ("Where that comes from", _where(result, findings.manifest.abouts)),
        ("What gets it back", _best_change(result)),
    ]
    lines = [f"- **{name}.** {words}" for name, words in items if words]
    return "\n\n".join(["## The answer", "\n".join(lines)])


def _costs(result: Answer) -> str:
    sentences = []
    if result.matched:
        sentences.append(
            f"Docker {_says(result.matched)} raw network namespaces, with the same files, network "
            "layout and entry."
        )
    if result.published:
        sentences.append(
            f"As published (docker-proxy, service names, routed bridges), it "
            f"{_says(result.published)} raw namespaces."
        )
    return " ".join(sentences)


def _says(each: JudgedComparison) -> str:
    """
    The verdict as a predicate; the sentence ends with the baseline.
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
    return f"cannot be told apart ({percent(relative)} time per request) from"


def _where(result: Answer, abouts: Mapping[str, str]) -> str:
    """
    The steps that cost time, and the whole that they lead to; empty without a ladder.
    """
    if not result.has_ladders:
        return ""
    costly = _costly(result, abouts)
    if result.whole is None:
        return costly
    return (
        f"The ladder has its own baseline. {sentence(result.whole.declared.name)}: "
        f"{microseconds(result.whole.whole)} per request. "
        f"{costly} All steps add up to {microseconds(result.whole.steps)}."
    )


def _costly(result: Answer, abouts: Mapping[str, str]) -> str:
    costly = [
        # The description of a variant is "+ what the step adds: what that means".
        f"{abouts[step.upper].removeprefix('+ ').partition(':')[0]} "
        f"({microseconds(step.difference.us_per_request)})"
        for step in result.costly
        if step.difference is not None
    ]
    if not costly:
        return "No single step could be shown to cost time."
    more = f"; and {len(costly) - NAMED} more" if len(costly) > NAMED else ""
    return f"These steps cost time: {'; '.join(costly[:NAMED])}{more}."


def _best_change(result: Answer) -> str:
    if not result.tried:
        return ""
    if result.best is None or result.best.comparison.relative is None:
        return "No change to Docker could be shown to make it faster."
    best, left = result.best.comparison, result.best.left
    saved = percent(negative(result.best.comparison.relative), sign="-")
    rest = ""
    if left and left.difference.comparable:
        words = percent(left.difference.relative["us_per_request"])
        rest = f" {words} remain against raw namespaces with the same server ({left.baseline})."
    return (
        f"Of the changes to {best.baseline}, “{best.name}” ({best.treatment}) saves the most: "
        f"{saved} of the time per request.{rest}"
    )
