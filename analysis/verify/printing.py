"""
The result of a verification, its exit status, and how it is printed: as text or as JSON.
"""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from analysis.formatting import count, not_comparable, percent
from analysis.statistics.verdicts import Kind
from analysis.statuses import ANSWERED, CANNOT_TELL, NOT_REPRODUCED, USAGE
from analysis.verify.rule import Outcome, Sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.run import Run
    from analysis.statistics.intervals import Interval
    from analysis.verify.conditions import Unlike
    from analysis.verify.effects import Effect, Row, Verification

FORMAT = 2
"""
Version of the JSON; counts up when a key is removed or changes its meaning.

History: 2 has exit statuses that no failure has.
"""

WIDTH = 96
SHOWN_CHARACTERS = 48
STATUS = {
    Outcome.REPRODUCED: ANSWERED,
    Outcome.IN_DIRECTION: ANSWERED,
    Outcome.NOT_REPRODUCED: NOT_REPRODUCED,
    Outcome.CANNOT_TELL: CANNOT_TELL,
}
WORDS = {
    Kind.SLOWER: "slower",
    Kind.FASTER: "faster",
    Kind.EQUIVALENT: "equivalent",
    Kind.CANNOT_TELL: "cannot tell",
    Kind.NOT_COMPARABLE: "not comparable",
}


@dataclass(frozen=True)
class Result:
    """
    Two runs, and their comparison.

    ``refused`` are differences that forbid the comparison; with any, ``verification`` is None.
    ``let_through`` are such differences that the user allowed. ``differs`` are all others.
    """

    reference: Run
    here: Run
    refused: list[Unlike]
    let_through: list[Unlike]
    differs: list[Unlike]
    verification: Verification | None

    @property
    def exit_status(self) -> int:
        """
        The status that --help explains.
        """
        if self.verification is None:
            return USAGE
        return STATUS[self.verification.outcome]


def refusal(result: Result) -> str:
    """
    The error for runs that are not comparable, with every field and both values.
    """
    names = f"{result.here.name} with {result.reference.name}, the reference"
    lines = [f"error: run {names}, cannot be compared:"]
    lines += [
        f"  {each.name} is {_shown(each.reference)} in the reference, and {_shown(each.here)} here"
        for each in result.refused
    ]
    fields = ",".join(dict.fromkeys(each.field for each in result.refused))
    return "\n".join([*lines, f"use --allow {fields} to compare them nevertheless"])


def as_text(result: Result, verification: Verification) -> str:
    """
    The table, the overall outcome, and the differences of the runs.
    """
    margin = result.reference.manifest.margin
    parts = [
        f"Reference: {_title(result.reference)}\nThis run:  {_title(result.here)}",
        _wrapped(
            "Relative difference in time per request, treatment against baseline, with 95 % "
            "confidence intervals. Verdicts are corrected for the number of comparisons, intervals "
            f"are not. Differences within ±{margin * 100:g} % count as equivalent."
        ),
        _table(verification.rows),
        *(_wrapped(f"Not compared ({why}): {names}.") for names, why in _left_out(verification)),
        "\n".join(_wrapped(line) for row in verification.rows if (line := _why(row))),
        *(_wrapped(f"WARNING: {each}.") for each in verification.faults),
        *(_wrapped(f"NOTE: {each}.") for each in verification.notes),
        _listed("ALLOWED, although it makes effects incomparable", result.let_through),
        _wrapped(verification.conclusion()),
        _listed("differs", result.differs) or "The environments do not differ.",
    ]
    return "\n\n".join(part for part in parts if part)


def _title(run: Run) -> str:
    return f"{run.name} ({run.folder}), {count(len(run.manifest.order), 'block')}"


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    cells = [
        [
            f"{row.name}{' *' if row.focal else ''}",
            _found(row.reference),
            _found(row.here),
            row.outcome.value,
        ]
        for row in rows
    ]
    text = tabulate(
        cells,
        headers=["effect", "reference", "this run", "outcome"],
        tablefmt="simple",
        disable_numparse=True,
    )
    lines = (line.rstrip() for line in text.splitlines())
    return "\n".join([*lines, "* focal effect: the overall outcome depends on it"])


def _found(effect: Effect) -> str:
    if effect.difference is None:
        return "not measured"
    words = WORDS[effect.verdict.kind]
    if not effect.difference.comparable:
        return words
    return f"{words}, {percent(effect.difference.relative['us_per_request'])}"


def _left_out(verification: Verification) -> list[tuple[str, str]]:
    reasons: dict[str, list[str]] = {}
    for name, why in verification.left_out.items():
        reasons.setdefault(why, []).append(name)
    return [(", ".join(names), why) for why, names in reasons.items()]


def _why(row: Row) -> str:
    """
    How the two sizes compare; empty if they are the same.
    """
    for effect, run in ((row.reference, "the reference"), (row.here, "this run")):
        if effect.difference is not None and not effect.difference.comparable:
            return f"{row.name}, in {run}: {not_comparable(effect.difference)}."
    if row.gap is None:
        return f"{row.name}: no interval, because a run has fewer than two blocks of it."
    if row.sizes is Sizes.SAME:
        return ""
    ratio = percent(row.gap.interval.map(math.expm1))
    line = f"{row.name}: {row.sizes.value}; ratio to the reference {ratio}"
    if row.sizes is Sizes.NOT_TOLD_APART and row.gap.interval.excludes_zero:
        line += ", not significant after Holm's correction"
    return f"{line}."


def _listed(title: str, unlike: Sequence[Unlike]) -> str:
    if not unlike:
        return ""
    rows = [[f"  {each.name}", _shown(each.reference), _shown(each.here)] for each in unlike]
    return tabulate(
        rows,
        headers=[f"{title}:", "reference", "this run"],
        tablefmt="plain",
        disable_numparse=True,
    )


def _shown(value: object) -> str:
    text = str(value).replace("\n", " ").replace("\t", " ")
    return textwrap.shorten(text, SHOWN_CHARACTERS, placeholder=" …")


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def as_json(result: Result) -> str:
    """
    The same with all numbers; refused runs have no outcome.
    """
    found = result.verification
    content: dict[str, Any] = {
        "format": FORMAT,
        "reference": {"run": result.reference.name, "folder": str(result.reference.folder)},
        "here": {"run": result.here.name, "folder": str(result.here.folder)},
        "margin": result.reference.manifest.margin,
        "refused": [asdict(each) for each in result.refused],
        "allowed": [asdict(each) for each in result.let_through],
        "differs": [asdict(each) for each in result.differs],
        "outcome": None if found is None else found.outcome.value,
        "exit_status": result.exit_status,
    }
    if found is not None:
        content |= {
            "conclusion": found.conclusion(),
            "effects": [_row_json(row) for row in found.rows],
            "left_out": found.left_out,
            "faults": found.faults,
            "notes": found.notes,
        }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _row_json(row: Row) -> dict[str, Any]:
    ratio = None if row.gap is None else row.gap.interval.map(math.expm1)
    return {
        "name": row.name,
        "baseline": row.pair[0],
        "treatment": row.pair[1],
        "focal": row.focal,
        "reference": _effect_json(row.reference),
        "here": _effect_json(row.here),
        "ratio_to_reference": _interval_json(ratio),
        "p_value": row.p_value,
        "sizes": row.sizes.value,
        "outcome": row.outcome.value,
    }


def _effect_json(effect: Effect) -> dict[str, Any]:
    difference = effect.difference
    known = difference if difference and difference.comparable else None
    return {
        "verdict": WORDS[effect.verdict.kind],
        "relative": _interval_json(known.relative["us_per_request"] if known else None),
        "blocks": difference.blocks if difference else 0,
    }


def _interval_json(interval: Interval | None) -> dict[str, float | None] | None:
    return None if interval is None else asdict(interval)
