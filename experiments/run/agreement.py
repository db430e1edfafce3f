"""
Agreement: do short loads of thawed deployments equal the load that they represent?

They represent one load of as many requests as were published, to a deployment that runs alone and
is never frozen. A deployment is loaded alone, then in turn with frozen deployments of the same
variant, then alone again. Alone it gets pairs of a short and a long load, in random order and a few
seconds apart.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from experiments.declare.profiles import AGREEMENT_COMPANY, AGREEMENT_PAIRS
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


class Agreement:
    """
    The comparison; every repetition has fresh deployments.
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
        Run one repetition; every load is stored when it ends.

        Raises DeployError if a deployment does not come up.
        """
        self._progress.say(
            f"agreement, repetition {repetition}: {variant.name} alone and beside frozen "
            "deployments; these loads do not count"
        )
        stage = self._stage
        conditions = stage.conditions
        draw = random.Random(f"{conditions.seed} {repetition} {variant.name}")  # noqa: S311
        lone = stage.trial(variant, conditions, kind="agreement", freezes=False)
        company = [
            stage.trial(variant, conditions, kind="agreement") for _ in range(AGREEMENT_COMPANY)
        ]
        try:
            self._up([lone])
            self._alone(repetition, lone, draw)
            self._up(company)
            for _ in range(AGREEMENT_PAIRS):
                # The lone deployment is never frozen; it idles while another one is under load.
                for trial in draw.sample([lone, *company], 1 + AGREEMENT_COMPANY):
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
        for _ in range(AGREEMENT_PAIRS):
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
        msg = f"cannot measure the agreement: {trial.fault}"
        raise DeployError(msg)
