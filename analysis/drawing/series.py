"""
Variants as lines: which of them a figure of lines shows, and how each of these looks.
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
    How a line looks: colour, dashes and marker, any of which is enough to tell it from the others.
    """

    colour: str
    dashes: tuple[float, ...]
    marker: str
    hollow: bool

    def line(self) -> Look:
        """
        What a line is drawn with.
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
"""More lines than these nobody can tell apart."""


def main_variants(manifest: Manifest) -> list[str]:
    """
    The variants that a run is about, in the order of their declaration, as many as can be told.

    The focal comparisons, those of A/A and the ends of wholes; where there is none of them, the
    pairs of all comparisons, and without any, the first variants. Steps of ladders are too many.
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
    A look for each of at most as many variants as there are looks.
    """
    return dict(zip(names, STROKES, strict=False))


def names_of_lines(canvas: Canvas, looks: Mapping[str, Stroke]) -> None:
    """
    Which line is which variant's, below the title.
    """
    samples = {name: Line2D([], [], **look.line()) for name, look in looks.items()}
    # Long enough for dashes to be told apart.
    legend(canvas, samples, columns=3, length=4.5)
