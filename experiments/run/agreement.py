"""
Whether short loads of thawed deployments agree with what they stand for.

They stand for as many requests as were published, at once, to a deployment that stands alone and
was never frozen. A deployment is loaded alone, then beside frozen ones of its kind and in turn with
them, then alone again, each time with short loads and, alone, with long ones between; loads that
are compared lie some seconds apart, and the order of each pair is random.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from experiments.errors import DeployError
from experiments.records.store import append_agreement
from experiments.records.trials import AgreementLoad
from experiments.run.silence import in_silence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.declare.variants import Variant
    from experiments.run.progress import Progress
    from experiments.run.stage import Stage
    from experiments.run.trial import Trial

COMPANY = 3
"""Frozen deployments beside the one that never is."""

PAIRS = 3
"""Pairs of a short and a long load while it is alone, before and after; and rounds in company."""


class Agreement:
    """
    Repetitions of the comparison, each with fresh deployments.
    """

    def __init__(self, stage: Stage, progress: Progress) -> None:
        """
        Nothing is measured yet.
        """
        self._stage = stage
        self._progress = progress
        self._number = 0

    def run(self, repetition: int, variant: Variant) -> None:
        """
        One repetition, whose loads are kept as they are made.

        Raises DeployError when a deployment does not come up.
        """
        self._progress.say(
            f"agreement, repetition {repetition}: {variant.name} alone and in company; these loads "
            "are not part of the results"
        )
        stage = self._stage
        conditions = stage.conditions
        draw = random.Random(f"{conditions.seed} {repetition} {variant.name}")  # noqa: S311
        lone = stage.trial(variant, conditions, kind="agreement", freezes=False)
        company = [stage.trial(variant, conditions, kind="agreement") for _ in range(COMPANY)]
        try:
            self._up([lone])
            self._alone(repetition, lone, draw)
            self._up(company)
            for _ in range(PAIRS):
                # The lone one stands idle while another is loaded; it is never frozen.
                for trial in draw.sample([lone, *company], 1 + COMPANY):
                    others = [other for other in company if other is not trial]
                    self._load(repetition, trial, conditions.requests, others)
            for trial in company:
                trial.take_down()
            self._alone(repetition, lone, draw)
        finally:
            for trial in [lone, *company]:
                trial.take_down()

    def _up(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            trial.bring_up()
            trial.warm_up()
            _refuse(trial)

    def _alone(self, repetition: int, trial: Trial, draw: random.Random) -> None:
        conditions = self._stage.conditions
        lengths = [conditions.requests, conditions.requests_at_once]
        for _ in range(PAIRS):
            for requests in draw.sample(lengths, 2):
                self._load(repetition, trial, requests, ())

    def _load(self, repetition: int, trial: Trial, requests: int, others: Sequence[Trial]) -> None:
        self._number += 1
        started_at = time.time()
        with trial.step("load"):
            with in_silence(others):
                load = trial.load_once(requests, f"load-{self._number:03}")
            found = AgreementLoad(
                repetition=repetition,
                variant=trial.variant.name,
                thawed=trial.freezes,
                beside=len(others),
                requests=requests,
                requests_ok=load.requests_ok,
                started_at=started_at,
                us_per_request=1e6 / load.requests_per_second,
            )
            append_agreement(self._stage.run, found)
        _refuse(trial)


def _refuse(trial: Trial) -> None:
    if trial.fault:
        msg = f"the agreement cannot be measured: {trial.fault}"
        raise DeployError(msg)
