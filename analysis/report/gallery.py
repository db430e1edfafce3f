"""
All figures of a run, in the order in which they answer its question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.topics.calibration.figure import calibration
from analysis.topics.comparisons.figure import comparisons
from analysis.topics.comparisons.findings import comparisons as compare_all
from analysis.topics.cpu.figure import cpu
from analysis.topics.ladder.figure import ladder
from analysis.topics.latency.figure import latency
from analysis.topics.limits.figure import limits
from analysis.topics.recommendations.figure import recommendations
from analysis.topics.trust.figure import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.drawing.figure import Figure
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


def figures(manifest: Manifest, trials: Sequence[TrialRecord], run: Path | None) -> list[Figure]:
    """
    Every figure that the run has data for; ``run`` is the folder with the logs of single requests.

    Raises ResultsError for a log that is missing or broken.
    """
    compared = compare_all(manifest, trials)
    drawn = [
        comparisons(manifest, compared),
        ladder(manifest, trials),
        recommendations(manifest, compared),
        limits(manifest, trials),
        cpu(manifest, trials),
        latency(manifest, trials, run),
        blocks(manifest, trials),
        calibration(manifest, trials),
    ]
    return [figure for figure in drawn if figure is not None]
