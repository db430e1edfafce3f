"""
What each change buys, and what it gives up for that.
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
    relative_of,
    verdict_word,
)
from analysis.drawing.rows import LINE_HEIGHT, POINTS_PER_INCH, ROW_IN, Row
from analysis.formatting import count
from analysis.statistics.verdicts import Kind
from analysis.topics.recommendations.findings import changes as changes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Canvas

    from analysis.topics.comparisons.findings import Comparison
    from experiments.records.manifest import Manifest

TITLE = "What each change buys, and what it gives up"
CAPTION = (
    "The relative difference in time per request that each change makes within one runtime, with "
    "its 95 % interval; left of zero the change saves time. Beside it stands what the change gives "
    "up, as far as that is known of its parts."
)

LEFT_IN, RIGHT_IN = 2.9, 3.2
LINE_CHARACTERS = 50
MORE_LINE_IN = SMALL_PT * LINE_HEIGHT / POINTS_PER_INCH


def recommendations(manifest: Manifest, compared: Sequence[Comparison]) -> Figure | None:
    """
    One row for each change; None where no block has both of any.
    """
    found = changes_of(manifest, compared)
    changes = [each for each, _ in found]
    if all(each.difference is None for each in changes):
        return None
    lost = [words for _, words in found]
    alternative = _alternative(changes, lost)
    entries = [
        Entry(_row(each, words), relative_of(each), each.verdict.kind)
        for each, words in zip(changes, lost, strict=True)
    ]
    # All rows are as high as the one with the most lines.
    row_in = ROW_IN + MORE_LINE_IN * max(entry.row.more.count("\n") for entry in entries)

    def paint(canvas: Canvas) -> None:
        forest(canvas, entries, manifest.margin, left_in=LEFT_IN, right_in=RIGHT_IN, row_in=row_in)

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
                    *limits_of(relative_of(each), 100),
                    each.difference.blocks if each.difference else 0,
                    verdict_word(each),
                    words,
                ]
                for each, words in zip(changes, lost, strict=True)
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _row(each: Comparison, lost: str) -> Row:
    about = f"{each.treatment} against {each.baseline}"
    more = textwrap.fill(f"gives up: {lost}", LINE_CHARACTERS) if lost else ""
    return Row(each.name, about, numbers_and_verdict(each), more)


def _alternative(changes: Sequence[Comparison], lost: Sequence[str]) -> str:
    """
    How many changes are faster, and the one that saves most with what it gives up.
    """
    faster = [
        (each, words)
        for each, words in zip(changes, lost, strict=True)
        if each.verdict.kind is Kind.FASTER
    ]
    if not faster:
        return f"Of {count(len(changes), 'change')} none is told to be faster."
    best, words = min(faster, key=lambda pair: _estimate(pair[0]))
    price = f" and gives up: {words}" if words else ""
    verb = "is" if len(faster) == 1 else "are"
    return (
        f"Of {count(len(changes), 'change')} {len(faster)} {verb} told to be faster; "
        f"most of all “{best.name}”, {numbers_of(best)}, which is {best.treatment} against "
        f"{best.baseline}{price}."
    )


def _estimate(each: Comparison) -> float:
    relative = relative_of(each)
    return relative.estimate if relative else 0.0
