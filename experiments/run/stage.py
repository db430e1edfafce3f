"""
The stage of all trials: CPUs, control groups, image store, and Docker's OCI specification.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.deployments import Site
from experiments.deployments.compose import ComposeProject, resolve
from experiments.deployments.oci import docker_spec, has_primitive
from experiments.deployments.privileges import privileges, refuse_privileges
from experiments.errors import ComposeError
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies
from experiments.lab.freezer import check_freezer
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import choose_placement
from experiments.load.ab import ApacheBench
from experiments.load.sampled import Sampled
from experiments.paths import IMAGE_STORE_IN_LAB, SERVICES, STACK_IN_LAB, STACK_STORE_IN_LAB
from experiments.plan.order import orders_of
from experiments.probes.parity import Parity
from experiments.probes.residue import check_residue, snapshot
from experiments.records.cpu import CLIENT, RUNNER
from experiments.records.files import RAW
from experiments.records.manifest import PROBES
from experiments.records.trials import OK
from experiments.run.block import Block
from experiments.run.conditions import Conditions, Identity
from experiments.run.deployed import DEPLOYMENT_CLASSES
from experiments.run.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from experiments.declare.stack import Stack
    from experiments.declare.variants import Variant
    from experiments.declare.workloads import Workload
    from experiments.load import LoadGenerator
    from experiments.records.manifest import Manifest, NetworkState
    from experiments.records.trials import TrialRecord
    from experiments.run.stop import StopRequest

SCRATCH = Path("/run/bridgetoll")

AT_A_TIME_PER_CPU = 1
"""Deployments that are brought up concurrently, per CPU."""


NUMBERED = re.compile(r"(?:(?:search|artefact|agreement)-)?(\d+)-")
"""The start of the name of a raw folder, with the number of its trial."""


class Stage:
    """
    The shared resources of all trials of a run.

    ``states`` has the state of the network by variant, from its first trial; ``number`` is that of
    the last trial.
    """

    def __init__(
        self,
        run: Path,
        workload: Workload,
        stop: StopRequest,
        show: Callable[[str], None],
        stack: Stack | None = None,
    ) -> None:
        """
        ``show`` gets the current phase in words; nothing is done yet.
        """
        self.run = run
        self.workload = workload
        self.stack = stack
        own = stack is None or not stack.store
        self.image_store = IMAGE_STORE_IN_LAB if own else STACK_STORE_IN_LAB
        self.stop = stop
        self.show = show
        self.load: LoadGenerator = Sampled(ApacheBench())
        self.cpus = frozenset(os.sched_getaffinity(0))
        self.placement = choose_placement(set(self.cpus))
        self.hierarchies = hierarchies(inside_lab=True)
        check_freezer(self.hierarchies)
        self.groups = {
            CLIENT: ControlGroup("client", self.hierarchies),
            RUNNER: ControlGroup(RUNNER_GROUP, self.hierarchies),
        }
        self.number = 0
        self.states: dict[str, NetworkState] = {}
        self._docker_spec: dict[str, Any] = {}
        self._projects: dict[str, ComposeProject] = {}
        self._before: dict[str, frozenset[str]] = {}

    @property
    def at_a_time(self) -> int:
        """
        The number of deployments that are brought up concurrently.
        """
        return AT_A_TIME_PER_CPU * len(self.cpus)

    def prepare(self, manifest: Manifest, variants: Iterable[Variant]) -> None:
        """
        Place the client, and read the Compose files of all variants, before any trial.

        Raises ComposeError for a Compose file that a deployment cannot honour.
        """
        with NetworkNamespace("first"):
            # The first namespace creates the directory of names, which is no trial's residue.
            pass
        self.groups[CLIENT].create()
        pinned = self.groups[CLIENT].set_cpuset(self.placement.client)
        self.groups[RUNNER].set_cpuset(self.placement.client)
        self.conditions = Conditions(
            workload=self.workload,
            requests=manifest.requests,
            rounds=manifest.rounds,
            warmup_requests=manifest.warmup_requests,
            concurrency=manifest.concurrency,
            any_length=manifest.any_length,
            placement=self.placement,
            pinned=pinned,
            groups=self.groups,
            load=self.load,
            parity=Parity(manifest.allowed, own=self.stack is None),
            probing=PROBES[manifest.probes],
            seed=manifest.seed,
            at_once=frozenset(manifest.at_once),
            requests_at_once=manifest.requests_at_once,
            open_fractions=tuple(manifest.open_fractions),
            open_requests=manifest.open_requests,
            common_rate_per_s=manifest.common_rate_per_s,
        )
        chosen = list(variants)
        with self.all_cpus(), ThreadPoolExecutor(len(self.cpus)) as executor:
            list(executor.map(self.project, chosen))
        for variant in chosen:
            # Reads the whole project, so that an unsupported key fails before any trial.
            levels, project = variant.levels, self.project(variant)
            try:
                if not manifest.allow_privileged:
                    refuse_privileges(project)
                DEPLOYMENT_CLASSES[levels["runtime"]](project, self.site(0), levels)
            except ComposeError as error:
                files = ", ".join(file.name for file in project.files)
                msg = f"variant {variant.name} ({files}): {error}"
                raise ComposeError(msg) from error
        self._before = snapshot(self.hierarchies)

    def go_on(
        self,
        variants: Mapping[str, Variant],
        trials: Sequence[TrialRecord],
        states: Mapping[str, NetworkState],
    ) -> None:
        """
        Begin the blocks, after these trials and states of the run's earlier sessions.
        """
        self.number = max([last_number(self.run), *(trial.number for trial in trials)])
        self.states.update(states)
        for trial in trials:
            if trial.status == OK and trial.facts is not None and trial.variant in variants:
                self.conditions.parity.remember(variants[trial.variant], trial.facts)

    def follow(self, manifest: Manifest) -> None:
        """
        Take over the results of the pilot.
        """
        self.conditions = replace(
            self.conditions,
            requests=manifest.requests,
            rounds=manifest.rounds,
            common_rate_per_s=manifest.common_rate_per_s,
        )

    def project(self, variant: Variant) -> ComposeProject:
        """
        The Compose project of a variant; read once per variant.
        """
        if variant.name not in self._projects:
            files = (
                variant.compose_files(SERVICES)
                if self.stack is None
                else self.stack.compose_files(variant, STACK_IN_LAB, self.run)
            )
            variables = variant.variables() | (self.stack.variables if self.stack else {})
            self._projects[variant.name] = resolve(files, self.workload.services, variables)
        return self._projects[variant.name]

    def privileges(self) -> list[str]:
        """
        The keys of all projects so far that let services reach the machine.
        """
        found = (privileges(project.config) for project in self._projects.values())
        return sorted({each for keys in found for each in keys})

    def forget(self, name: str) -> None:
        """
        Forget a project, because the variant of this name has changed.
        """
        self._projects.pop(name, None)

    def trial(
        self,
        variant: Variant,
        conditions: Conditions,
        *,
        block: int = 0,
        part: int = 1,
        position: int = 1,
        kind: str = "",
        freezes: bool = True,
    ) -> Trial:
        """
        The next trial; nothing of it is created yet.

        A trial that does not count has a ``kind``, which is part of the name of its folder.
        """
        self.number += 1
        name = f"{self.number:03}-{variant.name}"
        raw = self.run / RAW / (f"{kind}-{name}" if kind else name)
        raw.mkdir(parents=True)
        identity = Identity(
            number=self.number,
            block=block,
            part=part,
            position=position,
            variant=variant,
            project=self.project(variant),
            site=self.site(self.number),
            run_folder=self.run,
            raw=raw,
        )
        wants_state = variant.name not in self.states
        return Trial(
            identity, conditions, self.stop.check, wants_state=wants_state, freezes=freezes
        )

    def side_by_side(
        self,
        variants: Sequence[Variant],
        conditions: Conditions | None = None,
        *,
        block: int = 0,
        part: int = 1,
        kind: str = "",
        pairs: Sequence[Sequence[str]] = (),
        closest: Sequence[Sequence[str]] = (),
    ) -> Block:
        """
        A block with a trial of each variant, in this order; nothing of it is created yet.

        The loads of ``pairs`` mostly follow each other, and those of ``closest`` most of all.
        """
        conditions = conditions or self.conditions
        trials = [
            self.trial(variant, conditions, block=block, part=part, position=place, kind=kind)
            for place, variant in enumerate(variants, start=1)
        ]
        orders = orders_of(block, part, conditions.seed)
        if not block:
            number = trials[0].identity.number
            orders = random.Random(f"{conditions.seed} {kind} {number}")  # noqa: S311 - an order
        return Block(
            stage=self,
            trials=trials,
            conditions=conditions,
            order=orders,
            at_a_time=self.at_a_time,
            pairs=pairs,
            closest=closest,
            show=self.show,
        )

    @contextmanager
    def all_cpus(self) -> Iterator[None]:
        """
        Let child processes run on all CPUs meanwhile, also on the client's.
        """
        self.groups[RUNNER].set_cpuset(self.cpus)
        try:
            yield
        finally:
            self.groups[RUNNER].set_cpuset(self.placement.client)

    def check_residue(self) -> None:
        """
        Raise ProofError if the lab contains something that was not there before the first trial.
        """
        check_residue(self._before, self.hierarchies)

    def start_docker_once(self) -> int:
        """
        Start Docker before the first trial that needs it; return its peak memory in bytes.

        It makes the kernel load modules, which is then no trial's residue; and it gives the OCI
        specification for variants that imitate a container.
        """
        # Any image will do for the specification, and the userland's has what it runs.
        site = replace(self.site(0), image_store=IMAGE_STORE_IN_LAB)
        site.directory.mkdir(parents=True)
        site.group.create()
        try:
            self._docker_spec = docker_spec(site)
            taken = site.group.peak_bytes()
        finally:
            site.group.remove()
            shutil.rmtree(site.directory)
        self._before = snapshot(self.hierarchies)
        return taken

    def site(self, number: int) -> Site:
        """
        The site of the deployment of this number.
        """
        return Site(
            directory=SCRATCH / f"trial-{number}",
            network_namespace=f"host-{number}",
            group=ControlGroup(f"stack-{number}", self.hierarchies),
            image_store=self.image_store,
            docker_spec=self._docker_spec,
            processors=len(self.placement.stack),
        )


def last_number(run: Path) -> int:
    """
    The highest number of a trial with raw data in a run, apart from its pilot; 0 without one.
    """
    found = [NUMBERED.match(path.name) for path in (run / RAW).glob("*")]
    return max((int(each[1]) for each in found if each), default=0)


def needs_docker(variant: Variant) -> bool:
    """
    Whether a variant starts Docker, or imitates its containers.
    """
    return (
        variant.levels["runtime"] == "container"
        or variant.levels["beside"] == "dockerd"
        or bool(has_primitive(variant.levels["confinement"], "namespaces"))
    )
