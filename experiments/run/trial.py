"""
One trial: a fresh deployment of one variant, and its loads.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from experiments.errors import WrongAnswerError
from experiments.load import length_of
from experiments.load.merged import merged
from experiments.load.open_loop import OpenLoop, OpenPlan
from experiments.probes.cpu import CpuCounters, add_costs, cpu_cost
from experiments.probes.path import check_path, path_counters
from experiments.records.raw import raw_digest
from experiments.records.trials import (
    ERROR,
    OK,
    STOPPED,
    UNDER_LOAD,
    RoundLoad,
    TrialPlacement,
    TrialRecord,
)
from experiments.run.conditions import LOAD_BASE_S
from experiments.run.deployed import Deployed
from experiments.run.silence import in_silence

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from experiments.records.trials import Check, LoadResult, PathCounters
    from experiments.run.conditions import Conditions, Identity

COLD_REQUESTS = 100
"""Requests in the cold load, the first of a fresh deployment."""


class Trial(Deployed):
    """
    A trial in progress: the block calls its steps one by one, and ``record`` returns its record.
    """

    def __init__(
        self,
        identity: Identity,
        conditions: Conditions,
        check_stop: Callable[[], None],
        *,
        wants_state: bool = False,
        freezes: bool = True,
    ) -> None:
        """
        See Deployed; no load has run yet.
        """
        super().__init__(identity, conditions, check_stop, wants_state=wants_state, freezes=freezes)
        self.loads: list[RoundLoad] = []
        self._whole: list[LoadResult] = []
        self._times_ms: list[Counter[int]] = []
        self._under_way = 0
        self._us_per_request = 0.0

    def stop(self) -> None:
        """
        Record that the user stopped the run; complete loads are kept.
        """
        self._under_way = 0
        self.phase = STOPPED
        self.fail("the run was stopped by the user")

    def spoil(self, fault: str) -> None:
        """
        Record a fault that invalidates all of its results.
        """
        self.spoiled = True
        self.fail(fault)

    def warm_up(self, others: Sequence[Trial] = ()) -> None:
        """
        Run the cold load, then the rest of the warm-up.
        """
        cold = min(COLD_REQUESTS, self.conditions.warmup_requests)
        for name, requests in (
            ("cold", cold),
            ("warmup", self.conditions.warmup_requests - cold),
        ):
            if requests and self.going:
                with self.step(name):
                    with in_silence(others):
                        load = self.load_once(requests, name)
                    if name == "cold":
                        self.fields["cold"] = load
        if self.going and self.probed:
            with self.step("prove"):
                self._path_before = self._path()

    def load(self, number: int, turn: int, others: Sequence[Trial]) -> None:
        """
        Run one load of a round between two readings of the counters.

        The other deployments are frozen, which is proved.
        """
        with self.step("load"):
            name = f"round-{number:02}"
            with in_silence(others) as silence:
                cpu_before = self._cpu()
                started_at = time.time()
                load = self.load_once(self.conditions.requests, name)
                cpu_after = self._cpu()
            self.take(load, self.identity.raw / name)
            self.loads.append(
                RoundLoad(
                    round=number,
                    turn=turn,
                    started_at=started_at,
                    requests=load.requests,
                    requests_completed=load.requests_completed,
                    requests_failed=load.requests_failed,
                    requests_ok=load.requests_ok,
                    responses_non_2xx=load.responses_non_2xx,
                    us_per_request=1e6 / load.requests_per_second,
                    sampled=load.sampled,
                    sampled_bad=load.sampled_bad,
                    others=len(silence.others),
                    others_ran_us=silence.ran_us,
                )
            )
            if cpu_before and cpu_after:
                cost = cpu_cost(cpu_before, cpu_after)
                self.fields["cpu"] = add_costs(self.fields.get("cpu"), cost)

    def take(self, load: LoadResult, directory: Path) -> None:
        """
        Add a complete load, whose raw output is in ``directory``.
        """
        self._times_ms.append(self.conditions.load.times_ms(directory))
        self._whole.append(load)

    def load_once(self, requests: int, name: str) -> LoadResult:
        """
        Run a load without recording it; its raw output goes into a folder of this name.

        Raises ProcessEndedError if a process of the deployment has ended since, and
        WrongAnswerError if no answer was good.
        """
        self._under_way = requests
        with self._thawed():
            load = self._run(requests, name)
        if not load.requests_ok:
            msg = (
                f"none of {load.requests_completed} answers was good: {load.responses_non_2xx} "
                f"were not 2xx, {load.requests_failed} failed or had another length"
            )
            raise WrongAnswerError(msg)
        self._under_way = 0
        self._us_per_request = 1e6 / load.requests_per_second
        return load

    def load_at_once(self, others: Sequence[Trial]) -> None:
        """
        Run one load of as many requests as were published.
        """
        with self.step("at_once"):
            with in_silence(others):
                load = self.load_once(self.conditions.requests_at_once, "at-once")
            self.fields["at_once"] = load
            # The path of this load is not proved yet.
            self.fields.pop("proved", None)

    def prove(self) -> None:
        """
        Prove the path of all loads so far; a trial without this proof has no result.
        """
        if not self._whole or not self.probed:
            return
        with self.step("prove"):
            self.refuse_changes()
            grown = self._path().since(self._path_before)
            self.fields["path"] = grown
            at_once: LoadResult | None = self.fields.get("at_once")
            loads = [*self._whole, *([at_once] if at_once else [])]
            requests = sum(load.served for load in loads)
            # Of a stack of the user's it is not known which services every request passes.
            own = self.identity.project.is_own
            services = len(self.conditions.workload.services) if own else None
            seconds = sum(load.duration_s for load in loads)
            bad = sum(load.requests_completed - load.requests_ok for load in loads)
            check_path(self.variant.levels, grown, requests, services, seconds, bad=bad)
            self.fields["proved"] = True

    def load_by_schedule(self, fraction: float | None, others: Sequence[Trial]) -> None:
        """
        Run the open loop at a share of the measured capacity, or at the common rate (None).
        """
        with self.step("open"):
            plan = self._schedule(fraction)
            with in_silence(others), self._thawed():
                identity = self.identity
                found = OpenLoop().run(plan, self.client, identity.raw, identity.run_folder)
            self.fields.setdefault("open_loads", []).append(found)

    def _schedule(self, fraction: float | None) -> OpenPlan:
        conditions = self.conditions
        if fraction is None:
            rate_per_s = conditions.common_rate_per_s or 0.0
        else:
            rate_per_s = fraction * merged(self._whole, self._times_ms).requests_per_second
        return OpenPlan(
            address=self._address,
            workload=conditions.workload,
            rate_per_s=rate_per_s,
            requests=conditions.open_requests,
            # The same gaps for every variant of a block, up to their scale.
            seed=f"{conditions.seed} {self.identity.block} {fraction}",
            limit_s=LOAD_BASE_S + 2 * conditions.open_requests / rate_per_s,
            fraction=fraction,
            length=length_of(conditions.workload, self.fields["check"].answer),
        )

    def record(self) -> TrialRecord:
        """
        The record of the trial.
        """
        proved = self.fields.pop("proved", False) or not self.probed
        good = bool(self._whole) and proved and not self.spoiled
        placement = self.conditions.placement
        where = TrialPlacement(
            client=sorted(placement.client),
            stack=sorted(placement.stack),
            apart=placement.apart,
            pinned=self.conditions.pinned,
            processes=self.fields.pop("processes", None),
        )
        return TrialRecord(
            number=self.identity.number,
            block=self.identity.block,
            part=self.identity.part,
            position=self.identity.position,
            variant=self.variant.name,
            status=OK if good else ERROR,
            started_at=self.started_at,
            phases_s=dict(self.phases_s),
            placement=where,
            load=merged(self._whole, self._times_ms) if good else None,
            loads=self.loads,
            requests_lost=self._under_way if self.failed_phase in UNDER_LOAD else 0,
            failed_phase=self.failed_phase,
            error=f"{self.fault}\nNext: {self.next_step}" if self.next_step else self.fault,
            raw_sha256=raw_digest(
                self.identity.run_folder,
                self.identity.raw.relative_to(self.identity.run_folder).as_posix(),
            ),
            **({"check": None} | self.fields),
        )

    @property
    def is_proved(self) -> bool:
        """
        Whether the path of all loads is proved.
        """
        return bool(self.fields.get("proved"))

    def _run(self, requests: int, name: str) -> LoadResult:
        check: Check = self.fields["check"]
        plan = self.conditions.load_plan(
            self._address,
            requests,
            check.answer,
            # The same moments for every variant of a block, up to their scale.
            seed=f"{self.identity.block} {name}",
            expected_s=requests * self._us_per_request / 1e6,
        )
        return self.conditions.load.run(plan, self.client, self._directory(name))

    def _directory(self, name: str) -> Path:
        directory = self.identity.raw / name
        directory.mkdir()
        return directory

    def _cpu(self) -> CpuCounters | None:
        if not self.probed:
            return None
        return CpuCounters.read(self._parts, self.conditions.groups)

    def _path(self) -> PathCounters:
        return path_counters(self.identity.site.network_namespace, self.deployment)
