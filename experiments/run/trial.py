"""
One trial: a fresh deployment of one variant, checked, and loaded in turns with others.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.declare.workloads import ENTRY_PORT, ENTRY_SERVICE
from experiments.deployments.container import ContainerDeployment
from experiments.deployments.process import ProcessDeployment
from experiments.errors import ProofError
from experiments.lab.freezer import FREEZING_US, Freezer
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import prove_placement
from experiments.lab.uplink import Uplink
from experiments.load import Client, LoadPlan
from experiments.load.ab import times_ms
from experiments.load.merged import merged
from experiments.load.open_loop import OpenLoop, OpenPlan
from experiments.probes.cpu import (
    CpuCounters,
    add_costs,
    cpu_cost,
)
from experiments.probes.facts import facts_of
from experiments.probes.network_state import network_state
from experiments.probes.parity import Parity, prove_levels
from experiments.probes.path import check_path, path_counters
from experiments.probes.response import check_answers
from experiments.records.trials import (
    ERROR,
    OK,
    STOPPED,
    UNDER_LOAD,
    RoundLoad,
    TrialPlacement,
    TrialRecord,
)
from experiments.run.faults import (
    TRIAL_ERRORS,
    describe,
    keep_logs,
    keep_tails,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.declare.workloads import Workload
    from experiments.deployments import (
        Deployment,
        Part,
        Site,
    )
    from experiments.deployments.compose import ComposeProject
    from experiments.lab.cgroups import ControlGroup
    from experiments.lab.placement import Placement
    from experiments.load import LoadGenerator
    from experiments.records.manifest import NetworkState
    from experiments.records.trials import LoadResult, PathCounters

DEPLOYMENTS: dict[str, type[Deployment]] = {
    "process": ProcessDeployment,
    "container": ContainerDeployment,
}

COLD_REQUESTS = 100
"""How many requests a fresh deployment is said to be cold for."""

LOAD_BASE_S = 60.0
LOAD_PER_REQUEST_S = 0.5
"""A load is ended after the base plus this much for every request: two requests a second."""


@dataclass(frozen=True)
class Conditions:
    """
    What is the same for every trial of a block.

    A deployment is loaded with ``requests`` requests in each of ``rounds`` rounds, then, where its
    variant is in ``at_once``, with ``requests_at_once`` at once, and then by schedule, with each of
    ``open_fractions`` of its own capacity and with the common rate. ``groups`` are the control
    groups of the client and of this process, by name. ``probing`` says for each trial, by its
    number, whether parity, path and CPU cost are looked at.
    """

    workload: Workload
    requests: int
    rounds: int
    warmup_requests: int
    concurrency: int
    any_length: bool
    placement: Placement
    pinned: bool
    groups: dict[str, ControlGroup]
    load: LoadGenerator
    parity: Parity
    probing: Callable[[int], bool]
    seed: int
    at_once: frozenset[str] = frozenset()
    requests_at_once: int = 0
    open_fractions: tuple[float, ...] = ()
    open_requests: int = 0
    common_rate_per_s: float | None = None

    def plan(self, address: str, requests: int) -> LoadPlan:
        """
        A load of so many requests.
        """
        return LoadPlan(
            address=address,
            workload=self.workload,
            requests=requests,
            concurrency=min(self.concurrency, requests),
            limit_s=LOAD_BASE_S + LOAD_PER_REQUEST_S * requests,
            any_length=self.any_length,
        )


@dataclass(frozen=True)
class Identity:
    """
    Which trial it is: its number, its place, and where it leaves what it sees.
    """

    number: int
    block: int
    part: int
    position: int
    variant: Variant
    project: ComposeProject
    site: Site
    run_folder: Path
    raw: Path


class Trial:
    """
    A trial under way.

    Its steps are asked for one by one, in the order in which they stand here. A step that fails
    leaves its ``fault``, and the trial is then no longer ``going``; nothing that other trials do
    depends on it. ``found`` gets fields of the record as soon as they are known, and ``state`` is
    the network's, where it is wanted. A ``quiet`` one tells nobody of its phases, and so is not
    stopped in one.
    """

    def __init__(
        self,
        identity: Identity,
        conditions: Conditions,
        begin: Callable[[Trial, str], None],
        *,
        wants_state: bool = False,
        freezes: bool = True,
    ) -> None:
        """
        ``begin`` is told of every phase, and may raise KeyboardInterrupt. Nothing is made yet.

        One that does not ``freeze`` runs from its bringing up to its taking down.
        """
        self.identity = identity
        self.conditions = conditions
        self.phase = ""
        self.phases_s: dict[str, float] = defaultdict(float)
        self.fault = ""
        self.failed_phase = ""
        self.found: dict[str, Any] = {}
        self.loads: list[RoundLoad] = []
        self.state: NetworkState | None = None
        self.started_at = time.time()
        self._begin = begin
        self._wants_state = wants_state
        self.freezes = freezes
        self._stack = ExitStack()
        self._whole: list[LoadResult] = []
        self._times_ms: list[Counter[int]] = []
        self._frozen = False
        self._down = False
        self._spoiled = False
        self._under_way = 0
        self.quiet = False

    @property
    def variant(self) -> Variant:
        """
        What is deployed.
        """
        return self.identity.variant

    @property
    def going(self) -> bool:
        """
        Whether it is up and nothing has failed.
        """
        return not self.fault and "check" in self.found

    @property
    def probed(self) -> bool:
        """
        Whether parity, path and CPU cost are looked at.
        """
        return self.conditions.probing(self.identity.number)

    @contextmanager
    def step(self, phase: str) -> Iterator[None]:
        """
        A phase; an error in it is the trial's own and is raised no further.
        """
        self.phase = phase
        started = time.monotonic()
        try:
            if not self.quiet:
                self._begin(self, phase)
            yield
        except TRIAL_ERRORS as error:
            self.fail(describe(error))
            keep_tails(self.identity.site.directory, self.identity.raw)
        finally:
            self.phases_s[phase] += time.monotonic() - started

    def fail(self, fault: str) -> None:
        """
        Note what went wrong in the phase that is under way; the first fault says in which.
        """
        self.failed_phase = self.failed_phase or self.phase
        self.fault = f"{self.fault}; and then: {fault}" if self.fault else fault

    def stop(self) -> None:
        """
        The user stopped the run while nothing was wrong with it; what it has is kept.
        """
        self._under_way = 0
        self.phase = STOPPED
        self.fail("the run was stopped by the user")

    def spoil(self, fault: str) -> None:
        """
        Something came up that leaves no number of it standing.
        """
        self._spoiled = True
        self.fail(fault)

    def bring_up(self) -> None:
        """
        Deploy, look at the answer, the CPUs and what runs, and freeze it all.
        """
        with self.step("deploy"):
            self.deploy()
        if self.fault:
            return
        with self.step("check"):
            self._check()
            self.freeze()

    def warm_up(self, others: Sequence[Trial] = ()) -> None:
        """
        The very first requests, which are a load of their own, and then the rest of the warm-up.
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
                        self.found["cold"] = load
        if self.going and self.probed:
            with self.step("prove"):
                self._path_before = self._path()

    def load(self, number: int, turn: int, others: Sequence[Trial]) -> None:
        """
        One load of a round, with counters read around it; ``others`` are frozen, which is proved.
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
                    others=len(silence.others),
                    others_ran_us=silence.ran_us,
                )
            )
            if cpu_before and cpu_after:
                cost = cpu_cost(cpu_before, cpu_after)
                self.found["cpu"] = add_costs(self.found.get("cpu"), cost)

    def take(self, load: LoadResult, directory: Path) -> None:
        """
        Take a whole load in, whose raw output is in the directory.
        """
        self._times_ms.append(times_ms(directory))
        self._whole.append(load)

    def load_once(self, requests: int, name: str) -> LoadResult:
        """
        A load that nothing is made of here; its raw output goes into a folder of this name.
        """
        self._under_way = requests
        with self._thawed():
            load = self._run(requests, self._directory(name))
        self._under_way = 0
        return load

    def load_at_once(self, others: Sequence[Trial]) -> None:
        """
        As many requests as were published, at once.
        """
        with self.step("at_once"):
            with in_silence(others):
                load = self.load_once(self.conditions.requests_at_once, "at-once")
            self.found["at_once"] = load
            # Its path is still to be proved.
            self.found.pop("proved", None)

    def prove(self) -> None:
        """
        Prove the path of all loads so far; what has not been proved is no number.
        """
        if not self._whole or not self.probed:
            return
        with self.step("prove"):
            grown = self._path().since(self._path_before)
            self.found["path"] = grown
            at_once: LoadResult | None = self.found.get("at_once")
            loads = [*self._whole, *([at_once] if at_once else [])]
            requests = sum(load.requests_completed for load in loads)
            services = len(self.conditions.workload.services)
            seconds = sum(load.duration_s for load in loads)
            check_path(self.variant.levels, grown, requests, services, seconds)
            self.found["proved"] = True

    def load_by_schedule(self, fraction: float | None, others: Sequence[Trial]) -> None:
        """
        The open loop, with a share of the capacity that was measured, or for None the common rate.
        """
        with self.step("open"):
            plan = self._schedule(fraction)
            with in_silence(others), self._thawed():
                identity = self.identity
                found = OpenLoop().run(plan, self.client, identity.raw, identity.run_folder)
            self.found.setdefault("open_loads", []).append(found)

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
            # The same gaps, but for their scale, for every variant of a block.
            seed=f"{conditions.seed} {self.identity.block} {fraction}",
            limit_s=LOAD_BASE_S + 2 * conditions.open_requests / rate_per_s,
            fraction=fraction,
        )

    def take_down(self) -> None:
        """
        Kill everything of it, and remove what was made for it.
        """
        site = self.identity.site
        if self._down:
            return
        self._down = True
        self.quiet = True
        with self.step("teardown"), self._stack:
            if hasattr(self, "freezer"):
                # Docker tells its containers' logs only while it runs. It may have been frozen a
                # moment ago, by what was then interrupted.
                self.freezer.thaw()
                self._frozen = False
            if hasattr(self, "deployment"):
                keep_logs(self.deployment, self.identity.raw)
            site.group.kill()
        shutil.rmtree(site.directory, ignore_errors=True)

    def record(self) -> TrialRecord:
        """
        What it came to.
        """
        proved = self.found.pop("proved", False) or not self.probed
        good = bool(self._whole) and proved and not self._spoiled
        placement = self.conditions.placement
        where = TrialPlacement(
            client=sorted(placement.client),
            stack=sorted(placement.stack),
            apart=placement.apart,
            pinned=self.conditions.pinned,
            processes=self.found.pop("processes", None),
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
            error=self.fault,
            **({"check": None} | self.found),
        )

    def freeze(self) -> None:
        """
        Let nothing of it run.
        """
        if self.freezes:
            self.freezer.freeze()
            self._frozen = True

    def thaw(self) -> None:
        """
        Let it run.
        """
        if self._frozen:
            self._frozen = False
            self.freezer.thaw()

    @property
    def is_proved(self) -> bool:
        """
        Whether the path of all its loads is proved.
        """
        return bool(self.found.get("proved"))

    @property
    def is_frozen(self) -> bool:
        """
        Whether nothing of it can run now.
        """
        return self._frozen

    @contextmanager
    def _thawed(self) -> Iterator[None]:
        self.thaw()
        try:
            yield
        finally:
            self.freeze()

    def _run(self, requests: int, directory: Path) -> LoadResult:
        plan = self.conditions.plan(self._address, requests)
        return self.conditions.load.run(plan, self.client, directory)

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

    def deploy(self) -> None:
        """
        Make its namespaces and groups, and let the stack come up.
        """
        site, levels = self.identity.site, self.variant.levels
        site.directory.mkdir(parents=True)
        site.group.create()
        self._stack.callback(site.group.remove)
        host = self._stack.enter_context(NetworkNamespace(site.network_namespace))
        here = host
        if levels["entry"] == "external":
            here = self._stack.enter_context(Uplink(host.name)).namespace
        made = DEPLOYMENTS[levels["runtime"]](self.identity.project, site, levels)
        self.deployment: Deployment = self._stack.enter_context(made)
        self.client = Client(here.path, self.conditions.groups["client"])

    def _check(self) -> None:
        """
        Look at the answer, at the CPUs, and at what really runs.
        """
        conditions, levels, site = self.conditions, self.variant.levels, self.identity.site
        address = self.deployment.address(ENTRY_SERVICE, ENTRY_PORT, levels["entry"])
        namespace = self.client.network_namespace
        check, answered_at = check_answers(namespace, address, conditions.workload)
        self.found["first_answer_s"] = answered_at - self.deployment.started_at
        if site.group.bind(conditions.placement.stack):
            cpus = conditions.placement.stack
            self.found["processes"] = prove_placement(site.group, cpus)
        # Asked for once, because a frozen daemon answers nothing.
        services = self.deployment.services()
        self._parts: dict[str, Part] = {**services, **self.deployment.helpers()}
        self._address = address
        self.freezer = Freezer(site.group)
        if self.probed:
            facts = facts_of(self.deployment, check.answer)
            self.found["facts"] = facts
            prove_levels(self.variant, facts)
            self.found["allowed"] = conditions.parity.check(self.variant, facts)
        if self._wants_state:
            self.state = network_state(f"/run/netns/{site.network_namespace}")
        self.found["check"] = check


class Silence:
    """
    What frozen deployments did while another was loaded: ``ran_us`` of CPU time in all.
    """

    def __init__(self, others: Sequence[Trial]) -> None:
        """
        Looks at those of them that are frozen.
        """
        self.others = [other for other in others if other.is_frozen]
        self.ran_us = 0
        self._before_us = [other.freezer.ran_us() for other in self.others]

    def prove(self) -> None:
        """
        Raise ProofError that names what ran.
        """
        ran_us = {
            other.variant.name: other.freezer.ran_us() - before
            for other, before in zip(self.others, self._before_us, strict=True)
        }
        self.ran_us = sum(ran_us.values())
        if any(us > FREEZING_US for us in ran_us.values()):
            names = ", ".join(f"{name} {us} µs" for name, us in ran_us.items() if us)
            msg = f"while one was loaded, frozen deployments took CPU time: {names}"
            raise ProofError(msg)


@contextmanager
def in_silence(others: Sequence[Trial]) -> Iterator[Silence]:
    """
    Prove that what is frozen of these takes no CPU time meanwhile.

    Raises ProofError when one takes more than it takes to be frozen (FREEZING_US).
    """
    silence = Silence(others)
    yield silence
    silence.prove()
