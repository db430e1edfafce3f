"""
The life of one deployment: brought up, checked, frozen and thawed, taken down.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.commands import last_lines, tail
from experiments.deployments import ended as ending
from experiments.deployments.container import ContainerDeployment
from experiments.deployments.ended import EndedProcess, ended_error
from experiments.deployments.process import ProcessDeployment
from experiments.deployments.starters import unmount
from experiments.errors import (
    BridgetollError,
    DeployError,
    DisturbedError,
    NoSpaceError,
    OutOfMemoryError,
    ProcessEndedError,
)
from experiments.lab.freezer import Freezer
from experiments.lab.mounts import mount, room
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import prove_placement
from experiments.lab.uplink import Uplink
from experiments.load import Client
from experiments.probes.alive import Watch
from experiments.probes.facts import facts_of
from experiments.probes.network_state import network_state
from experiments.probes.parity import prove_levels
from experiments.probes.response import check_answers
from experiments.probes.steady import Steady
from experiments.records.cpu import CLIENT
from experiments.records.files import RAW
from experiments.records.trials import UNDER_LOAD
from experiments.run.faults import (
    NEXT,
    TRIAL_ERRORS,
    describe,
    failure_of,
    keep_logs,
    keep_tails,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from experiments.declare.variants import Variant
    from experiments.deployments import Deployment, Part
    from experiments.records.manifest import NetworkState
    from experiments.run.conditions import Conditions, Identity

LOADED = UNDER_LOAD | {"open"}

LEAST_ROOM_BYTES = 2**20
"""With less room left, a file system is as good as full."""

DYING_S = 0.5
"""The time that a process may take to end, such as to write its memory, once others notice."""

DEPLOYMENT_CLASSES: dict[str, type[Deployment]] = {
    "process": ProcessDeployment,
    "container": ContainerDeployment,
}


class Deployed:
    """
    A deployment in phases.

    A phase that fails sets ``fault``, and the deployment is then no longer ``going``; other trials
    are not affected. If a process of it has ended, this is the fault, in both runtimes, and the
    trial is ``spoiled``: none of its results counts. ``next_step`` is what the user can do.
    ``fields`` collects fields of the trial's record, and ``state`` is the state of the network, if
    it is wanted. ``quiet`` skips the check for a stop at the start of a phase and after an error.
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
        Nothing is created yet.

        ``check_stop`` raises KeyboardInterrupt if the user has asked to stop. Without ``freezes``
        the deployment runs all the time.
        """
        self.identity = identity
        self.conditions = conditions
        self.phase = ""
        self.phases_s: dict[str, float] = defaultdict(float)
        self.fault = ""
        self.failed_phase = ""
        self.next_step = ""
        self.spoiled = False
        self.fields: dict[str, Any] = {}
        self.state: NetworkState | None = None
        self.started_at = time.time()
        self._check_stop = check_stop
        self._wants_state = wants_state
        self.freezes = freezes
        self._stack = ExitStack()
        self._frozen = False
        self._down = False
        self._watch: Watch | None = None
        self._steady: Steady | None = None
        self._outputs: dict[str, Path] = {}
        self._cause: BridgetollError | None = None
        self.quiet = False

    @property
    def variant(self) -> Variant:
        """
        The variant that is deployed.
        """
        return self.identity.variant

    @property
    def going(self) -> bool:
        """
        Whether it is up and no phase has failed.
        """
        return not self.fault and "check" in self.fields

    @property
    def probed(self) -> bool:
        """
        Whether parity, path and CPU time are probed.
        """
        return self.conditions.probing(self.identity.number)

    @contextmanager
    def step(self, phase: str) -> Iterator[None]:
        """
        A phase; an error in it becomes the trial's fault and is not raised.
        """
        self.phase = phase
        started = time.monotonic()
        try:
            if not self.quiet:
                self._check_stop()
            yield
        except TRIAL_ERRORS as error:
            if not self.quiet:
                # What the stop broke has no fault of its own.
                self._check_stop()
            self._fail_by(error)
            self._keep_output()
        finally:
            self.phases_s[phase] += time.monotonic() - started

    def _keep_output(self) -> None:
        # A full disk is a fault of its trial, and not of the run.
        with suppress(OSError):
            keep_tails(self.identity.site.directory, self.identity.raw)

    def fail(self, fault: str) -> None:
        """
        Record a fault in the current phase; ``failed_phase`` is the phase of the first fault.
        """
        self.failed_phase = self.failed_phase or self.phase
        self.fault = f"{self.fault}; and then: {fault}" if self.fault else fault

    def _fail_by(self, error: BaseException) -> None:
        found = error is self._cause or isinstance(error, ProcessEndedError)
        cause = error if found else self._look_for_cause()
        self.spoiled = self.spoiled or isinstance(cause, DeployError)
        if not self.fault:
            raw = f"{RAW}/{self.identity.raw.name}"
            self.next_step = NEXT.get(failure_of(cause or error), "").format(raw=raw)
        if cause is not None and cause is not error:
            self.fail(describe(cause))
        self.fail("; ".join([describe(error), *self._troubles()]))

    def _look_for_cause(self) -> BridgetollError | None:
        """
        What has made something else fail, with the evidence.
        """
        # After a fault, such as a stop of the run, it may have been killed.
        if self.fault or self.phase == "teardown" or not hasattr(self, "deployment"):
            return None
        try:
            with self._awake():
                if self._watch is not None:
                    return self._first_cause(DYING_S)
                ended = self.deployment.ended()
                return ended_error(ended, self._when) if ended else None
        except TRIAL_ERRORS:
            # The first error is the one to tell.
            return None

    def _troubles(self) -> list[str]:
        """
        What may keep a service that lives from answering.
        """
        if self.fault or self._watch is None:
            return []
        try:
            return self._watch.troubles()
        except TRIAL_ERRORS:
            return []

    @property
    def _when(self) -> str:
        return ending.LOADED if self.phase in LOADED else "after it was up"

    def _first_cause(self, wait_s: float = 0.0) -> BridgetollError | None:
        """
        The error of a deployment, or a machine, that is no longer as it was checked.
        """
        watch = self._watch
        if watch is None:
            return None
        # Between loads the clock may be set.
        steady = self._steady if self.phase in LOADED else None
        if steady is not None and (changes := steady.changes()):
            return DisturbedError("; ".join(changes))
        gone = watch.gone(wait_s)
        if gone:
            return self._evidence(gone)
        if starved := watch.starved():
            services = ", ".join(starved)
            msg = f"the kernel killed a process of service {services} for memory {self._when}"
            return OutOfMemoryError(msg)
        if fled := watch.fled():
            msg = (
                f"service {', '.join(fled)} left its control group {self._when}, so it is neither "
                "bound to its CPUs nor frozen while others are loaded"
            )
            return DeployError(msg)
        return self._no_space()

    def _evidence(self, gone: Sequence[str]) -> ProcessEndedError:
        with self._awake():
            ended = self.deployment.ended()
        if not ended:
            log = self.identity.site.directory / "dockerd.log"
            words = last_lines(tail(log)) if log.exists() else ""
            ended = [EndedProcess(name, None, words) for name in gone]
        return ended_error(ended, self._when)

    def _no_space(self) -> NoSpaceError | None:
        """
        The error of services that have filled their room, by the one that printed most.
        """
        for name, path in self._outputs.items():
            space = os.statvfs(path)
            if space.f_bavail * space.f_frsize < LEAST_ROOM_BYTES:
                sizes = {
                    each: file.stat().st_size
                    for each, file in self._outputs.items()
                    if file.is_file()
                }
                most = max(sizes, key=sizes.__getitem__, default=name)
                msg = (
                    f"the services have filled the {space.f_blocks * space.f_frsize / 1e6:.0f} MB "
                    f"for what they print and write; service {most} printed "
                    f"{sizes.get(most, 0) / 1e6:.0f} MB"
                )
                return NoSpaceError(msg)
        return None

    def refuse_changes(self) -> None:
        """
        Raise an error with the evidence if the deployment or the machine is not as it was checked.
        """
        self._cause = self._first_cause()
        if self._cause is not None:
            raise self._cause

    def bring_up(self) -> None:
        """
        Deploy, check the answer, the placement and the facts, then freeze.
        """
        with self.step("deploy"):
            self.deploy()
        if self.fault:
            return
        with self.step("check"):
            self._check()
            self.freeze()

    def deploy(self) -> None:
        """
        Create its namespaces and control group, and start the stack.
        """
        site, levels = self.identity.site, self.variant.levels
        site.directory.mkdir(parents=True)
        site.group.create()
        self._stack.callback(site.group.remove)
        mount([room(str(site.directory), "mode=755")], "the room of the deployment's output")
        self._stack.callback(unmount, site.directory)
        # A teardown that fails comes too late for it: the room is gone by then.
        self._stack.push(lambda _kind, error, _trace: self._keep_output() if error else None)
        host = self._stack.enter_context(NetworkNamespace(site.network_namespace))
        here = host
        if levels["entry"] == "external":
            here = self._stack.enter_context(Uplink(host.name)).namespace
        made = DEPLOYMENT_CLASSES[levels["runtime"]](self.identity.project, site, levels)
        self.deployment: Deployment = self._stack.enter_context(made)
        self.client = Client(here.path, self.conditions.groups["client"])

    def _check(self) -> None:
        """
        Check the answer, the placement on CPUs, and the facts.
        """
        conditions, levels, site = self.conditions, self.variant.levels, self.identity.site
        workload = conditions.workload
        address = self.deployment.address(
            workload.entry_service, workload.entry_port, levels["entry"]
        )
        namespace = self.client.network_namespace_path
        own = self.identity.project.is_own
        pids = [part.first_process for part in self.deployment.services().values()]

        def may_begin() -> bool:
            # The project's own services answer when they are healthy; others may have no check.
            return not own and all(Path(f"/proc/{pid}").exists() for pid in pids)

        check, answered_at = check_answers(namespace, address, workload, may_begin)
        self.fields["first_answer_s"] = answered_at - self.deployment.started_at
        if site.group.bind(conditions.placement.stack):
            cpus = conditions.placement.stack
            self.fields["processes"] = prove_placement(site.group, cpus)
        # Asked once, because a frozen daemon does not answer.
        services = self.deployment.services()
        self._parts: dict[str, Part] = {**services, **self.deployment.helpers()}
        self._watch = Watch(self._parts)
        self._outputs = self.deployment.outputs()
        self._steady = Steady([site.group, conditions.groups[CLIENT]])
        self._address = address
        self.freezer = Freezer(site.group)
        if self.probed:
            facts = facts_of(self.deployment, check.answer, own=own)
            self.fields["facts"] = facts
            prove_levels(self.variant, facts, own=own)
        if self._wants_state:
            self.state = network_state(f"/run/netns/{site.network_namespace}")
        self.refuse_changes()
        if self.probed:
            # Last, because what passes is what later trials are compared with.
            self.fields["allowed"] = conditions.parity.check(self.variant, facts)
        self.fields["check"] = check

    def freeze(self) -> None:
        """
        Freeze all of its processes.
        """
        if self.freezes:
            self.freezer.freeze()
            self._frozen = True

    def thaw(self) -> None:
        """
        Thaw it.
        """
        if self._frozen:
            self._frozen = False
            self.freezer.thaw()

    @property
    def is_frozen(self) -> bool:
        """
        Whether all of its processes are frozen.
        """
        return self._frozen

    @contextmanager
    def _awake(self) -> Iterator[None]:
        """
        Let it run, if it is frozen: what is frozen does not end, and Docker does not answer.
        """
        frozen = self._frozen
        self.thaw()
        try:
            yield
        finally:
            if frozen:
                self.freeze()

    @contextmanager
    def _thawed(self) -> Iterator[None]:
        """
        Let it run, for a load; raises an error if it, or the machine, is another one afterwards.
        """
        self.thaw()
        if self._steady is not None:
            self._steady.begin()
        try:
            yield
            self.refuse_changes()
        finally:
            self.freeze()

    def take_down(self) -> None:
        """
        Kill its processes and remove its resources.
        """
        site = self.identity.site
        if self._down:
            return
        self._down = True
        self.quiet = True
        with self.step("teardown"), self._stack:
            if hasattr(self, "freezer"):
                # Docker gives logs only while it runs. An interrupted phase may have frozen it.
                self.freezer.thaw()
                self._frozen = False
            if hasattr(self, "deployment"):
                keep_logs(self.deployment, self.identity.raw)
            site.group.kill()
        shutil.rmtree(site.directory, ignore_errors=True)
