"""
What trials happen on, one after the other: CPUs, control groups, image, Docker's own specification.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.deployments import Site
from experiments.deployments.compose import ComposeProject, resolve
from experiments.deployments.oci import docker_spec, rank
from experiments.faults import TRIAL_ERRORS, describe, keep_tails
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import choose_placement
from experiments.lab.plain_root import make_plain_root
from experiments.load.ab import ApacheBench
from experiments.probes.cpu import CLIENT, PULSE, RUNNER
from experiments.probes.parity import Parity
from experiments.probes.residue import check_residue, snapshot
from experiments.records import ERROR, OK, PROBES, RAW, TrialRecord
from experiments.trial import DEPLOYMENTS, Conditions, Trial
from experiments.workloads import SERVICES, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from experiments.load import LoadGenerator
    from experiments.records import Manifest
    from experiments.stop import StopRequest
    from experiments.variants import Variant

IMAGE_STORE = Path("/srv/image-store")
"""Where the lab sees the store of the image that is made from the userland, read-only."""

SCRATCH = Path("/run/bridgetoll")
HOST_NAMESPACE = "host"
"""The network namespace that plays the host of one trial; fresh for each."""


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
        show: Callable[[int, str, str], None],
    ) -> None:
        """
        ``show`` is told the number, the variant and the phase of what is done; nothing is yet.
        """
        self.run = run
        self.workload = workload
        self.stop = stop
        self.show = show
        self.load: LoadGenerator = ApacheBench()
        self.placement = choose_placement(os.sched_getaffinity(0))
        self.hierarchies = hierarchies(inside_lab=True)
        self.groups = {
            "stack": ControlGroup("stack", self.hierarchies),
            CLIENT: ControlGroup("client", self.hierarchies),
            RUNNER: ControlGroup(RUNNER_GROUP, self.hierarchies),
            PULSE: ControlGroup("pulse", self.hierarchies),
        }
        self.number = 0
        self.states: dict[str, Any] = {}
        self.docker_spec: dict[str, Any] = {}
        self._projects: dict[str, ComposeProject] = {}
        self._before: dict[str, frozenset[str]] = {}

    def prepare(self, manifest: Manifest, variants: Iterable[Variant]) -> None:
        """
        Place the client, and read what each variant is to deploy, before any trial.

        Raises ComposeError for a description that cannot be honoured.
        """
        make_plain_root(IMAGE_STORE)
        with NetworkNamespace(HOST_NAMESPACE):
            # The first one ever leaves the place for their names, which is no trial's residue.
            pass
        self.groups[CLIENT].create()
        pinned = self.groups[CLIENT].set_cpuset(self.placement.client)
        self.groups[RUNNER].set_cpuset(self.placement.client)
        self.groups[PULSE].create()
        self.groups[PULSE].set_cpuset(self.placement.stack)
        self.conditions = Conditions(
            workload=self.workload,
            requests=manifest.requests,
            warmup_requests=manifest.warmup_requests,
            concurrency=manifest.concurrency,
            any_length=manifest.any_length,
            placement=self.placement,
            pinned=pinned,
            groups=self.groups,
            load=self.load,
            parity=Parity(manifest.allowed),
            probing=PROBES[manifest.probes],
            open_fractions=tuple(manifest.open_fractions),
            open_requests=manifest.open_requests,
            common_rate_per_s=manifest.common_rate_per_s,
            seed=manifest.seed,
        )
        chosen = list(variants)
        for variant in chosen:
            # Reads the whole description, so that a key it cannot honour shows before any trial.
            levels = variant.levels
            DEPLOYMENTS[levels["runtime"]](self.project(variant), self._site(0), levels)
        if any(map(needs_docker, chosen)):
            self._start_docker_once()
        self._before = snapshot(self.hierarchies)

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
        block: int,
        position: int,
        variant: Variant,
        kind: str = "",
        made: type[Trial] = Trial,
    ) -> TrialRecord:
        """
        One trial from deployment to teardown; an error in it becomes part of the record.

        Of a ``kind`` that is no part of the results, it has that in the name of its folder.
        """
        self.number += 1
        name = f"{self.number:03}-{variant.name}"
        raw = self.run / RAW / (f"{kind}-{name}" if kind else name)
        raw.mkdir(parents=True)
        site = self._site(self.number)
        site.directory.mkdir(parents=True)

        def begin(phase: str) -> None:
            self.stop.check()
            self.show(self.number, variant.name, phase)

        trial = made(
            number=self.number,
            block=block,
            variant=variant,
            project=self.project(variant),
            site=site,
            run_folder=self.run,
            raw=raw,
            conditions=self.conditions,
            begin=begin,
            known_state=variant.name in self.states,
        )
        started_at = time.time()
        fault, failed_phase = "", ""
        try:
            with ExitStack() as stack:
                trial.run(stack)
                trial.phase = "teardown"
                started = time.monotonic()
                self.show(self.number, variant.name, "teardown")
            trial.phases_s["teardown"] = time.monotonic() - started
        except TRIAL_ERRORS as error:
            fault, failed_phase = describe(error), trial.phase
            keep_tails(site.directory, raw)
        except KeyboardInterrupt:
            # A load that was whole is kept; the request to stop is looked at before the next phase.
            if "load" not in trial.found:
                raise
            fault, failed_phase = f"the {trial.phase} was interrupted by the user", trial.phase
        finally:
            shutil.rmtree(site.directory, ignore_errors=True)
        if trial.state is not None:
            self.states[variant.name] = trial.state
        status = OK if "load" in trial.found else ERROR
        if "interrupted" not in fault:
            try:
                check_residue(self._before, self.hierarchies)
            except TRIAL_ERRORS as error:
                left = describe(error)
                fault = f"{fault}; and then: {left}" if fault else left
                failed_phase = failed_phase if status == ERROR else "residue"
                status = ERROR
                trial.found.pop("load", None)
        placement = {
            "client": sorted(self.placement.client),
            "stack": sorted(self.placement.stack),
            "apart": self.placement.apart,
            "pinned": self.conditions.pinned,
            **trial.found.pop("placement", {}),
        }
        return TrialRecord(
            number=self.number,
            block=block,
            position=position,
            variant=variant.name,
            status=status,
            started_at=started_at,
            phases_s=trial.phases_s,
            placement=placement,
            failed_phase=failed_phase,
            error=fault,
            **({"check": {}, "load": None} | trial.found),
        )

    def _start_docker_once(self) -> None:
        """
        Start Docker before any trial.

        The kernel then has loaded what Docker makes it load, which is no trial's residue; and how
        Docker starts a container is known to the variants that imitate it.
        """
        site = self._site(0)
        site.directory.mkdir(parents=True)
        site.group.create()
        try:
            self.docker_spec = docker_spec(site)
        finally:
            site.group.remove()
            shutil.rmtree(site.directory)

    def _site(self, number: int) -> Site:
        return Site(
            directory=SCRATCH / f"trial-{number}",
            network_namespace=HOST_NAMESPACE,
            group=self.groups["stack"],
            image_store=IMAGE_STORE,
            plain_root=make_plain_root(IMAGE_STORE),
            docker_spec=self.docker_spec,
        )


def needs_docker(variant: Variant) -> bool:
    """
    Whether a variant starts Docker, or imitates how Docker starts a container.
    """
    return (
        variant.levels["runtime"] == "container"
        or variant.levels["beside"] == "dockerd"
        or bool(rank(variant.levels["confinement"], "namespaces"))
    )
