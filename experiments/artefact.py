"""
The length artefact, measured: a stack that is loaded before it is up, by ab without and with -l.

ab takes the length of the first answer that ends as the length of all (support/ab.c), whatever its
status. Where that is a 502, every good answer has another length and is counted as failed. Here the
products open their port only when there has been an answer, so the first ones are the gateway's
502s, as in the published run, where 996 of 1000 requests "failed" and 4 were not 2xx.
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
from experiments.probes.beat import active_opens
from experiments.trial import Trial
from experiments.workloads import ENTRY_PORT, ENTRY_SERVICE, SERVICES

if TYPE_CHECKING:
    from contextlib import ExitStack

    from experiments.records import TrialRecord
    from experiments.stage import Stage
    from experiments.variants import Variant

OVERLAY = SERVICES / "late-products.yaml"
LATE_SERVICES = ("product-1", "product-2")
FIRST_ANSWER_S = 20
OWN_COUNTERS = Path("/proc/thread-self/net/snmp")


class LateTrial(Trial):
    """
    A trial whose products serve only when a request has been answered without; nothing is proved.
    """

    def run(self, stack: ExitStack) -> None:
        """
        Deploy, begin to load, let the products serve.
        """
        with self._phase("deploy"):
            deployment, client = self._deploy(stack)
        entry = self.variant.levels["entry"]
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, entry)
        services = deployment.services()
        plan = self.conditions.plan(address, self.conditions.requests)
        with self._phase("load"), ThreadPoolExecutor(max_workers=2) as executor:
            # The watcher first: a thread that has joined a namespace stays in it.
            # ab opens another connection than its first ones only when it has had an answer, and
            # docker-proxy opens one for each of ab's.
            opened = 2 * (plan.concurrency + 1)
            answered = executor.submit(await_connections, client.network_namespace, opened)
            load = executor.submit(self.conditions.load.run, plan, client, self.raw)
            answered.result()
            for name in LATE_SERVICES:
                os.kill(services[name].first_process, signal.SIGUSR1)
            self.found["load"] = load.result()


def await_connections(network_namespace: str, count: int) -> None:
    """
    Wait until so many are opened in a network namespace; moves the calling thread into it.

    Raises LoadError when they are not.
    """
    netns.setns(network_namespace, flags=0, fork=False)
    before = active_opens(OWN_COUNTERS.read_text())
    deadline = time.monotonic() + FIRST_ANSWER_S
    while active_opens(OWN_COUNTERS.read_text()) - before < count:
        if time.monotonic() > deadline:
            msg = f"no request was answered within {FIRST_ANSWER_S} s, not even by a 502"
            raise LoadError(msg)
        time.sleep(0.002)


def measure_artefact(stage: Stage, variant: Variant) -> list[TrialRecord]:
    """
    The same cold start twice: ab without ``-l``, as published, and with it.

    Each is a record like any other, in which an error is not raised.
    """
    late = dataclasses.replace(
        variant, name=f"{variant.name}-late", overlays=(*variant.overlays, OVERLAY)
    )
    planned = stage.conditions
    records = []
    for any_length in (False, True):
        stage.conditions = dataclasses.replace(planned, any_length=any_length)
        try:
            records.append(stage.trial(0, 0, late, kind="artefact", made=LateTrial))
        finally:
            stage.conditions = planned
    return records
