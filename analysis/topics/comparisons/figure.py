"""
A forest plot of the run's comparisons with their verdicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.drawing.canvas import AXIS_IN, MARGIN_IN, TITLE_IN, rendered
from analysis.drawing.figure import Figure, csv_text, limits_of
from analysis.drawing.forest import (
    LEGEND_IN,
    Entry,
    forest,
    numbers_of,
    verdict_word,
)
from analysis.drawing.rows import ROW_IN, Row
from analysis.formatting import sentence
from analysis.statistics.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Canvas

    from analysis.findings import Findings
    from analysis.topics.comparisons.findings import JudgedComparison

TITLE = "How much longer each treatment takes than its baseline"
CAPTION = (
    "The relative difference in time per request of each comparison, paired within blocks, with "
    "its 95 % interval and its verdict, which is corrected for the number of comparisons (Holm). "
    "Right of zero the treatment is slower. The shaded band is the equivalence margin. A/A "
    "compares one variant with itself."
)

LEFT_IN, RIGHT_IN = 3.1, 2.7


def comparisons(findings: Findings) -> Figure | None:
    """
    One row for each comparison; None if no block has both arms of any.
    """
    margin, compared = findings.manifest.margin, findings.comparisons
    if all(each.difference is None for each in compared):
        return None
    alternative = _alternative(compared)

    def paint(canvas: Canvas) -> None:
        entries = [Entry(_row(each), each.relative, each.verdict.kind) for each in compared]
        forest(canvas, entries, margin, left_in=LEFT_IN, right_in=RIGHT_IN)

    height_in = TITLE_IN + LEGEND_IN + ROW_IN * len(compared) + AXIS_IN + MARGIN_IN
    return Figure(
        name="comparisons",
        title=TITLE,
        svg=rendered(height_in, TITLE, alternative, paint),
        csv=csv_text(
            [
                *("comparison", "baseline", "treatment", "same_thing"),
                *("difference_percent", "low_percent", "high_percent"),
                *("margin_percent", "blocks", "verdict"),
            ],
            [
                [
                    *(each.name, each.baseline, each.treatment, "yes" if each.control else "no"),
                    *limits_of(each.relative, 100),
                    margin * 100,
                    each.difference.blocks if each.difference else 0,
                    verdict_word(each),
                ]
                for each in compared
            ],
        ),
        alternative=alternative,
        caption=CAPTION,
    )


def _row(each: JudgedComparison) -> Row:
    name = f"{each.name}: equal variants" if each.control else each.name
    about = f"{each.treatment} against {each.baseline}"
    more = "" if each.verdict.kind is Kind.NOT_COMPARABLE else verdict_word(each)
    return Row(name, about, numbers_of(each), more)


def _alternative(compared: Sequence[JudgedComparison]) -> str:
    """
    The comparisons by verdict, then the A/A comparisons.
    """
    words = []
    for kind in Kind:
        judged = [each for each in compared if each.verdict.kind is kind and not each.control]
        if judged:
            named = ", ".join(f"{each.name} {_estimate(each)}".rstrip() for each in judged)
            words.append(f"{verdict_word(judged[0])}: {named}")
    words += [f"equal variants: {numbers_of(each)}" for each in compared if each.control]
    said = sentence("; ".join(words))
    return f"Time per request of each treatment relative to its baseline. {said}."


def _estimate(each: JudgedComparison) -> str:
    return numbers_of(each).partition(" [")[0] if each.relative else ""
