"""
Rendering ``report.md``: pure functions from a run's records to text, the same to the byte.

``report.md.j2`` says in which order; each part is a module of ``sections/``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from analysis.drawing.figure import DIRECTORY
from analysis.report.sources import CODE, picture, sources
from analysis.statistics.estimates import summarise
from analysis.topics.answer.section import answer
from analysis.topics.calibration.section import calibration
from analysis.topics.claims.section import published_claims
from analysis.topics.comparisons.findings import comparisons
from analysis.topics.cpu.section import cpu, cpu_details
from analysis.topics.environment.section import environment, reproduce
from analysis.topics.ladder.section import ladder
from analysis.topics.latency.section import latency
from analysis.topics.limits.section import limits
from analysis.topics.metrics.section import details, errors, key_metrics, parameters
from analysis.topics.overview.section import conclusions, overview
from analysis.topics.recommendations.section import recommendations
from analysis.topics.threats.section import threats
from analysis.topics.trust.section import trust
from analysis.topics.tuning.section import tuning
from analysis.topics.warm_up.section import warm_up, warm_up_details
from analysis.topics.warnings.section import warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.drawing.figure import Figure
    from experiments.records.manifest import Manifest
    from experiments.records.trials import AgreementLoad, TrialRecord

TEMPLATE = Path(__file__).with_name("report.md.j2")


def render(
    manifest: Manifest,
    trials: Sequence[TrialRecord],
    run: Path | None = None,
    *,
    cold_starts: Sequence[TrialRecord] = (),
    agreement: Sequence[AgreementLoad] = (),
    drawn: Sequence[Figure] = (),
    directory: str = DIRECTORY,
) -> str:
    """
    The whole report.

    ``run`` is the folder with the logs of single requests, where there are such; ``cold_starts``
    are the loads of a stack that was not up yet, and ``agreement`` those by which short loads were
    checked; ``drawn`` are the figures, which the report finds in ``directory``, as seen from its
    own place.
    """
    summaries = {each.name: summarise(each.name, trials) for each in manifest.variants}
    compared = comparisons(manifest, trials)
    pictures = dict.fromkeys(CODE, "")
    pictures |= {figure.name: picture(figure, directory) for figure in drawn}
    template = jinja2.Template(
        TEMPLATE.read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined, autoescape=False
    )
    text: str = template.render(
        warnings=warnings(manifest, trials, compared),
        answer=answer(manifest, trials, compared),
        overview=overview(manifest, trials),
        parameters=parameters(manifest),
        key_metrics=key_metrics(manifest, trials, compared, summaries),
        details=details(manifest, summaries),
        cpu_details=cpu_details(manifest, trials),
        warm_up_details=warm_up_details(manifest, trials),
        errors=errors(trials),
        ladder=ladder(manifest, trials),
        recommendations=recommendations(manifest, trials, compared),
        limits=limits(manifest, trials),
        tuning=tuning(manifest),
        latency=latency(manifest, trials, run),
        cpu=cpu(manifest, trials),
        warm_up=warm_up(manifest, trials),
        claims=published_claims(manifest, trials, compared, cold_starts),
        calibration=calibration(manifest, trials, agreement),
        trust=trust(compared, trials),
        conclusions=conclusions(compared, has_ladder=bool(manifest.ladders)),
        threats=threats(manifest, trials, compared),
        environment=environment(manifest, trials),
        reproduce=reproduce(manifest),
        sources=sources(manifest, drawn, directory),
        figures=pictures,
    )
    return text
