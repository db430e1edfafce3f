"""
The length artefact of ab: a stack under load before it is up, by ab without and with -l.

ab takes the length of the first answer as the expected length of all (support/ab.c), whatever its
status. If that answer is a 502, every good answer has a different length and counts as failed. Here
the product services open their ports only after the first answer, so the first answers are 502s of
the gateway, as in the published run, where 996 of 1000 requests "failed" and 4 were not 2xx.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pyroute2 import netns

from experiments.errors import LoadError
from experiments.paths import SERVICES
from experiments.records.files import ARTEFACT_TRIALS
from experiments.records.store import append_trial

if TYPE_CHECKING:
    from experiments.declare.variants import Variant
    from experiments.records.trials import TrialRecord
    from experiments.run.progress import Progress
    from experiments.run.stage import Stage
    from experiments.run.trial import Trial

OVERLAY = SERVICES / "late-products.yaml"
LATE_SERVICES = ("product-1", "product-2")
FIRST_ANSWER_S = 20
OWN_COUNTERS = Path("/proc/thread-self/net/snmp")


class LengthArtefact:
    """
    The same cold start twice: ab without ``-l``, as published, and with it.
    """

    def __init__(self, stage: Stage, progress: Progress) -> None:
        """
        Nothing is measured yet.
        """
        self._stage = stage
        self._progress = progress

    def run(self, variant: Variant) -> None:
        """
        Run and record both trials; an error is in the record and is not raised.
        """
        self._progress.say(
            f"length artefact: {variant.name} under load before it is up, by ab without and with "
            "-l; these trials do not count"
        )
        name = f"{variant.name}-late"
        late = dataclasses.replace(variant, name=name, overlays=(*variant.overlays, OVERLAY))
        for any_length in (False, True):
            record = self._late(late, any_length=any_length)
            append_trial(self._stage.run, record, ARTEFACT_TRIALS)
            self._progress.rehearsed("artefact", record)

    def _late(self, variant: Variant, *, any_length: bool) -> TrialRecord:
        """
        A trial whose product services open their ports only after the gateway's first 502.

        Nothing is proved.
        """
        conditions = dataclasses.replace(
            self._stage.conditions,
            any_length=any_length,
            requests=self._stage.conditions.requests_at_once,
            probing=lambda _: False,
        )
        trial = self._stage.trial(variant, conditions, kind="artefact")
        try:
            with trial.step("deploy"):
                trial.deploy()
                trial.identity.site.group.bind(conditions.placement.stack)
            if not trial.fault:
                with trial.step("load"):
                    self._load(trial)
        finally:
            trial.take_down()
        return trial.record()

    def _load(self, trial: Trial) -> None:
        entry = trial.variant.levels["entry"]
        workload = trial.conditions.workload
        address = trial.deployment.address(workload.entry_service, workload.entry_port, entry)
        services = trial.deployment.services()
        plan = trial.conditions.load_plan(address, trial.conditions.requests)
        with ThreadPoolExecutor(max_workers=2) as executor:
            # The watcher comes first, because its thread stays in the namespace that it joins.
            # ab opens a further connection only after an answer, and docker-proxy opens one for
            # every connection of ab.
            opened = 2 * (plan.concurrency + 1)
            answered = executor.submit(
                await_connections, trial.client.network_namespace_path, opened
            )
            load = executor.submit(
                trial.conditions.load.run, plan, trial.client, trial.identity.raw
            )
            answered.result()
            for name in LATE_SERVICES:
                os.kill(services[name].first_process, signal.SIGUSR1)
            trial.take(load.result(), trial.identity.raw)


def await_connections(network_namespace_path: str, count: int) -> None:
    """
    Wait until ``count`` connections are opened in a network namespace, which the thread joins.

    Raises LoadError if they are not.
    """
    netns.setns(network_namespace_path, flags=0, fork=False)
    before = active_opens(OWN_COUNTERS.read_text())
    deadline = time.monotonic() + FIRST_ANSWER_S
    while active_opens(OWN_COUNTERS.read_text()) - before < count:
        if time.monotonic() > deadline:
            msg = f"no request was answered within {FIRST_ANSWER_S} s, not even by a 502"
            raise LoadError(msg)
        time.sleep(0.002)


def active_opens(text: str) -> int:
    """
    The number of opened connections in a text such as /proc/net/snmp.
    """
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])
