"""
Variants that a run sets aside, because their trials fail again and again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from experiments.records.trials import ERROR, STOPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from experiments.records.trials import TrialRecord

FAILURES_IN_A_ROW = 3
"""A variant is set aside after this many consecutive trials without a result."""


def set_aside(trials: Iterable[TrialRecord]) -> dict[str, str]:
    """
    The variants whose last three trials have no result, with the error of the last one.

    ``trials`` are in the order in which they ended. A trial that the user stopped tells nothing.
    """
    errors: dict[str, list[str]] = defaultdict(list)
    for trial in trials:
        if trial.status != ERROR:
            errors[trial.variant].clear()
        elif trial.failed_phase != STOPPED:
            errors[trial.variant].append(trial.error)
    return {variant: told[-1] for variant, told in errors.items() if len(told) >= FAILURES_IN_A_ROW}
