"""
The trial loop: runs inside the lab, from a run folder that holds the plan.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException
from pyroute2.netlink.exceptions import NetlinkError

from experiments.deployments import Deployment, Site
from experiments.deployments.compose import ComposeProject, resolve
from experiments.deployments.container import ContainerDeployment
from experiments.deployments.process import ProcessDeployment
from experiments.errors import BridgetollError, DeployError
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import choose_placement, prove_placement
from experiments.load import Client, LoadPlan
from experiments.load.ab import ApacheBench
from experiments.probes.environment import environment, stolen_s
from experiments.probes.network_state import network_state
from experiments.probes.response import check_answers
from experiments.progress import Progress
from experiments.records import (
    COMPLETE,
    ERROR,
    FAILED,
    INTERRUPTED,
    OK,
    RAW,
    UNDER_LOAD,
    TrialRecord,
    append_trial,
    read_manifest,
    write_manifest,
)
from experiments.variants import Variant
from experiments.workloads import ENTRY_PORT, ENTRY_SERVICE, SERVICES, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

IMAGE_STORE = Path("/srv/image-store")
"""Where the lab sees the store of the image that is made from the userland, read-only."""

SCRATCH = Path("/run/bridgetoll")
HOST_NAMESPACE = "host"
"""The network namespace that plays the host of one trial; fresh for each."""

DEPLOYMENTS: dict[str, type[Deployment]] = {
    "process": ProcessDeployment,
    "container": ContainerDeployment,
}

LOAD_BASE_S = 60.0
LOAD_PER_REQUEST_S = 0.5
"""A load is ended after the base plus this much for every request: two requests a second."""

LOG_LINES = 40
KEPT_LOG_BYTES = 2**16
ERRORS_IN_A_ROW = 2
"""After so many failures in a row of one variant the run ends: the next would fail too."""

FORK_HOOKS = frozenset({"_afterFork", "_after_fork"})
"""Functions of the standard library (logging, threading) that run around every fork."""

TRIAL_ERRORS = (BridgetollError, OSError, subprocess.SubprocessError, DockerException, NetlinkError)


class Runner:
    """
    Runs the plan of one run folder.
    """

    def __init__(self, run: Path, stop: StopRequest) -> None:
        """
        Reads the plan; nothing is run yet.
        """
        self.run = run
        self.stop = stop
        self.manifest = read_manifest(run)
        self.workload = Workload(**self.manifest.workload)
        self.variants = {
            table["name"]: Variant(
                table["name"],
                table["about"],
                table["levels"],
                tuple(run / name for name in table["overlays"]),
            )
            for table in self.manifest.variants
        }
        self.progress = Progress(self.manifest.order, self.manifest.minutes)
        self.load = ApacheBench()
        self.placement = choose_placement(os.sched_getaffinity(0))
        found = hierarchies(inside_lab=True)
        self.stack_group = ControlGroup("stack", found)
        self.client_group = ControlGroup("client", found)
        self.runner_group = ControlGroup(RUNNER_GROUP, found)
        self.number = 0
        self.phase = ""
        self.started = time.monotonic()
        self.stolen_before_s = stolen_s()

    def execute(self) -> str:
        """
        Run every planned trial that the budget allows; the state that the run ended in.

        Whatever ends it, the manifest says what it was. Raises again what no user can mend.
        """
        try:
            self._blocks(self._prepare())
            state, note = COMPLETE, ""
        except KeyboardInterrupt:
            state, note = INTERRUPTED, "interrupted by the user; what had finished is kept"
        except BridgetollError as error:
            state, note = FAILED, str(error)
        except Exception as error:
            self._update(state=FAILED, note=f"a fault of the project: {error!r}")
            raise
        seen = {
            **self.manifest.environment,
            "stolen_s": stolen_s() - self.stolen_before_s,
            "observed_s": time.monotonic() - self.started,
            "runner_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        self._update(environment=seen, state=state, note=note, finished_at=time.time())
        if note:
            self.progress.say(f"{state}: {note}")
        return state

    def _prepare(self) -> dict[str, ComposeProject]:
        """
        Look at the machine, place the client, and read what each variant is to deploy.
        """
        # Before this process is bound to the client's CPU, so that all CPUs are seen.
        self._update(environment=environment())
        self.client_group.create()
        self.pinned = self.client_group.set_cpuset(self.placement.client)
        self.runner_group.set_cpuset(self.placement.client)
        projects = {
            name: resolve(variant.compose_files(SERVICES), self.workload.services)
            for name, variant in self.variants.items()
        }
        for name, project in projects.items():
            # Reads the whole description, so that a key it cannot honour shows before any trial.
            DEPLOYMENTS[self.variants[name].levels["runtime"]](project, self._site(0))
        return projects

    def _blocks(self, projects: dict[str, ComposeProject]) -> None:
        deadline = time.monotonic() + self.manifest.minutes * 60
        failures: dict[str, int] = dict.fromkeys(projects, 0)
        for block, variants in enumerate(self.manifest.order, start=1):
            if block > 1 and time.monotonic() > deadline:
                self.progress.say(
                    f"the budget of {self.manifest.minutes:g} minutes is spent; "
                    f"{block - 1} of {len(self.manifest.order)} blocks are done"
                )
                return
            for position, name in enumerate(variants, start=1):
                record = self._trial(block, position, self.variants[name], projects[name])
                append_trial(self.run, record)
                self.progress.finished(record)
                # Loads that break off are a result, and say nothing about the next deployment.
                broken = record.status == ERROR and record.failed_phase not in UNDER_LOAD
                failures[name] = failures[name] + 1 if broken else 0
                if failures[name] >= ERRORS_IN_A_ROW:
                    msg = f"variant {name} failed {ERRORS_IN_A_ROW} times in a row: {record.error}"
                    raise DeployError(msg)

    def _site(self, number: int) -> Site:
        return Site(
            directory=SCRATCH / f"trial-{number}",
            network_namespace=HOST_NAMESPACE,
            group=self.stack_group,
            image_store=IMAGE_STORE,
        )

    def _trial(
        self, block: int, position: int, variant: Variant, project: ComposeProject
    ) -> TrialRecord:
        """
        One trial from deployment to teardown; an error in it becomes part of the record.
        """
        self.number += 1
        record = TrialRecord(
            number=self.number,
            block=block,
            position=position,
            variant=variant.name,
            status=ERROR,
            started_at=time.time(),
            phases_s={},
            check={},
            placement={
                "client": sorted(self.placement.client),
                "stack": sorted(self.placement.stack),
                "apart": self.placement.apart,
                "pinned": self.pinned,
            },
            load=None,
        )
        raw = self.run / RAW / f"{self.number:03}-{variant.name}"
        raw.mkdir(parents=True)
        site = self._site(self.number)
        site.directory.mkdir(parents=True)
        found: dict[str, Any] = {}
        fault = ""
        try:
            with ExitStack() as stack:
                self._measure(record, project, raw, stack, found)
                self.phase = "teardown"
                started = time.monotonic()
                self.progress.phase(self.number, block, variant.name, "teardown")
            record.phases_s["teardown"] = time.monotonic() - started
        except TRIAL_ERRORS as error:
            fault = describe(error)
            keep_tails(site.directory, raw)
        except KeyboardInterrupt:
            # A load that was whole is kept; the request to stop is looked at before the next phase.
            if "load" not in found:
                raise
            fault = "the teardown was interrupted by the user"
        finally:
            shutil.rmtree(site.directory, ignore_errors=True)
        phase = self.phase if fault else ""
        status = OK if "load" in found else ERROR
        return dataclasses.replace(record, status=status, failed_phase=phase, error=fault, **found)

    def _measure(
        self,
        record: TrialRecord,
        project: ComposeProject,
        raw: Path,
        stack: ExitStack,
        found: dict[str, Any],
    ) -> None:
        """
        Deploy, look, warm up and load; what is to be torn down is handed to ``stack``.

        Fields of the record go into ``found`` as soon as they are known, so that nothing that
        fails later loses them.
        """
        variant = self.variants[record.variant]
        site = self._site(record.number)
        with self._phase(record, "deploy"):
            self.stack_group.create()
            stack.callback(self.stack_group.remove)
            self.stack_group.set_cpuset(self.placement.stack)
            host = stack.enter_context(NetworkNamespace(site.network_namespace))
            deployment = stack.enter_context(DEPLOYMENTS[variant.levels["runtime"]](project, site))
        stack.callback(self._keep_logs, deployment, raw)
        with self._phase(record, "check"):
            published = variant.levels["entry"] == "published"
            address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, published=published)
            check = check_answers(site.network_namespace, address, self.workload)
            placed = dict(record.placement)
            if self.pinned:
                placed["processes"] = prove_placement(self.stack_group, self.placement.stack)
            found |= {"check": {**check, "address": address}, "placement": placed}
            if variant.name not in self.manifest.network_state:
                states = {**self.manifest.network_state, variant.name: network_state(host.path)}
                self._update(network_state=states)
        client = Client(host.path, self.client_group)
        with self._phase(record, "warmup"):
            if self.manifest.warmup_requests:
                warmup = raw / "warmup"
                warmup.mkdir()
                plan = self._load_plan(address, self.manifest.warmup_requests)
                self.load.run(plan, client, warmup)
        with self._phase(record, "load"):
            plan = self._load_plan(address, self.manifest.requests)
            found["load"] = self.load.run(plan, client, raw)

    def _load_plan(self, address: str, requests: int) -> LoadPlan:
        return LoadPlan(
            address=address,
            workload=self.workload,
            requests=requests,
            concurrency=min(self.manifest.concurrency, requests),
            limit_s=LOAD_BASE_S + LOAD_PER_REQUEST_S * requests,
            any_length=self.manifest.any_length,
        )

    @contextmanager
    def _phase(self, record: TrialRecord, name: str) -> Iterator[None]:
        self.stop.check()
        self.phase = name
        self.progress.phase(record.number, record.block, record.variant, name)
        started = time.monotonic()
        try:
            yield
        finally:
            record.phases_s[name] = time.monotonic() - started

    def _keep_logs(self, deployment: Deployment, raw: Path) -> None:
        try:
            parts = [f"== {name}\n{text}\n" for name, text in deployment.logs(LOG_LINES).items()]
        except TRIAL_ERRORS as error:
            # A deployment that is broken enough not to have logs has failed otherwise already.
            parts = [f"no logs: {error!r}"]
        (raw / "services.log").write_text("\n".join(parts))

    def _update(self, **changes: Any) -> None:  # noqa: ANN401 - the manifest's own fields
        self.manifest = dataclasses.replace(self.manifest, **changes)
        write_manifest(self.run, self.manifest)


def describe(error: BaseException) -> str:
    """
    What went wrong, first things first: a teardown that fails too does not hide the reason for it.
    """
    chain = [error]
    while (before := chain[-1].__context__) is not None:
        chain.append(before)
    told = [str(each) for each in reversed(chain) if isinstance(each, BridgetollError)]
    return "; and then: ".join(dict.fromkeys(told)) or repr(error)


def keep_tails(directory: Path, raw: Path) -> None:
    """
    Copy the ends of a failed deployment's logs, the daemon's among them, to where they last.
    """
    for log in sorted(directory.glob("*.log")):
        (raw / log.name).write_bytes(log.read_bytes()[-KEPT_LOG_BYTES:])


class StopRequest:
    """
    Whether the user has asked the run to stop.

    The first signal raises KeyboardInterrupt where the program is, so that no wait goes on. Python
    discards exceptions in its hooks around fork, so there none is raised; the request is
    remembered, and looked at before every phase.
    """

    def __init__(self) -> None:
        """
        Takes over the signals that ask a program to stop.
        """
        self._owner = os.getpid()
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # pyroute2 forks a child for a moment and ends it by signal; such a child inherits this
        # handler, and must not go on as a second runner.
        if os.getpid() != self._owner:
            os._exit(128 + number)
        if self._asked:
            return
        self._asked = True
        if frame is None or frame.f_code.co_name not in FORK_HOOKS:
            raise KeyboardInterrupt

    def check(self) -> None:
        """
        Raise KeyboardInterrupt when the user has asked to stop.
        """
        if self._asked:
            raise KeyboardInterrupt


def main() -> int:
    """
    Run the plan in the folder that the first argument names; 0, 1, or 130 when interrupted.
    """
    stop = StopRequest()
    try:
        state = Runner(Path(sys.argv[1]), stop).execute()
    except BridgetollError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return {COMPLETE: 0, INTERRUPTED: 130}.get(state, 1)


if __name__ == "__main__":
    sys.exit(main())
