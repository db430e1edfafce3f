"""
``report.md``: a pure function from findings to text, the same to the byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.report.gallery import FIGURES, picture, sources
from analysis.topics.answer.section import answer
from analysis.topics.calibration.section import calibration
from analysis.topics.claims.section import published_claims
from analysis.topics.comparisons.section import conclusions
from analysis.topics.cpu.section import cpu, cpu_details
from analysis.topics.environment.section import environment, reproduce
from analysis.topics.ladder.section import ladder
from analysis.topics.latency.section import latency
from analysis.topics.limits.section import limits
from analysis.topics.metrics.section import details, errors, key_metrics, parameters
from analysis.topics.overview.section import overview
from analysis.topics.recommendations.section import recommendations
from analysis.topics.threats.section import threats
from analysis.topics.trust.section import trust
from analysis.topics.tuning.section import tuning
from analysis.topics.warm_up.section import warm_up, warm_up_details
from analysis.topics.warnings.section import warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.drawing.figure import Figure
    from analysis.findings import Findings

TITLE = "# Performance comparison report: Linux network namespaces and Docker"

ORDER: tuple[Callable[[Findings], str] | str, ...] = (
    warnings,
    answer,
    overview,
    "comparisons",
    conclusions,
    parameters,
    key_metrics,
    errors,
    ladder,
    "ladder",
    recommendations,
    "recommendations",
    tuning,
    published_claims,
    limits,
    "limits",
    latency,
    "latency",
    cpu,
    "cpu",
    warm_up,
    calibration,
    "calibration",
    trust,
    "blocks",
    threats,
    environment,
    reproduce,
    details,
    cpu_details,
    warm_up_details,
)
"""The report's parts in their order: sections, and the names of figures."""


def render(findings: Findings, drawn: Sequence[Figure], directory: str) -> str:
    """
    The whole report; the figures lie in ``directory``, as seen from the report's own place.
    """
    pictures = dict.fromkeys(FIGURES, "")
    pictures |= {figure.name: picture(figure, directory) for figure in drawn}
    parts = [pictures[part] if isinstance(part, str) else part(findings) for part in ORDER]
    last = sources(findings, drawn, directory)
    return "\n\n".join(part for part in [TITLE, *parts, last] if part) + "\n"
