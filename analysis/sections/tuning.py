"""
The search for the best Docker configuration: what was tried, and what was kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.formatting import table

if TYPE_CHECKING:
    from experiments.records import Manifest

INTRODUCTION = (
    "Each change was tried on what was best so far, in a few pairs of trials, and kept when it was "
    "faster on average; that is short and greedy, and no proof that there is nothing better. Those "
    "trials chose, so their figures flatter what they chose, and are shown only here; what "
    "`{name}` is worth was measured afterwards, in blocks that the search never saw."
)


def tuning(manifest: Manifest) -> str:
    """
    One row for each change; empty when there was no search.
    """
    outcomes = manifest.search.get("outcomes")
    if not outcomes:
        return ""
    rows = []
    for outcome in outcomes:
        ratios = outcome["log_ratios"]
        each = ", ".join(f"{math.expm1(ratio) * 100:+.1f} %" for ratio in ratios)
        verdict = "kept" if outcome["kept"] else outcome["note"] or "not kept"
        change = ", ".join(f"{name} = {level}" for name, level in outcome["change"].items())
        rows.append([change, each or "–", verdict])
    name, start, levels = (manifest.search[key] for key in ("name", "start", "levels"))
    known = {each["name"]: each["levels"] for each in manifest.variants}
    before = known.get(start, {})
    changed = ", ".join(
        f"{factor} = {level}" for factor, level in levels.items() if before.get(factor) != level
    )
    found = f"`{name}` is `{start}` with {changed or 'nothing changed'}."
    same = [each for each, own in known.items() if own == levels and each != name]
    if same:
        found += (
            f" That is what `{same[0]}` is too, so what the two are found to differ by is noise."
        )
    return "\n\n".join(
        [
            "## The best Docker configuration that was found",
            INTRODUCTION.format(name=name),
            table(["Change", "Time per request in each pair", "What became of it"], rows),
            found,
        ]
    )
