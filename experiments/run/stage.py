"""
What trials happen on: CPUs, control groups, image, Docker's own specification, and how many fit.
"""

from __future__ import annotations

import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.deployments import Site
from experiments.deployments.compose import ComposeProject, resolve
from experiments.deployments.oci import docker_spec, has_primitive
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies
from experiments.lab.freezer import check_freezer
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import choose_placement
from experiments.lab.plain_root import make_plain_root
from experiments.load.ab import ApacheBench
from experiments.paths import IMAGE_STORE_IN_LAB, SERVICES
from experiments.probes.cpu import CLIENT, RUNNER
from experiments.probes.parity import Parity
from experiments.probes.residue import check_residue, snapshot
from experiments.records.files import RAW
from experiments.records.manifest import PROBES
from experiments.run.block import Block
from experiments.run.conditions import Conditions, Identity
from experiments.run.deployed import DEPLOYMENT_CLASSES
from experiments.run.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from experiments.declare.variants import Variant
    from experiments.declare.workloads import Workload
    from experiments.load import LoadGenerator
    from experiments.records.manifest import Manifest, NetworkState
    from experiments.run.stop import StopRequest

SCRATCH = Path("/run/bridgetoll")

AT_A_TIME_PER_CPU = 1
"""Deployments that are brought up at the same time, for each CPU."""


class Stage:
    """
    The lab as trials find it; ``states`` are the network's, by the name of the first variant.

    ``number`` is that of the trial that was begun last.
    """

    def __init__(
        self,
        run: Path,
        workload: Workload,
        stop: StopRequest,
        show: Callable[[str], None],
    ) -> None:
        """
        ``show`` is told what is done; nothing is yet.
        """
        self.run = run
        self.workload = workload
        self.stop = stop
        self.show = show
        self.load: LoadGenerator = ApacheBench()
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
        How many deployments are brought up at the same time.
        """
        return AT_A_TIME_PER_CPU * len(self.cpus)

    def prepare(self, manifest: Manifest, variants: Iterable[Variant]) -> None:
        """
        Place the client, and read what each variant is to deploy, before any trial.

        Raises ComposeError for a description that cannot be honoured.
        """
        make_plain_root(IMAGE_STORE_IN_LAB)
        with NetworkNamespace("first"):
            # The first one ever leaves the place for their names, which is no trial's residue.
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
            parity=Parity(manifest.allowed),
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
            # Reads the whole description, so that a key it cannot honour shows before any trial.
            levels = variant.levels
            DEPLOYMENT_CLASSES[levels["runtime"]](self.project(variant), self.site(0), levels)
        self._before = snapshot(self.hierarchies)

    def follow(self, manifest: Manifest) -> None:
        """
        Take over what a pilot has found.
        """
        self.conditions = replace(
            self.conditions,
            requests=manifest.requests,
            rounds=manifest.rounds,
            common_rate_per_s=manifest.common_rate_per_s,
        )

    def project(self, variant: Variant) -> ComposeProject:
        """
        What a variant is to deploy; read once for each.
        """
        if variant.name not in self._projects:
            self._projects[variant.name] = resolve(
                variant.compose_files(SERVICES), self.workload.services, variant.variables()
            )
        return self._projects[variant.name]

    def forget(self, name: str) -> None:
        """
        A variant of this name is another one from now on.
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
        The next trial, of which nothing is made yet.

        Of a ``kind`` that is no part of the results, it has that in the name of its folder.
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
        return Trial(identity, conditions, self._begin, wants_state=wants_state, freezes=freezes)

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
        Trials of these variants, which are brought up in this order; nothing is made yet.

        The loads of ``pairs`` mostly follow each other, and those of ``closest`` ones most of all.
        """
        conditions = conditions or self.conditions
        trials = [
            self.trial(variant, conditions, block=block, part=part, position=place, kind=kind)
            for place, variant in enumerate(variants, start=1)
        ]
        seed = f"{conditions.seed} {kind} {block} {part} {trials[0].identity.number}"
        return Block(
            stage=self,
            trials=trials,
            conditions=conditions,
            order=random.Random(seed),  # noqa: S311 - an order needs no cryptography
            at_a_time=self.at_a_time,
            pairs=pairs,
            closest=closest,
            show=self.show,
        )

    @contextmanager
    def all_cpus(self) -> Iterator[None]:
        """
        Let what this process starts run on every CPU meanwhile, the client's too.
        """
        self.groups[RUNNER].set_cpuset(self.cpus)
        try:
            yield
        finally:
            self.groups[RUNNER].set_cpuset(self.placement.client)

    def check_residue(self) -> None:
        """
        Raise ProofError when something is left in the lab that was not there before any trial.
        """
        check_residue(self._before, self.hierarchies)

    def _begin(self, _phase: str) -> None:
        self.stop.check()

    def start_docker_once(self) -> int:
        """
        Start Docker before any trial that needs it; the bytes of memory that it took at most.

        The kernel then has loaded what Docker makes it load, which is no trial's residue; and how
        Docker starts a container is known to the variants that imitate it.
        """
        site = self.site(0)
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
        What the lab gives a deployment of this number, for itself alone.
        """
        return Site(
            directory=SCRATCH / f"trial-{number}",
            network_namespace=f"host-{number}",
            group=ControlGroup(f"stack-{number}", self.hierarchies),
            image_store=IMAGE_STORE_IN_LAB,
            plain_root=make_plain_root(IMAGE_STORE_IN_LAB),
            docker_spec=self._docker_spec,
            processors=len(self.placement.stack),
        )


def needs_docker(variant: Variant) -> bool:
    """
    Whether a variant starts Docker, or imitates how Docker starts a container.
    """
    return (
        variant.levels["runtime"] == "container"
        or variant.levels["beside"] == "dockerd"
        or bool(has_primitive(variant.levels["confinement"], "namespaces"))
    )
