"""
Rendering ``report.md``: pure functions from a run's records to text, the same to the byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.comparisons import comparisons
from analysis.estimates import summarise
from analysis.sections.answer import answer
from analysis.sections.calibration import calibration
from analysis.sections.claims import published_claims
from analysis.sections.cpu import cpu
from analysis.sections.environment import environment, reproduce
from analysis.sections.ladder import ladder
from analysis.sections.latency import latency
from analysis.sections.limits import limits
from analysis.sections.metrics import details, errors, key_metrics, parameters
from analysis.sections.summary import conclusions, overview
from analysis.sections.trust import trust
from analysis.sections.tuning import tuning
from analysis.sections.warm_up import warm_up
from analysis.sections.warnings import warnings
from analysis.speed import at_equal_speed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.records import Manifest, TrialRecord

TITLE = "# Performance comparison report: Linux network namespaces and Docker"


def render(
    manifest: Manifest,
    trials: Sequence[TrialRecord],
    run: Path | None = None,
    cold_starts: Sequence[TrialRecord] = (),
) -> str:
    """
    The whole report.

    ``run`` is the folder with the logs of single requests, where there are such; ``cold_starts``
    are the loads of a stack that was not up yet.
    """
    level = at_equal_speed(trials)
    summaries = {
        table["name"]: summarise(table["name"], level.trials, manifest.requests)
        for table in manifest.variants
    }
    compared = comparisons(manifest, level.trials)
    sections = [
        TITLE,
        warnings(manifest, trials, compared),
        answer(manifest, level.trials, compared),
        overview(manifest, trials, compared),
        parameters(manifest, level),
        key_metrics(compared, summaries),
        details(manifest, summaries),
        errors(trials),
        ladder(manifest, level.trials),
        limits(manifest, level.trials),
        tuning(manifest),
        cpu(manifest, trials),
        latency(manifest, trials, run),
        warm_up(manifest, trials),
        calibration(manifest, trials),
        published_claims(manifest, level.trials, cold_starts),
        trust(manifest, compared, trials, level),
        conclusions(compared, has_ladder=bool(manifest.ladders)),
        environment(manifest, trials),
        reproduce(manifest),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"
