"""
Where everything in the report comes from: figures, their data, and the code that made them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.drawing.figure import Figure
    from experiments.records.manifest import Manifest

CODE = {
    "comparisons": ("analysis/figures/comparisons.py", "analysis/comparisons.py, verdicts.py"),
    "ladder": ("analysis/figures/ladder.py", "analysis/ladder.py"),
    "recommendations": (
        "analysis/figures/recommendations.py",
        "analysis/recommendations.py, comparisons.py",
    ),
    "limits": ("analysis/figures/limits.py", "analysis/estimates.py"),
    "latency": ("analysis/figures/latency.py", "analysis/latency.py, figures/waits.py"),
    "cpu": ("analysis/figures/cpu.py", "analysis/cpu.py"),
    "blocks": ("analysis/figures/blocks.py", "analysis/estimates.py"),
    "calibration": ("analysis/figures/calibration.py", "analysis/calibration.py"),
}
"""For each figure, what draws it and what computes it."""


def picture(figure: Figure, directory: str) -> str:
    """
    A figure in Markdown: the drawing with its text alternative, its caption, its data.
    """
    words = figure.alternative.replace("[", "(").replace("]", ")").replace("\n", " ")
    return (
        f"![{words}]({directory}/{figure.name}.svg)\n\n"
        f"*{figure.title}.* {figure.caption} [Data]({directory}/{figure.name}.csv)."
    )


def sources(manifest: Manifest, drawn: Sequence[Figure], directory: str) -> str:
    """
    One row for each figure; empty without any.
    """
    if not drawn:
        return ""
    recorded = "`trials.jsonl`"
    rows = [
        [
            f"[{figure.title}]({directory}/{figure.name}.svg)",
            f"[{figure.name}.csv]({directory}/{figure.name}.csv)",
            # The logs of single requests are drawn where there was a schedule.
            f"{recorded}, `raw/`"
            if figure.name == "latency" and manifest.open_fractions
            else recorded,
            *(f"`{path}`" for path in CODE[figure.name]),
        ]
        for figure in drawn
    ]
    made = manifest.git
    words = f" The measurements were made with commit {made.commit[:12]}." if made else ""
    return "\n\n".join(
        [
            "## From figure to data to code",
            f"The run's folder holds all of it.{words}",
            table(["Figure", "Its data", "Records", "Drawn by", "Computed by"], rows),
        ]
    )
