"""
The search for the best Docker configuration: the candidates, and what was kept.
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
    "In each step, all candidates are changes to the best configuration so far{also}. They were "
    "measured in the same blocks, and the fastest was kept if it was faster on average; the search "
    "ends when none is. This greedy search does not prove an optimum. Its own figures favour what "
    "it chose (selection bias), so they are shown only here. `{name}` was measured afterwards, in "
    "blocks that the search did not use."
)


def tuning(findings: Findings) -> str:
    """
    One table for each step, one row for each candidate; empty without a search.
    """
    manifest = findings.manifest
    search, found = manifest.search, manifest.found
    if search is None or found is None:
        return ""
    name = search.name
    others = ", ".join(f"`{each}`" for each in search.also)
    also = f", and in the first step {others}" if others else ""
    parts = [
        "## Search for the best Docker configuration",
        INTRODUCTION.format(name=name, also=also),
    ]
    for number, step in enumerate(found.steps, start=1):
        rows = [
            _row(candidate, kept=step.chosen == index)
            for index, candidate in enumerate(step.candidates)
        ]
        if rows:
            headers = ["Change", "Time per request against the best so far", "Blocks"]
            parts += [f"Step {number}:", table([*headers, "Outcome"], rows)]
    return "\n\n".join([*parts, _ended_at(search, found, manifest)])


def _row(candidate: Candidate, *, kept: bool) -> list[str]:
    ratios = candidate.log_ratios
    change = _words(candidate.change)
    became = "kept" if kept else candidate.note or "not kept"
    if candidate.note or not ratios:
        # The note says why there is no time; for worse answers it begins with these words.
        unlike = candidate.note.startswith(Kind.NOT_COMPARABLE.value)
        return [change, Kind.NOT_COMPARABLE.value if unlike else "–", "0", became]
    return [change, percent(t_interval(ratios).map(math.expm1)), str(len(ratios)), became]


def _ended_at(search: Search, found: Found, manifest: Manifest) -> str:
    """
    The changes that the search ended at, and whether they equal another variant.
    """
    name, start, levels = search.name, search.start, found.levels
    known = manifest.levels
    before = known.get(start, {})
    changed = {factor: level for factor, level in levels.items() if before.get(factor) != level}
    words = f"`{name}` is `{start}` with {_words(changed) or 'nothing changed'}."
    same = [each for each, own in known.items() if own == levels and each != name]
    if same:
        words += f" `{same[0]}` is the same, so any difference between the two is noise."
    return words


def _words(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{factor} = {level}" for factor, level in levels.items())
