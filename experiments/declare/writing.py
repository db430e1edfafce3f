"""
The text of a variants file, which a run keeps so that it can be repeated.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.declare.variants import Comparison, Ladder, Search, Variant, Whole


def variants_toml(
    variants: Sequence[Variant],
    comparisons: Sequence[Comparison],
    ladders: Sequence[Ladder] = (),
    wholes: Sequence[Whole] = (),
    search: Search | None = None,
) -> str:
    """
    A variants file with these declarations.
    """

    def toml(value: object) -> str:
        # JSON strings, numbers and lists of them are valid TOML.
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(toml, value)) + "]"
        return json.dumps(value, ensure_ascii=False)

    lines = []
    # A new plan adds its own twin.
    twins = {variant.name for variant in variants if variant.twin_of}
    variants = [variant for variant in variants if variant.name not in twins]
    comparisons = [pair for pair in comparisons if pair.treatment not in twins]
    known = {variant.name for variant in variants}
    if search and search.start not in known:
        # Without its starting point there is no search, and its variant is an ordinary one.
        search = None
    for variant in variants:
        if search and variant.name == search.name:
            continue
        lines += [f"[variants.{toml(variant.name)}]", f"about = {toml(variant.about)}"]
        lines += [f"{factor} = {toml(level)}" for factor, level in variant.levels.items()]
        lines += [f"overlays = {toml([str(path) for path in variant.overlays])}"]
        lines += [f"every = {toml(variant.every)}", ""]
    named: dict[str, Sequence[Comparison | Ladder | Whole]] = {
        "comparisons": comparisons,
        "ladders": ladders,
        "wholes": wholes,
    }
    for kind, declared in named.items():
        for each in declared:
            table = dataclasses.asdict(each)
            lines += [f"[[{kind}]]", *(f"{key} = {toml(table[key])}" for key in table), ""]
    if search:
        table = dataclasses.asdict(search)
        table["also"] = [name for name in search.also if name in known]
        lines += ["[search]", *(f"{key} = {toml(table[key])}" for key in table), ""]
    return "\n".join(lines)
