"""
The trial loop: runs inside the lab, from a run folder that holds the plan.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

from experiments import pilot
from experiments.artefact import measure_artefact
from experiments.errors import BridgetollError, DeployError
from experiments.plan import block_order, leave_out, too_many_cpus
from experiments.probes.environment import environment, stolen_s
from experiments.progress import Progress
from experiments.records import (
    ARTEFACT_TRIALS,
    COMPLETE,
    ERROR,
    FAILED,
    INTERRUPTED,
    PILOT_TRIALS,
    RATE_WANTED,
    REQUESTS_WANTED,
    SEARCH_TRIALS,
    UNDER_LOAD,
    TrialRecord,
    append_trial,
    read_manifest,
    write_manifest,
)
from experiments.search import as_record, search
from experiments.stage import Stage, needs_docker
from experiments.stop import StopRequest
from experiments.stopping import Rule
from experiments.variants import Search, Variant
from experiments.workloads import Workload

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
        self.stage = Stage(run, self.workload, stop, self._show)
        self._follow_the_plan()
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
            self._pilot(deadline)
            self._search()
            # Before the blocks, which are to end in time.
            self._artefact()
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
        if any(map(needs_docker, self.variants.values())):
            self.progress.say("starting Docker once, to see how it starts a container")
        self.stage.prepare(self.manifest, self.variants.values())

    def _show(self, number: int, variant: str, phase: str) -> None:
        self.progress.phase(number, variant, phase)

    def _trial(self, block: int, position: int, variant: Variant, kind: str = "") -> TrialRecord:
        """
        One trial; what it saw of the network for the first time becomes part of the manifest.
        """
        record = self.stage.trial(block, position, variant, kind)
        if self.stage.states != self.manifest.network_state:
            self._update(network_state=dict(self.stage.states))
        return record

    def _pilot(self, deadline: float) -> None:
        """
        Find what the plan leaves to a pilot: the requests of a trial, or the rate common to all.
        """
        wanted = self.manifest.pilot.get("wanted")
        if wanted == REQUESTS_WANTED:
            self._pilot_requests(deadline)
        elif wanted == RATE_WANTED:
            self._pilot_rate()
        self.stage.number = 0

    def _pilot_requests(self, deadline: float) -> None:
        first = next(iter(self.variants.values()))
        self.progress.say(
            f"pilot: {pilot.DEPLOYMENTS} deployments of {first.name}, each loaded {pilot.LOADS} "
            "times, to see how many requests a trial needs; they are not part of the results"
        )
        planned = self.stage.conditions
        self.stage.conditions = dataclasses.replace(
            planned, requests=pilot.REQUESTS, loads=pilot.LOADS
        )
        records = [self._pilot_trial(first) for _ in range(pilot.DEPLOYMENTS)]
        self.stage.conditions = planned
        good = [
            record
            for record in records
            if record.load is not None and len(record.repeated_us) == pilot.LOADS - 1
        ]
        if len(good) < 2:
            faults = "; ".join(dict.fromkeys(record.error for record in records if record.error))
            msg = f"the pilot failed: {faults}; --requests N does without one"
            raise DeployError(msg)
        rows = [loads_of(record) for record in good]
        found = pilot.noise(rows)
        trials = sum(len(self._variants_of(block)) for block in range(1, self.rule.blocks + 1))
        other_s = fmean(sum(record.phases_s.values()) - record.phases_s["load"] for record in good)
        request_s = fmean(us for row in rows for us in row) / 1e6
        requests = min(
            pilot.requests_wanted(found),
            pilot.requests_in_time(deadline - time.monotonic(), trials, other_s, request_s),
        )
        self.stage.conditions = dataclasses.replace(planned, requests=requests)
        self._update(
            requests=requests,
            pilot={
                "variant": first.name,
                "deployments": len(good),
                "loads": pilot.LOADS,
                "requests": pilot.REQUESTS,
                "own_sd": found.own_sd,
                "between_sd": found.between_sd,
                "wanted_requests": pilot.requests_wanted(found),
            },
        )
        self.progress.say(
            f"pilot: loads of {pilot.REQUESTS} requests differ by {found.own_sd * 100:.1f} %, "
            f"deployments beyond that by {found.between_sd * 100:.1f} %: {requests} requests "
            "in each trial"
        )

    def _pilot_rate(self) -> None:
        self.progress.say(
            "pilot: one trial of each variant, to find a rate that all can bear; these trials are "
            "not part of the results"
        )
        planned = self.stage.conditions
        self.stage.conditions = dataclasses.replace(planned, open_fractions=())
        records = [self._pilot_trial(variant) for variant in self.variants.values()]
        self.stage.conditions = planned
        capacities = {
            record.variant: record.load.requests_per_second
            for record in records
            if record.load is not None
        }
        if not capacities:
            msg = f"the pilot failed: {records[-1].error}"
            raise DeployError(msg)
        rate = pilot.common_rate_per_s(list(capacities.values()))
        self.stage.conditions = dataclasses.replace(planned, common_rate_per_s=rate)
        self._update(common_rate_per_s=rate, pilot={"capacities_per_s": capacities})
        self.progress.say(f"pilot: the common rate is {rate:g} requests/s")

    def _pilot_trial(self, variant: Variant) -> TrialRecord:
        record = self._trial(0, 0, variant, kind="pilot")
        append_trial(self.run, record, PILOT_TRIALS)
        self.progress.rehearsed("pilot", record)
        return record

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
            self.progress.rehearsed("search", record)
            if record.load is None or record.load.requests_ok < record.load.requests:
                # Errors are fast, and no improvement.
                return None
            return 1e6 / record.load.requests_per_second

        planned = self.stage.conditions
        self.stage.conditions = dataclasses.replace(planned, open_fractions=())
        levels, outcomes = search(wanted, known, self.manifest.seed, measure)
        self.stage.conditions = planned
        self.stage.forget(wanted.name)
        self.variants[wanted.name] = dataclasses.replace(known, levels=levels)
        tables = [
            {**table, "levels": levels} if table["name"] == wanted.name else table
            for table in self.manifest.variants
        ]
        self._update(variants=tables, search=as_record(wanted, levels, outcomes))
        kept = [outcome.change for outcome in outcomes if outcome.kept]
        words = ", ".join(f"{name} {level}" for change in kept for name, level in change.items())
        self.progress.say(f"{wanted.name} is {wanted.start} with: {words or 'no change'}")
        self.stage.number = 0

    def _leave_out_what_the_machine_lacks(self) -> None:
        """
        Take variants that may use more CPUs than there are out of the plan, and say so.
        """
        stack_cpus = len(self.stage.placement.stack)
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

    def _artefact(self) -> None:
        """
        Load a variant before it is up, where the plan has one, to see what ab makes of that.
        """
        variant = self.variants.get(self.manifest.artefact)
        if variant is None:
            return
        self.progress.say(
            f"length artefact: {variant.name} is loaded before it is up, by ab without and with "
            "-l; these trials are not part of the results"
        )
        for record in measure_artefact(self.stage, variant):
            append_trial(self.run, record, ARTEFACT_TRIALS)
            self.progress.rehearsed("artefact", record)
        self.stage.number = 0

    def _end(self, ending: str) -> None:
        """
        Say why no further block is begun, and how well the differences are known.
        """
        standing = self.rule.standing(self.progress.widths)
        ending += f"; {standing}" if standing else ""
        self.progress.say(ending)
        self._update(ending=ending)

    def _update(self, **changes: Any) -> None:  # noqa: ANN401 - the manifest's own fields
        self.manifest = dataclasses.replace(self.manifest, **changes)
        write_manifest(self.run, self.manifest)


def loads_of(record: TrialRecord) -> list[float]:
    """
    Microseconds per request of all loads of a pilot's deployment.
    """
    assert record.load is not None  # noqa: S101 - for the type checker
    return [1e6 / record.load.requests_per_second, *record.repeated_us]


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
