"""
All figures of a run, in the order in which they answer its question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.comparisons import comparisons as compare_all
from analysis.figures.blocks import blocks
from analysis.figures.calibration import calibration
from analysis.figures.comparisons import comparisons
from analysis.figures.cpu import cpu
from analysis.figures.ladder import ladder
from analysis.figures.latency import latency
from analysis.figures.limits import limits
from analysis.figures.recommendations import recommendations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.figures.figure import Figure
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
