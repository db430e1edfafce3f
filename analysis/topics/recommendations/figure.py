"""
A forest plot of the changes: what each saves, and what it gives up.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from analysis.drawing.canvas import AXIS_IN, MARGIN_IN, SMALL_PT, TITLE_IN, rendered
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.drawing.forest import (
    LEGEND_IN,
    Entry,
    forest,
    numbers_and_verdict,
    numbers_of,
    verdict_word,
)
from analysis.drawing.rows import LINE_HEIGHT, POINTS_PER_INCH, ROW_IN, Row
from analysis.formatting import count
from analysis.statistics.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Canvas

    from analysis.findings import Findings
    from analysis.topics.recommendations.findings import Change

TITLE = "What each change saves, and what it gives up"
CAPTION = (
    "The relative difference in time per request that each change makes within one runtime, with "
    "its 95 % interval. Left of zero the change saves time. Beside it: what the change gives up."
)

LEFT_IN, RIGHT_IN = 2.9, 3.2
LINE_CHARACTERS = 50
MORE_LINE_IN = SMALL_PT * LINE_HEIGHT / POINTS_PER_INCH


def recommendations(findings: Findings) -> Figure | None:
    """
    One row for each change; None if no block has both arms of any.
    """
    margin, changes = findings.manifest.margin, findings.changes
    if all(each.comparison.difference is None for each in changes):
        return None
    alternative = _alternative(changes)
    entries = [
        Entry(_row(each), each.comparison.relative, each.comparison.verdict.kind)
        for each in changes
    ]
    # All rows are as high as the one with the most lines.
    row_in = ROW_IN + MORE_LINE_IN * max(entry.row.more.count("\n") for entry in entries)

    def paint(canvas: Canvas) -> None:
        forest(canvas, entries, margin, left_in=LEFT_IN, right_in=RIGHT_IN, row_in=row_in)

    height_in = TITLE_IN + LEGEND_IN + row_in * len(changes) + AXIS_IN + MARGIN_IN
    return Figure(
        name="recommendations",
        title=TITLE,
        svg=rendered(height_in, TITLE, alternative, paint),
        csv=csv_text(
            [
                *("comparison", "baseline", "treatment"),
                *("difference_percent", "low_percent", "high_percent", "blocks", "verdict"),
                "gives_up",
            ],
            [
                [
                    *(each.name, each.baseline, each.treatment),
                    *limits_of(each.relative, 100),
                    each.difference.blocks if each.difference else 0,
                    verdict_word(each),
                    "; ".join(change.gives_up),
                ]
                for change in changes
                for each in [change.comparison]
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _row(change: Change) -> Row:
    each = change.comparison
    about = f"{each.treatment} against {each.baseline}"
    lost = "; ".join(change.gives_up)
    more = textwrap.fill(f"gives up: {lost}", LINE_CHARACTERS) if lost else ""
    return Row(each.name, about, numbers_and_verdict(each), more)


def _alternative(changes: Sequence[Change]) -> str:
    """
    The number of faster changes, and the one that saves most.
    """
    faster = [each for each in changes if each.comparison.verdict.kind is Kind.FASTER]
    if not faster:
        return f"Of {count(len(changes), 'change')}, none is significantly faster."
    # The search may have found a declared variant; then the declared one is named.
    most = min([each for each in faster if not each.same_as] or faster, key=_estimate)
    best = most.comparison
    price = f" and gives up: {'; '.join(most.gives_up)}" if most.gives_up else ""
    verb = "is" if len(faster) == 1 else "are"
    return (
        f"Of {count(len(changes), 'change')}, {len(faster)} {verb} significantly faster; "
        f"most of all “{best.name}”, {numbers_of(best)}, which is {best.treatment} against "
        f"{best.baseline}{price}."
    )


def _estimate(change: Change) -> float:
    relative = change.comparison.relative
    return relative.estimate if relative else 0.0
