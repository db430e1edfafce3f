"""
The report's figures, and the table of their data, records and code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import table
from analysis.topics.calibration.figure import calibration
from analysis.topics.comparisons.figure import comparisons
from analysis.topics.cpu.figure import cpu
from analysis.topics.ladder.figure import ladder
from analysis.topics.latency.figure import latency
from analysis.topics.limits.figure import limits
from analysis.topics.recommendations.figure import recommendations
from analysis.topics.sweep.figure import sweep
from analysis.topics.trust.figure import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.drawing.figure import Figure
    from analysis.findings import Findings

FIGURES: dict[str, Callable[[Findings], Figure | None]] = {
    "comparisons": comparisons,
    "ladder": ladder,
    "recommendations": recommendations,
    "limits": limits,
    "sweep": sweep,
    "cpu": cpu,
    "latency": latency,
    "blocks": blocks,
    "calibration": calibration,
}
"""The function that draws each figure, by the figure's name."""


def figures(findings: Findings) -> list[Figure]:
    """
    Every figure that the run has data for.

    Raises ResultsError for a request log that is missing or broken.
    """
    drawn = [draw(findings) for draw in FIGURES.values()]
    return [figure for figure in drawn if figure is not None]


def picture(figure: Figure, directory: str) -> str:
    """
    A figure in Markdown: image, text alternative, caption and link to its data.
    """
    words = figure.alternative.replace("[", "(").replace("]", ")").replace("\n", " ")
    return (
        f"![{words}]({directory}/{figure.name}.svg)\n\n"
        f"*{figure.title}.* {figure.caption} [Data]({directory}/{figure.name}.csv)."
    )


def sources(findings: Findings, drawn: Sequence[Figure], directory: str) -> str:
    """
    The table from figure to data, records and code; empty without figures.
    """
    if not drawn:
        return ""
    # Open-loop latencies come from the logs of single requests.
    records = {"latency": "`trials.jsonl`, `raw/`"} if findings.latencies else {}
    rows = [
        [
            f"[{figure.title}]({directory}/{figure.name}.svg)",
            f"[{figure.name}.csv]({directory}/{figure.name}.csv)",
            records.get(figure.name, "`trials.jsonl`"),
            f"`{code_of(figure.name)}`",
        ]
        for figure in drawn
    ]
    made = findings.manifest.git
    words = f" The measurements were made with commit {made.commit[:12]}." if made else ""
    return "\n\n".join(
        [
            "## From figure to data to code",
            f"The run's folder holds all of it.{words}",
            table(["Figure", "Its data", "Records", "Code"], rows),
        ]
    )


def code_of(name: str) -> str:
    """
    The folder of the topic that a figure belongs to.
    """
    return f"{FIGURES[name].__module__.rpartition('.')[0].replace('.', '/')}/"
