"""
Variants as lines of a figure: which of them it shows, and the look of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from analysis.drawing.canvas import (
    BLUE,
    GREEN,
    INK,
    OCHRE,
    PAPER,
    PURPLE,
    VERMILION,
    legend,
)
from analysis.topics.comparisons.findings import is_control

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure as Canvas

    from analysis.drawing.canvas import Look
    from experiments.records.manifest import Manifest

LEGEND_IN = 0.5


@dataclass(frozen=True)
class Stroke:
    """
    The look of a line; colour, dashes and marker each identify it alone.
    """

    colour: str
    dashes: tuple[float, ...]
    marker: str
    hollow: bool

    def line(self) -> Look:
        """
        The keyword arguments of a line.
        """
        return {
            "color": self.colour,
            "ls": (0, self.dashes) if self.dashes else "-",
            "marker": self.marker,
            "mec": self.colour,
            "mfc": PAPER if self.hollow else self.colour,
            "mew": 1.2,
        }


STROKES = (
    Stroke(INK, (), "o", hollow=False),
    Stroke(VERMILION, (5, 1.5), "s", hollow=False),
    Stroke(BLUE, (1.2, 1.4), "^", hollow=True),
    Stroke(GREEN, (6, 1.5, 1.2, 1.5), "D", hollow=True),
    Stroke(PURPLE, (9, 2.5), "v", hollow=False),
    Stroke(OCHRE, (3, 1.5, 3, 1.5, 1, 1.5), "o", hollow=True),
)
"""The most lines that a reader can tell apart in one figure."""


def main_variants(manifest: Manifest) -> list[str]:
    """
    The variants that a figure of lines shows, in declared order, at most one per stroke.

    These are the arms of focal comparisons, of A/A comparisons and of wholes. A run without any of
    these shows the arms of all its comparisons, or else its first variants. Ladders have too many
    steps.
    """
    declared = [(each.baseline, each.treatment) for each in manifest.comparisons]
    pairs = [pair for pair in declared if pair in manifest.focal]
    pairs += [pair for pair in declared if is_control(manifest, *pair)]
    pairs += [(each.baseline, each.treatment) for each in manifest.wholes]
    wanted = {name for pair in pairs or declared for name in pair}
    names = [each.name for each in manifest.variants]
    return [name for name in names if not wanted or name in wanted][: len(STROKES)]


def strokes(names: Sequence[str]) -> dict[str, Stroke]:
    """
    A stroke for each variant; variants beyond the last stroke have none.
    """
    return dict(zip(names, STROKES, strict=False))


def names_of_lines(canvas: Canvas, looks: Mapping[str, Stroke]) -> None:
    """
    Draw the legend of variants below the title.
    """
    samples = {name: Line2D([], [], **look.line()) for name, look in looks.items()}
    # Samples long enough to show a whole dash pattern.
    legend(canvas, samples, columns=3, length=4.5)
