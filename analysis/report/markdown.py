"""
``report.md``: a pure function from findings to text; the same findings give the same bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.report.gallery import FIGURES, picture, sources
from analysis.topics.answer.section import answer
from analysis.topics.calibration.section import calibration
from analysis.topics.claims.section import published_claims
from analysis.topics.comparisons.section import unsaid, verdicts
from analysis.topics.cpu.section import cpu, cpu_details
from analysis.topics.environment.parameters import parameters
from analysis.topics.environment.section import environment, reproduce
from analysis.topics.ladder.section import ladder
from analysis.topics.latency.section import latency
from analysis.topics.limits.section import limits
from analysis.topics.metrics.section import key_metrics
from analysis.topics.overview.section import overview, terms
from analysis.topics.recommendations.section import recommendations
from analysis.topics.stack.section import in_this_order, stack
from analysis.topics.sweep.section import sweep
from analysis.topics.threats.section import threats
from analysis.topics.trust.section import trust
from analysis.topics.tuning.section import tuning
from analysis.topics.variants.section import details, errors
from analysis.topics.warm_up.section import warm_up, warm_up_details
from analysis.topics.warnings.section import warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.drawing.figure import Figure
    from analysis.findings import Findings

TITLE = "# Performance comparison report: Linux network namespaces and Docker"

FENCE = "```"


@dataclass(frozen=True)
class Reader:
    """
    The part of the report for one kind of reader: sections and names of figures, in order.
    """

    heading: str
    about: str
    parts: tuple[Callable[[Findings], str] | str, ...]


FIRST: tuple[Callable[[Findings], str] | str, ...] = (
    warnings,
    overview,
    verdicts,
    answer,
    "comparisons",
    terms,
)
"""The part for all readers."""

READERS = (
    Reader(
        "To decide",
        "Which part costs time, which change saves it, and what is not known.",
        (
            *(ladder, "ladder", recommendations, "recommendations", tuning),
            *(limits, "limits", sweep, "sweep", published_claims, unsaid),
        ),
    ),
    Reader(
        "To check",
        "Every metric, and how far the instrument can be trusted.",
        (
            *(key_metrics, errors),
            *(latency, "latency", cpu, "cpu", warm_up),
            *(calibration, "calibration", trust, "blocks", threats),
        ),
    ),
    Reader(
        "To reproduce",
        "The settings, the machine, the commands, and each variant by itself.",
        (stack, parameters, environment, reproduce, details, cpu_details, warm_up_details),
    ),
)
"""The parts for each kind of reader, in the report's order."""


def render(findings: Findings, drawn: Sequence[Figure], directory: str) -> str:
    """
    The whole report; ``directory`` is the path of the figures relative to the report.
    """
    pictures = dict.fromkeys(FIGURES, "")
    pictures |= {figure.name: picture(figure, directory) for figure in drawn}

    def text(parts: Sequence[Callable[[Findings], str] | str]) -> list[str]:
        made = [pictures[part] if isinstance(part, str) else part(findings) for part in parts]
        return [part for part in made if part]

    project = findings.manifest.stack
    title = f"# {project.name}: Linux network namespaces and Docker" if project else TITLE
    whole = [title, *text(FIRST)]
    for reader in READERS:
        parts = text(reader.parts)
        if reader is READERS[-1]:
            parts += [part for part in [sources(findings, drawn, directory)] if part]
        if parts:
            whole += [f"## {reader.heading}", reader.about, *map(deeper, parts)]
    return "\n\n".join([*whole, *text([in_this_order])]) + "\n"


def deeper(text: str) -> str:
    """
    The text with each heading one level deeper; code blocks stay as they are.
    """
    pieces = text.split(FENCE)
    pieces[::2] = [re.sub(r"^(#+ )", r"#\1", piece, flags=re.MULTILINE) for piece in pieces[::2]]
    return FENCE.join(pieces)
