"""
Calibration: what was put in, and what came out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.calibration import INJECTED, recoveries
from analysis.formatting import microseconds, plus_minus, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.calibration import Recovery
    from experiments.records import Manifest, TrialRecord

INTRODUCTION = (
    "A known cost was put into the gateway for every request, in random order among the trials of "
    "each block, and looked for as any other difference. The slope is of what came out against "
    "what was put in; the bias is what came out beyond what should have, averaged over the doses. "
    "Both are means over blocks with their 95 % intervals."
)


def calibration(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each kind of injection and measure, then each dose; empty where nothing was put in.
    """
    found = recoveries(manifest, trials)
    if not found:
        return ""
    parts = [
        "## Calibration: what was put in, and what came out",
        INTRODUCTION,
        table(
            [
                "Put in",
                "Looked for in",
                "Slope",
                "Should be",
                "Bias",
                "Intervals that hold it",
                "Blocks",
            ],
            [_row(each) for each in found],
        ),
    ]
    for factor, what in INJECTED.items():
        own = [each for each in found if each.factor == factor]
        if own:
            parts += [f"Each dose of {what} in µs per request:", _doses(own)]
    return "\n\n".join(parts)


def _row(each: Recovery) -> list[str]:
    return [
        INJECTED[each.factor],
        each.measure,
        plus_minus(each.slope, 3),
        f"{each.share:g}",
        microseconds(each.bias_us),
        "–" if each.held is None else f"{each.held} of {len(each.doses)}",
        str(each.blocks),
    ]


def _doses(found: Sequence[Recovery]) -> str:
    rows = [
        [str(doses[0].injected_us), *(microseconds(dose.recovered_us) for dose in doses)]
        for doses in zip(*(each.doses for each in found), strict=True)
    ]
    return table(["Put in", *(f"Found in {each.measure}" for each in found)], rows)
