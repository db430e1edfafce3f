"""
The curve of another run, from its manifest and its verdicts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from analysis.folders import REFERENCE, RESULTS, VERDICTS
from analysis.report.verdicts_json import Verdicts
from analysis.topics.sweep.findings import Measured, curve
from experiments.errors import ResultsError
from experiments.records.decoding import UNREADABLE
from experiments.records.folder import opened
from experiments.records.store import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.statistics.intervals import Interval
    from analysis.topics.sweep.findings import Curve

LARGEST = 1e12
"""No number of a curve is larger, whatever a file says: that is eleven days for one request."""


def known_curve(folder: Path | None) -> Curve | None:
    """
    The curve of the run in this folder; without a folder, that of the reference, if it has one.

    Raises ResultsError for a folder whose run cannot be read or has no sweep.
    """
    if folder is None:
        # A reference that cannot be read is for `nox -s verify` to tell.
        with suppress(ResultsError):
            return read_curve(RESULTS / REFERENCE)
        return None
    found = read_curve(folder)
    if found is None:
        msg = f"--curve {folder}: this run has no sweep; `nox -s sweep` measures one"
        raise ResultsError(msg)
    return found


def read_curve(folder: Path) -> Curve | None:
    """
    The curve of a run; None if it has no sweep.

    Raises ResultsError for a folder without a run, or without what its report wrote.
    """
    manifest = read_manifest(folder)
    try:
        with opened(folder, VERDICTS) as file:
            verdicts = msgspec.json.decode(file.read(), type=Verdicts)
    except (OSError, *UNREADABLE) as error:
        msg = (
            f"cannot read {folder / VERDICTS}: {getattr(error, 'strerror', error)}; "
            f"`nox -s report -- {folder}` writes it again"
        )
        raise ResultsError(msg) from error
    effects = {
        (each.effect.baseline, each.effect.treatment): each.effect for each in verdicts.comparisons
    }

    def measured(baseline: str, treatment: str) -> Measured | None:
        effect = effects.get((baseline, treatment))
        if effect is None or not (effect.baseline_us and effect.us_per_request and effect.relative):
            return None
        known = (effect.baseline_us, effect.us_per_request, effect.relative)
        if effect.baseline_us.estimate < 1 / LARGEST or not all(map(_is_sane, known)):
            msg = f"{folder / VERDICTS}: {treatment} against {baseline} has an invalid value"
            raise ResultsError(msg)
        return Measured(effect.blocks, *known)

    return curve(manifest, measured)


def _is_sane(interval: Interval) -> bool:
    """
    Whether nothing in it is beyond what can be calculated with and drawn.
    """
    limits = (interval.estimate, interval.low, interval.high)
    return all(abs(limit) < LARGEST for limit in limits if limit is not None)
