"""
The answer: both comparisons of the two systems, the steps that cost time, the best change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.verdicts import Kind
from analysis.topics.comparisons.findings import trusted
from experiments.declare.variants import MATCHED, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.topics.comparisons.findings import JudgedComparison
    from analysis.topics.ladder.findings import Climb, Remainder, Step
    from analysis.topics.recommendations.findings import Change
    from experiments.records.manifest import Manifest


@dataclass(frozen=True)
class Answer:
    """
    The results that the report's answer states.

    ``matched`` and ``published`` are the comparisons of the two systems, if measured. ``costly``
    are the steps with the verdict *slower*, the most expensive first: of the ladders that lead to
    the ``whole``, or of all ladders without one. ``tried`` counts the measured changes within the
    treatment's runtime. ``best`` is the change with the verdict *faster* that saves most time.
    """

    trusted: bool
    matched: JudgedComparison | None
    published: JudgedComparison | None
    has_ladders: bool
    whole: Remainder | None
    costly: list[Step]
    tried: int
    best: Change | None


def answer(
    manifest: Manifest,
    compared: Sequence[JudgedComparison],
    ladders: Sequence[Climb],
    remainders: Sequence[Remainder],
    changes: Sequence[Change],
) -> Answer | None:
    """
    The answer; None for a run with neither comparison of the two systems and no ladder.
    """
    by_role = {each.role: each for each in compared if each.role}
    matched, published = by_role.get(MATCHED), by_role.get(PUBLISHED)
    if matched is None and published is None and not ladders:
        return None
    whole = remainders[0] if remainders else None
    leading = [
        each for each in ladders if whole is None or each.ladder.name in whole.declared.ladders
    ]
    tried = _tried(manifest, matched or published, changes)
    return Answer(
        trusted=trusted(compared),
        matched=matched,
        published=published,
        has_ladders=bool(ladders),
        whole=whole,
        costly=_costly([step for each in leading for step in each.steps]),
        tried=len(tried),
        best=_best(tried, published),
    )


def _costly(steps: Sequence[Step]) -> list[Step]:
    def cost_us(step: Step) -> float:
        return step.difference.us_per_request.estimate if step.difference else 0.0

    slower = [step for step in steps if step.verdict.kind is Kind.SLOWER]
    return sorted(slower, key=cost_us, reverse=True)


def _tried(
    manifest: Manifest, pair: JudgedComparison | None, changes: Sequence[Change]
) -> list[Change]:
    """
    The changes within the treatment's runtime; a search's result is no single change.
    """
    if pair is None:
        return []
    runtime = manifest.levels[pair.treatment].get("runtime")
    searched = manifest.search.name if manifest.search else ""
    return [
        each
        for each in changes
        if manifest.levels[each.comparison.baseline].get("runtime") == runtime
        and each.comparison.treatment != searched
    ]


def _best(tried: Sequence[Change], published: JudgedComparison | None) -> Change | None:
    """
    The best change to the published treatment, or else the best of all.
    """
    gains = [each for each in tried if each.comparison.verdict.kind is Kind.FASTER]
    to_published = [
        each
        for each in gains
        if published is not None and each.comparison.baseline == published.treatment
    ]

    def estimate(change: Change) -> float:
        relative = change.comparison.relative
        return relative.estimate if relative else 0.0

    return min(to_published or gains, key=estimate, default=None)
