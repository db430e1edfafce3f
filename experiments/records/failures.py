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


class Failures:
    """
    The consecutive failures of each variant; trials are added in the order in which they ended.
    """

    def __init__(self, trials: Iterable[TrialRecord] = ()) -> None:
        """
        Begins with the trials of earlier sessions.
        """
        self._errors: dict[str, list[str]] = defaultdict(list)
        for trial in trials:
            self.add(trial)

    def add(self, trial: TrialRecord) -> None:
        """
        Add a trial. One that the user stopped tells nothing.
        """
        if trial.status != ERROR:
            self._errors[trial.variant].clear()
        elif trial.failed_phase != STOPPED:
            self._errors[trial.variant].append(trial.error)

    def set_aside(self) -> dict[str, str]:
        """
        The variants whose last three trials have no result, with the error of the last one.
        """
        many = {name: told for name, told in self._errors.items() if len(told) >= FAILURES_IN_A_ROW}
        return {variant: told[-1] for variant, told in many.items()}
