"""
The trial loop: runs inside the lab, from a run folder that holds the plan.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from experiments.deployments import Site
from experiments.deployments.compose import ComposeProject, resolve
from experiments.deployments.oci import docker_spec, rank
from experiments.errors import BridgetollError, DeployError
from experiments.faults import TRIAL_ERRORS, describe, keep_tails
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies
from experiments.lab.network import NetworkNamespace
from experiments.lab.placement import choose_placement
from experiments.lab.plain_root import make_plain_root
from experiments.load.ab import ApacheBench
from experiments.plan import block_order, leave_out, too_many_cpus
from experiments.probes.cpu import CLIENT, RUNNER
from experiments.probes.environment import environment, stolen_s
from experiments.probes.parity import Parity
from experiments.probes.residue import check_residue, snapshot
from experiments.progress import Progress
from experiments.records import (
    COMPLETE,
    ERROR,
    FAILED,
    INTERRUPTED,
    OK,
    PROBES,
    RAW,
    SEARCH_TRIALS,
    UNDER_LOAD,
    TrialRecord,
    append_trial,
    read_manifest,
    write_manifest,
)
from experiments.search import as_record, search
from experiments.stop import StopRequest
from experiments.stopping import Rule
from experiments.trial import DEPLOYMENTS, Conditions, Trial
from experiments.variants import Search, Variant
from experiments.workloads import SERVICES, Workload

IMAGE_STORE = Path("/srv/image-store")
"""Where the lab sees the store of the image that is made from the userland, read-only."""

SCRATCH = Path("/run/bridgetoll")
HOST_NAMESPACE = "host"
"""The network namespace that plays the host of one trial; fresh for each."""

ERRORS_IN_A_ROW = 2
"""After so many failures in a row of one variant the run ends: the next would fail too."""


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
        self._follow_the_plan()
        self.load = ApacheBench()
        self.placement = choose_placement(os.sched_getaffinity(0))
        self.hierarchies = hierarchies(inside_lab=True)
        self.groups = {
            "stack": ControlGroup("stack", self.hierarchies),
            CLIENT: ControlGroup("client", self.hierarchies),
            RUNNER: ControlGroup(RUNNER_GROUP, self.hierarchies),
        }
        self.number = 0
        self.docker_spec: dict[str, Any] = {}
        self.projects: dict[str, ComposeProject] = {}
        self.before: dict[str, frozenset[str]] = {}
        self.started = time.monotonic()
        self.stolen_before_s = stolen_s()

    def execute(self) -> str:
        """
        Run every planned trial that the budget allows; the state that the run ended in.

        Whatever ends it, the manifest says what it was. Raises again what no user can mend.
        """
        try:
            self._prepare()
            deadline = time.monotonic() + self.manifest.minutes * 60
            self.progress.deadline = deadline
            self._search()
            self._blocks(deadline)
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

    def _prepare(self) -> None:
        """
        Look at the machine, place the client, and read what each variant is to deploy.
        """
        # Before this process is bound to the client's CPU, so that all CPUs are seen.
        self._update(environment=environment())
        self._leave_out_what_the_machine_lacks()
        make_plain_root(IMAGE_STORE)
        with NetworkNamespace(HOST_NAMESPACE):
            # The first one ever leaves the place for their names, which is no trial's residue.
            pass
        self.groups[CLIENT].create()
        pinned = self.groups[CLIENT].set_cpuset(self.placement.client)
        self.groups[RUNNER].set_cpuset(self.placement.client)
        self.conditions = Conditions(
            workload=self.workload,
            requests=self.manifest.requests,
            warmup_requests=self.manifest.warmup_requests,
            concurrency=self.manifest.concurrency,
            any_length=self.manifest.any_length,
            placement=self.placement,
            pinned=pinned,
            groups=self.groups,
            load=self.load,
            parity=Parity(self.manifest.allowed),
            probing=PROBES[self.manifest.probes],
        )
        for variant in self.variants.values():
            # Reads the whole description, so that a key it cannot honour shows before any trial.
            levels = variant.levels
            DEPLOYMENTS[levels["runtime"]](self._project(variant), self._site(0), levels)
        self._start_docker_once()
        self.before = snapshot(self.hierarchies)

    def _project(self, variant: Variant) -> ComposeProject:
        """
        What a variant is to deploy; read once for each.
        """
        if variant.name not in self.projects:
            self.projects[variant.name] = resolve(
                variant.compose_files(SERVICES), self.workload.services, variant.variables()
            )
        return self.projects[variant.name]

    def _search(self) -> None:
        """
        Search for the best configuration, where the plan has a variant that is to have it.
        """
        declared = self.manifest.search
        if not declared or declared["name"] not in self.variants:
            return
        keys = {field.name for field in dataclasses.fields(Search)}
        wanted = Search(**{key: value for key, value in declared.items() if key in keys})
        known = self.variants[wanted.name]
        self.progress.say(
            f"searching for {wanted.name}: {len(wanted.changes)} changes to {wanted.start}, "
            f"{wanted.pairs} pairs of trials each; these trials are not part of the results"
        )

        def measure(variant: Variant) -> float | None:
            record = self._trial(0, 0, variant, kind="search")
            append_trial(self.run, record, SEARCH_TRIALS)
            self.progress.searched(record)
            if record.load is None or record.load.requests_ok < record.load.requests:
                # Errors are fast, and no improvement.
                return None
            return 1e6 / record.load.requests_per_second

        levels, outcomes = search(wanted, known, self.manifest.seed, measure)
        self.projects.pop(wanted.name)
        self.variants[wanted.name] = dataclasses.replace(known, levels=levels)
        tables = [
            {**table, "levels": levels} if table["name"] == wanted.name else table
            for table in self.manifest.variants
        ]
        self._update(variants=tables, search=as_record(wanted, levels, outcomes))
        kept = [outcome.change for outcome in outcomes if outcome.kept]
        words = ", ".join(f"{name} {level}" for change in kept for name, level in change.items())
        self.progress.say(f"{wanted.name} is {wanted.start} with: {words or 'no change'}")
        self.number = 0

    def _leave_out_what_the_machine_lacks(self) -> None:
        """
        Take variants that may use more CPUs than there are out of the plan, and say so.
        """
        stack_cpus = len(self.placement.stack)
        names = too_many_cpus(self.manifest, stack_cpus)
        for name in names:
            cpus = self.variants.pop(name).levels["cpus"]
            self.progress.say(
                f"{name} is left out: {cpus} CPUs each, and the stack has {stack_cpus}"
            )
        if names:
            self.manifest = leave_out(self.manifest, names)
            self._update()
            self._follow_the_plan()

    def _start_docker_once(self) -> None:
        """
        Start Docker before any trial, where one needs it.

        The kernel then has loaded what Docker makes it load, which is no trial's residue; and how
        Docker starts a container is known to the variants that imitate it.
        """
        if not any(
            variant.levels["runtime"] == "container"
            or variant.levels["beside"] == "dockerd"
            or rank(variant.levels["confinement"], "namespaces")
            for variant in self.variants.values()
        ):
            return
        self.progress.say("starting Docker once, to see how it starts a container")
        site = self._site(0)
        site.directory.mkdir(parents=True)
        site.group.create()
        try:
            self.docker_spec = docker_spec(site)
        finally:
            site.group.remove()
            shutil.rmtree(site.directory)

    def _follow_the_plan(self) -> None:
        """
        Begin to count what the manifest plans.
        """
        manifest = self.manifest
        focal = [(baseline, treatment) for baseline, treatment in manifest.focal]
        self.rule = Rule(manifest.blocks, manifest.half_width, focal)
        self.progress = Progress(self.rule, self._variants_of)

    def _variants_of(self, block: int) -> list[str]:
        every = {table["name"]: table.get("every", 1) for table in self.manifest.variants}
        return block_order(every, block, self.manifest.seed, self.manifest.together)

    def _blocks(self, deadline: float) -> None:
        """
        Run block after block until there are enough, or the next would not end in time.

        A block that would not is passed over for a later one that has fewer variants, and so is one
        that has none.
        """
        most = max((table.get("every", 1) for table in self.manifest.variants), default=1)
        drawn = begun = passed_over = 0
        failures: dict[str, int] = dict.fromkeys(self.variants, 0)
        while passed_over < most:
            if begun and self.rule.is_enough(begun, self.progress.widths):
                self._end("one block is enough" if begun == 1 else f"{begun} blocks are enough")
                return
            drawn += 1
            variants = self._variants_of(drawn)
            # Where no variant is in every block, some have none at all.
            if not variants or (
                begun and time.monotonic() + self.progress.expected_s(variants) > deadline
            ):
                passed_over += 1
                continue
            passed_over = 0
            begun += 1
            self.progress.begin(begun, variants)
            self._update(order=[*self.manifest.order, variants])
            for position, name in enumerate(variants, start=1):
                record = self._trial(begun, position, self.variants[name])
                append_trial(self.run, record)
                self.progress.finished(record)
                # Loads that break off are a result, and say nothing about the next deployment.
                broken = record.status == ERROR and record.failed_phase not in UNDER_LOAD
                failures[name] = failures[name] + 1 if broken else 0
                if failures[name] >= ERRORS_IN_A_ROW:
                    msg = f"variant {name} failed {ERRORS_IN_A_ROW} times in a row: {record.error}"
                    raise DeployError(msg)
            self.progress.interim(begun, self.manifest.comparisons)
        self._end(f"no further block would have ended within {self.manifest.minutes:g} minutes")

    def _end(self, ending: str) -> None:
        """
        Say why no further block is begun, and how well the differences are known.
        """
        standing = self.rule.standing(self.progress.widths)
        ending += f"; {standing}" if standing else ""
        self.progress.say(ending)
        self._update(ending=ending)

    def _site(self, number: int) -> Site:
        return Site(
            directory=SCRATCH / f"trial-{number}",
            network_namespace=HOST_NAMESPACE,
            group=self.groups["stack"],
            image_store=IMAGE_STORE,
            plain_root=make_plain_root(IMAGE_STORE),
            docker_spec=self.docker_spec,
        )

    def _trial(self, block: int, position: int, variant: Variant, kind: str = "") -> TrialRecord:
        """
        One trial from deployment to teardown; an error in it becomes part of the record.
        """
        self.number += 1
        name = f"{self.number:03}-{variant.name}"
        raw = self.run / RAW / (f"{kind}-{name}" if kind else name)
        raw.mkdir(parents=True)
        site = self._site(self.number)
        site.directory.mkdir(parents=True)

        def begin(phase: str) -> None:
            self.stop.check()
            self.progress.phase(self.number, variant.name, phase)

        trial = Trial(
            number=self.number,
            variant=variant,
            project=self._project(variant),
            site=site,
            raw=raw,
            conditions=self.conditions,
            begin=begin,
            known_state=variant.name in self.manifest.network_state,
        )
        started_at = time.time()
        fault, failed_phase = "", ""
        try:
            with ExitStack() as stack:
                trial.run(stack)
                trial.phase = "teardown"
                started = time.monotonic()
                self.progress.phase(self.number, variant.name, "teardown")
            trial.phases_s["teardown"] = time.monotonic() - started
        except TRIAL_ERRORS as error:
            fault, failed_phase = describe(error), trial.phase
            keep_tails(site.directory, raw)
        except KeyboardInterrupt:
            # A load that was whole is kept; the request to stop is looked at before the next phase.
            if "load" not in trial.found:
                raise
            fault, failed_phase = "the teardown was interrupted by the user", trial.phase
        finally:
            shutil.rmtree(site.directory, ignore_errors=True)
        if trial.state is not None:
            states = {**self.manifest.network_state, variant.name: trial.state}
            self._update(network_state=states)
        status = OK if "load" in trial.found else ERROR
        if "interrupted" not in fault:
            try:
                check_residue(self.before, self.hierarchies)
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

    def _update(self, **changes: Any) -> None:  # noqa: ANN401 - the manifest's own fields
        self.manifest = dataclasses.replace(self.manifest, **changes)
        write_manifest(self.run, self.manifest)


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
