"""
The arms of a comparison: which of their runs count, and what these measured together.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from analysis.audit.account import account_of
from analysis.audit.findings import shortened
from experiments.records.ab.output import seconds_per_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.ab.output import AbOutput

LONGEST_REASON = 120


class GoodShare(NamedTuple):
    """
    The limits of the share of good answers.
    """

    least: float
    most: float


@dataclass(frozen=True)
class Arm:
    """
    The runs of one alternative.
    """

    name: str
    runs: Sequence[AbOutput]

    @cached_property
    def _places(self) -> dict[str, int]:
        places: dict[str, int] = {}
        for number, run in enumerate(self.runs, 1):
            if fault(run) is None:
                places.setdefault(_numbers(run), number)
        return places

    def place_of(self, run: AbOutput) -> int | None:
        """
        The number, from 1, of the first run that is the same in everything that was measured.
        """
        return self._places.get(_numbers(run))

    @property
    def measured(self) -> list[AbOutput]:
        """
        The runs that have a result with a rate; a copy counts once.
        """
        return [self.runs[number - 1] for number in self._places.values()]

    @property
    def rates_per_s(self) -> list[float]:
        """
        The rate of every such run.
        """
        return [1 / time_s for run in self.measured if (time_s := seconds_per_request(run))]

    @cached_property
    def good(self) -> GoodShare:
        """
        The share of good answers in all of these runs together.
        """
        accounts = [account_of(run) for run in self.measured]
        complete = sum(account.complete for account in accounts)
        return GoodShare(
            sum(account.good.least for account in accounts) / complete,
            sum(account.good.most for account in accounts) / complete,
        )


def fault(run: AbOutput) -> str | None:
    """
    Why a run has no place in a comparison; None if it has.
    """
    if run.failure:
        return shortened(run.failure, LONGEST_REASON)
    return None if run.requests_completed and seconds_per_request(run) else "it has no rate"


def _numbers(run: AbOutput) -> str:
    """
    What was measured, however it was stored: with ab's progress and errors, or without.
    """
    measured = dataclasses.replace(
        run,
        faults=(),
        warnings=(),
        unreadable=(),
        interrupted=False,
        began=False,
        marked=False,
        elided=False,
    )
    return repr(measured)
