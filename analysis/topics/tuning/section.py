"""
The search for the best Docker configuration: what was tried, and what was kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.formatting import percent, table
from analysis.statistics.intervals import t_interval
from analysis.statistics.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.findings import Findings
    from experiments.declare.variants import Search
    from experiments.records.manifest import Candidate, Found, Manifest

INTRODUCTION = (
    "In each step all candidates are changes to what was best so far{also}; they were measured "
    "in the same blocks, side by side, and the fastest was kept if it was faster on average. The "
    "search ends when none is. That is short and greedy, and no proof that there is nothing "
    "better. Its trials chose, so their figures flatter what they chose, and are shown only "
    "here; what `{name}` is worth was measured afterwards, in blocks that the search never saw."
)


def tuning(findings: Findings) -> str:
    """
    One table for each step, one row for each candidate; empty when there was no search.
    """
    manifest = findings.manifest
    search, found = manifest.search, manifest.found
    if search is None or found is None:
        return ""
    name = search.name
    others = ", ".join(f"`{each}`" for each in search.also)
    also = f", and in the first step {others}" if others else ""
    parts = [
        "## The best Docker configuration that was found",
        INTRODUCTION.format(name=name, also=also),
    ]
    for number, step in enumerate(found.steps, start=1):
        rows = [
            _row(candidate, kept=step.chosen == index)
            for index, candidate in enumerate(step.candidates)
        ]
        if rows:
            headers = ["Change", "Time per request against the best so far", "Blocks"]
            parts += [f"Step {number}:", table([*headers, "What became of it"], rows)]
    return "\n\n".join([*parts, _ended_at(search, found, manifest)])


def _row(candidate: Candidate, *, kept: bool) -> list[str]:
    ratios = candidate.log_ratios
    change = _words(candidate.change)
    became = "kept" if kept else candidate.note or "not kept"
    if candidate.note or not ratios:
        # The note says why there is no time; of what answered worse it begins so.
        unlike = candidate.note.startswith(Kind.NOT_COMPARABLE.value)
        return [change, Kind.NOT_COMPARABLE.value if unlike else "–", "0", became]
    return [change, percent(t_interval(ratios).map(math.expm1)), str(len(ratios)), became]


def _ended_at(search: Search, found: Found, manifest: Manifest) -> str:
    """
    What the search ended at, by its changes, and whether that is another variant.
    """
    name, start, levels = search.name, search.start, found.levels
    known = manifest.levels
    before = known.get(start, {})
    changed = {factor: level for factor, level in levels.items() if before.get(factor) != level}
    words = f"`{name}` is `{start}` with {_words(changed) or 'nothing changed'}."
    same = [each for each, own in known.items() if own == levels and each != name]
    if same:
        words += (
            f" That is what `{same[0]}` is too, so what the two are found to differ by is noise."
        )
    return words


def _words(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{factor} = {level}" for factor, level in levels.items())
