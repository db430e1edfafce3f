"""
One trial: a fresh deployment of one variant, checked, loaded once with counters read around it.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.deployments.container import ContainerDeployment
from experiments.deployments.process import ProcessDeployment
from experiments.faults import keep_logs
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import prove_placement
from experiments.lab.uplink import Uplink
from experiments.load import Client, LoadPlan
from experiments.load.open_loop import OpenLoop, OpenPlan
from experiments.probes.cpu import PULSE, CpuCounters, cpu_cost
from experiments.probes.facts import facts_of
from experiments.probes.network_state import network_state
from experiments.probes.parity import Parity, prove_levels
from experiments.probes.path import check_path, path_counters
from experiments.probes.pulse import beating
from experiments.probes.response import check_answers
from experiments.workloads import ENTRY_PORT, ENTRY_SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from experiments.deployments import Deployment, Site
    from experiments.deployments.compose import ComposeProject
    from experiments.lab.cgroups import ControlGroup
    from experiments.lab.placement import Placement
    from experiments.load import LoadGenerator
    from experiments.records import LoadResult, Pulse
    from experiments.variants import Variant
    from experiments.workloads import Workload

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
    What is the same for every trial of a run.

    ``groups`` are the control groups of the stack, of the client and of this process, by name.
    ``probing`` says for each trial, by its number, whether parity, path and CPU cost are looked at.
    A deployment is loaded ``loads`` times, where that is of interest, and then by schedule, with
    each of ``open_fractions`` of its own capacity and with the common rate.
    """

    workload: Workload
    requests: int
    warmup_requests: int
    concurrency: int
    any_length: bool
    placement: Placement
    pinned: bool
    groups: dict[str, ControlGroup]
    load: LoadGenerator
    parity: Parity
    probing: Callable[[int], bool]
    open_fractions: tuple[float, ...] = ()
    open_requests: int = 0
    common_rate_per_s: float | None = None
    seed: int = 0
    loads: int = 1

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


@dataclass
class Trial:
    """
    A trial under way.

    ``found`` gets fields of the record as soon as they are known, so that nothing that fails later
    loses them; ``state`` is the network's, where the variant's was not ``known_state`` yet.
    """

    number: int
    block: int
    variant: Variant
    project: ComposeProject
    site: Site
    run_folder: Path
    raw: Path
    conditions: Conditions
    begin: Callable[[str], None]
    known_state: bool = False
    phase: str = ""
    phases_s: dict[str, float] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] | None = None

    def run(self, stack: ExitStack) -> None:
        """
        Deploy, check, warm up and load; what is to be torn down is handed to ``stack``.

        Raises what any of that raises; ``phase`` then says in which it was.
        """
        with self._phase("deploy"):
            deployment, client = self._deploy(stack)
        with self._phase("check"):
            address = self._check(deployment, client)
        with self._phase("warmup"):
            self._warm_up(address, client)
        self._load_and_prove(deployment, address, client)
        if self.conditions.loads > 1:
            self._repeat(address, client)
        if self.conditions.open_fractions:
            with self._phase("open"):
                self._load_by_schedule(address, client)

    def _load_and_prove(self, deployment: Deployment, address: str, client: Client) -> None:
        """
        The load that counts, with counters read around it, and the proof of its path.
        """
        if not self.conditions.probing(self.number):
            self.found["load"], self.found["pulse"] = self._load(address, client, self.raw)
            return
        host = self.site.network_namespace
        parts = {**deployment.services(), **deployment.helpers()}
        path_before = path_counters(host, deployment)
        cpu_before = CpuCounters.read(parts, self.conditions.groups)
        load, self.found["pulse"] = self._load(address, client, self.raw)
        cpu_after = CpuCounters.read(parts, self.conditions.groups)
        path_after = path_counters(host, deployment)
        self.found["cpu"] = cpu_cost(cpu_before, cpu_after)
        with self._phase("prove"):
            grown = path_after.since(path_before)
            self.found["path"] = grown.as_record()
            services = len(self.conditions.workload.services)
            check_path(self.variant.levels, grown, load.requests_completed, services)
        # Only now is it a number: a load without its proof is an error.
        self.found["load"] = load

    def _warm_up(self, address: str, client: Client) -> None:
        """
        The very first requests, which are a load of their own, and then the rest of the warm-up.
        """
        cold = min(COLD_REQUESTS, self.conditions.warmup_requests)
        for name, requests in (
            ("cold", cold),
            ("warmup", self.conditions.warmup_requests - cold),
        ):
            if requests:
                directory = self.raw / name
                directory.mkdir()
                plan = self.conditions.plan(address, requests)
                load = self.conditions.load.run(plan, client, directory)
                if name == "cold":
                    self.found["cold"] = load

    def _load(self, address: str, client: Client, directory: Path) -> tuple[LoadResult, Pulse]:
        """
        One load, and its pulse.
        """
        plan = self.conditions.plan(address, self.conditions.requests)
        with ExitStack() as stack:
            # A pulse that fails is the instrument's fault, and no load that broke off.
            with self._phase("pulse"):
                beats = beating(self.conditions.groups[PULSE], client.network_namespace)
                pulse = stack.enter_context(beats)
            with self._phase("load"):
                load = self.conditions.load.run(plan, client, directory)
            self.phase = "pulse"
            return load, pulse.stop()

    def _repeat(self, address: str, client: Client) -> None:
        """
        Load the same deployment again, as often as is asked for.
        """
        for number in range(2, self.conditions.loads + 1):
            directory = self.raw / f"load-{number}"
            directory.mkdir()
            load, _ = self._load(address, client, directory)
            self.found.setdefault("repeated_us", []).append(1e6 / load.requests_per_second)

    def _load_by_schedule(self, address: str, client: Client) -> None:
        """
        The open loop: shares of the capacity that was just measured, and the rate common to all.
        """
        conditions = self.conditions
        capacity_per_s = self.found["load"].requests_per_second
        rates: dict[float | None, float] = {
            fraction: fraction * capacity_per_s for fraction in conditions.open_fractions
        }
        if conditions.common_rate_per_s is not None:
            rates[None] = conditions.common_rate_per_s
        loads = self.found["open_loads"] = []
        for fraction, rate_per_s in rates.items():
            plan = OpenPlan(
                address=address,
                workload=conditions.workload,
                rate_per_s=rate_per_s,
                requests=conditions.open_requests,
                # The same gaps, but for their scale, for every variant of a block.
                seed=f"{conditions.seed} {self.block} {fraction}",
                limit_s=LOAD_BASE_S + 2 * conditions.open_requests / rate_per_s,
                fraction=fraction,
            )
            loads.append(OpenLoop().run(plan, client, self.raw, self.run_folder))

    def _deploy(self, stack: ExitStack) -> tuple[Deployment, Client]:
        conditions, levels = self.conditions, self.variant.levels
        group = self.site.group
        group.create()
        stack.callback(group.remove)
        group.set_cpuset(conditions.placement.stack)
        host = stack.enter_context(NetworkNamespace(self.site.network_namespace))
        here = host
        if levels["entry"] == "external":
            here = stack.enter_context(Uplink(host.name)).namespace
        made = DEPLOYMENTS[levels["runtime"]](self.project, self.site, levels)
        deployment = stack.enter_context(made)
        stack.callback(keep_logs, deployment, self.raw)
        return deployment, Client(here.path, conditions.groups["client"])

    def _check(self, deployment: Deployment, client: Client) -> str:
        """
        Look at the answer, at the CPUs, and at what really runs; the address to be loaded.
        """
        conditions = self.conditions
        entry = self.variant.levels["entry"]
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, entry)
        check, answered_at = check_answers(client.network_namespace, address, conditions.workload)
        self.found["first_answer_s"] = answered_at - deployment.started_at
        placed = {}
        if conditions.pinned:
            placed["processes"] = prove_placement(self.site.group, conditions.placement.stack)
        self.found |= {"check": {**check, "address": address}, "placement": placed}
        if conditions.probing(self.number):
            facts = facts_of(deployment, check)
            self.found["facts"] = facts
            prove_levels(self.variant, facts)
            self.found["allowed"] = conditions.parity.check(self.variant, facts)
        if not self.known_state:
            self.state = network_state(f"/run/netns/{self.site.network_namespace}")
        return address

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.phase = name
        self.begin(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self.phases_s[name] = time.monotonic() - started
