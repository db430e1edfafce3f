"""
The loop over blocks: runs in the lab and takes its plan from the run's folder.
"""

from __future__ import annotations

import ctypes
import dataclasses
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from experiments.declare.profiles import AT_ONCE_EVERY
from experiments.declare.variants import CONTROL
from experiments.errors import INTERRUPTED_STATUS, OF_MACHINE, BridgetollError, DeployError
from experiments.output import outlive_readers
from experiments.plan.fit import leave_out, parts_of, too_many_cpus
from experiments.plan.order import block_order
from experiments.plan.stopping import Rule
from experiments.probes.environment import boot_id, environment, stolen_s
from experiments.records.failures import FAILURES_IN_A_ROW, Failures
from experiments.records.files import ARTEFACT_TRIALS
from experiments.records.manifest import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    RATE_WANTED,
    ROUNDS_WANTED,
    Environment,
)
from experiments.records.store import (
    append_trial,
    read_agreement,
    read_manifest,
    read_trials,
    write_manifest,
)
from experiments.run.agreement import Agreement
from experiments.run.artefact import LengthArtefact
from experiments.run.faults import of_system
from experiments.run.memory import Memory
from experiments.run.pilot import Pilot
from experiments.run.progress import Progress
from experiments.run.search import TunedSearch
from experiments.run.stage import Stage, needs_docker
from experiments.run.stop import StopRequest

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


class Runner:
    """
    Executes the plan of one run.
    """

    def __init__(self, run: Path, stop: StopRequest, named: str = "") -> None:
        """
        Reads the plan; nothing runs yet. ``named`` is the user's path of the folder ``run``.
        """
        self.run = run
        self.named = named or str(run)
        self.started = time.monotonic()
        self.manifest = read_manifest(run)
        self.variants = {
            each.name: dataclasses.replace(
                each, overlays=tuple(run / overlay for overlay in each.overlays)
            )
            for each in self.manifest.variants
        }
        self.stage = Stage(run, self.manifest.workload, stop, self._show, self.manifest.stack)
        # What earlier sessions left unfinished was set aside before.
        self.earlier: list[TrialRecord] = read_trials(run)
        self.failures = Failures(self.earlier)
        self.aside: dict[str, str] = {}
        self._follow_the_plan()
        self._show_progress()
        self.stolen_before_s = stolen_s()

    def execute(self) -> str:
        """
        Run the planned blocks within the time budget; return the state in which the run ended.

        The manifest records every kind of end. An exception that is a fault of the project is
        recorded and raised again.
        """
        try:
            with self.stage.stop.before_errors():
                self._prepare()
                self._pilot()
                self._blocks()
            state, note = COMPLETE, ""
        except KeyboardInterrupt:
            state, note = INTERRUPTED, "interrupted by the user; finished trials are kept"
        except BridgetollError as error:
            state, note = FAILED, str(error).replace(str(self.run), self.named)
        except Exception as error:
            if not (isinstance(error, OSError) and error.errno in OF_MACHINE):
                self._end_with(FAILED, f"a fault of the project: {error!r}")
                raise
            state, note = FAILED, of_system(error).replace(str(self.run), self.named)
        before = self.manifest.environment
        peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._see(
            stolen_s=(before.stolen_s or 0.0) + stolen_s() - self.stolen_before_s,
            observed_s=(before.observed_s or 0.0) + time.monotonic() - self.started,
            under_load_s=self.progress.under_load_s,
            runner_peak_bytes=max(before.runner_peak_bytes or 0, peak_bytes),
        )
        self._end_with(state, note)
        if note:
            self.progress.say(f"{state}: {note}")
        return state

    def _blocks(self) -> None:
        """
        Run blocks until they are enough or the next one would exceed the time budget.

        Search and length artefact follow the first block, so that the user sees its result early.
        Raises DeployError with the last reason if no variant is left.
        """
        begun = len(self.manifest.order)
        aside = [self._search, self._artefact]
        if begun:
            self._set_aside()
            if not any(load.repetition == begun for load in read_agreement(self.run)):
                self._agreement(begun)
        while not (begun and self.rule.is_enough(begun, self.progress.estimates)):
            if not self.variants:
                name, why = next(reversed(self.aside.items()))
                msg = (
                    f"every variant failed {FAILURES_IN_A_ROW} times in a row, so the run ends; "
                    f"the last trial of {name}: {why}"
                )
                raise DeployError(msg)
            if begun or self.rule.blocks == 1:
                while aside:
                    aside.pop(0)()
            parts = self._parts_of(begun + 1, searched=not aside)
            if begun and not self.progress.fits(parts):
                minutes = self.manifest.minutes
                self._end(f"a further block would exceed {minutes:g} minutes")
                return
            begun += 1
            self._update(order=[*self.manifest.order, parts])
            self.progress.begin(begun, parts)
            for part, names in enumerate(parts, start=1):
                self._part(begun, part, names)
            if begun == 1 and self.manifest.stack is not None:
                self._refuse_what_never_runs(self.manifest.stack.name)
            self._set_aside()
            self._agreement(begun)
            # The C library keeps what was freed; over hundreds of blocks that adds up.
            ctypes.CDLL(None).malloc_trim(0)
            self.progress.ended()
            self.progress.interim(begun, self.plan.comparisons)
        self._end("one block is enough" if begun == 1 else f"{begun} blocks are enough")

    def _refuse_what_never_runs(self, stack: str) -> None:
        """
        Raise DeployError if no variant came up: that is the stack's fault, and not chance.
        """
        trials = read_trials(self.run)
        if all(trial.load is None for trial in trials):
            last = trials[-1]
            msg = (
                f"no variant of the stack {stack} could be measured, so the run ends; the trial of "
                f"{last.variant}: {last.error}"
            )
            raise DeployError(msg)

    def _part(self, number: int, part: int, names: list[str]) -> None:
        """
        One part of a block: its deployments side by side.
        """
        variants = [self.variants[name] for name in names]
        conditions = self.stage.conditions
        if (number - 1) % AT_ONCE_EVERY:
            conditions = dataclasses.replace(conditions, at_once=frozenset())
        block = self.stage.side_by_side(
            variants,
            conditions,
            block=number,
            part=part,
            pairs=self.plan.side_by_side,
            closest=self.closest,
        )
        records = block.run()
        with self.stage.stop.held():
            for record in records:
                append_trial(self.run, record)
                self.progress.finished(record)
                self.failures.add(record)
        if self.stage.states != self.manifest.network_state:
            self._update(network_state=dict(self.stage.states))
        if block.stopped:
            raise KeyboardInterrupt

    @property
    def plan(self) -> Manifest:
        """
        The plan without what is set aside, whose trials and comparisons stay in the manifest.
        """
        return leave_out(self.manifest, self.aside) if self.aside else self.manifest

    def _set_aside(self) -> None:
        """
        Go on without variants that fail again and again.
        """
        failing = self.failures.set_aside()
        found = {name: why for name, why in failing.items() if name in self.variants}
        for name, why in found.items():
            del self.variants[name]
            self.aside[name] = why
            self.progress.say(
                f"{name} is set aside after {FAILURES_IN_A_ROW} failed trials in a row, and the "
                f"run goes on without it; the last one: {why}"
            )
        if found:
            self._follow_the_plan()
            self.progress.follow(self.rule)

    def _prepare(self) -> None:
        """
        Describe the machine, place the client, and read each variant's Compose files.
        """
        if self.manifest.sessions:
            *earlier, own = self.manifest.sessions
            self._update(sessions=[*earlier, dataclasses.replace(own, boot_id=boot_id())])
        if self.manifest.environment == Environment():
            # Before this process is bound to the client's CPU and sees only that one.
            self._update(environment=environment())
        self._leave_out_what_the_machine_lacks()
        self.stage.prepare(self.manifest, self.variants.values())
        self._update(privileges=self.stage.privileges())
        self.memory = Memory(self.stage, self.manifest.environment.memory)

    def _pilot(self) -> None:
        """
        Measure what the plan leaves to a pilot, and the number of deployments that fit in memory.

        What an earlier session measured is not measured again.
        """
        asked = self.manifest.pilot
        pilot = Pilot(self.stage, self.memory, self.progress)
        first = next(iter(self.variants.values()))
        variants = list(self.variants.values())
        if needs_docker(first):
            self._start_docker_once()
        of_block = [self.variants[name] for name in self._names_of(1)]
        side_by_side = len(of_block)
        if asked.wanted == ROUNDS_WANTED and asked.rounds is None:
            found, rounds, requests = pilot.rounds(
                first,
                self.progress.deadline - time.monotonic(),
                of_block,
                self.rule.blocks,
                asked.requests_asked,
            )
            answered = dataclasses.replace(asked, rounds=found)
            self._update(rounds=rounds, requests=requests, pilot=answered)
        elif not (self.manifest.environment.memory or self.memory.is_roomy(side_by_side)):
            self.memory.rehearse(first)
        if any(map(needs_docker, variants)) and not needs_docker(first):
            # Not earlier, so that the user sees the first load soon.
            self._start_docker_once()
        if self.manifest.environment.memory:
            self.memory.refuse_less(side_by_side)
        fits = self.memory.fits(side_by_side)
        if fits < side_by_side:
            self.progress.say(
                f"memory: {fits} of {side_by_side} deployments fit side by side; each block is cut "
                "into parts, and both variants of a comparison are in the same part"
            )
        self._see(memory=self.memory.as_record(fits), brought_up_at_once=self.stage.at_a_time)
        if asked.wanted == RATE_WANTED and not asked.capacities_per_s:
            capacities_per_s, rate_per_s = pilot.rate(variants)
            answered = dataclasses.replace(asked, capacities_per_s=capacities_per_s)
            self._update(common_rate_per_s=rate_per_s, pilot=answered)
        self.stage.follow(self.manifest)
        self.stage.go_on(self.variants, self.earlier, self.manifest.network_state)
        self.earlier.clear()

    def _start_docker_once(self) -> None:
        self.progress.say("starting Docker once, to read its container specification")
        self.memory.start_docker_once()

    def _search(self) -> None:
        """
        Search for the best configuration, if the plan asks for it and nothing is found yet.
        """
        wanted = self.manifest.search
        if wanted is None or wanted.name not in self.variants or self.manifest.found:
            return
        known = self.variants[wanted.name]
        also = [self.variants[name] for name in wanted.also if name in self.variants]
        self.progress.say(
            f"searching for {wanted.name}: {len(wanted.changes)} changes to {wanted.start}; these "
            "trials do not count"
        )
        tuned = TunedSearch(
            wanted,
            known,
            also,
            stage=self.stage,
            memory=self.memory,
            progress=self.progress,
        )
        found = tuned.run()
        self.stage.forget(wanted.name)
        self.variants[wanted.name] = dataclasses.replace(known, levels=found.levels)
        variants = [
            dataclasses.replace(each, levels=found.levels) if each.name == wanted.name else each
            for each in self.manifest.variants
        ]
        self._update(variants=variants, found=found)
        kept = [
            step.candidates[step.chosen].change for step in found.steps if step.chosen is not None
        ]
        words = ", ".join(f"{name} {level}" for change in kept for name, level in change.items())
        self.progress.say(f"{wanted.name} is {wanted.start} with {words or 'no change'}")

    def _artefact(self) -> None:
        """
        Measure the length artefact of ab, if the plan asks for it and it is not measured yet.
        """
        if self.manifest.artefact in self.variants and not read_trials(self.run, ARTEFACT_TRIALS):
            variant = self.variants[self.manifest.artefact]
            LengthArtefact(self.stage, self.progress).run(variant)

    def _agreement(self, number: int) -> None:
        """
        Compare short loads with the load that they represent, if the plan asks for it.
        """
        names = [name for name in self.manifest.agreement if name in self.variants]
        if names:
            # One variant per block, because a repetition takes as long as a small block.
            name = names[(number - 1) % len(names)]
            try:
                Agreement(self.stage, self.progress).run(number, self.variants[name])
            except DeployError as error:
                self.progress.say(str(error))

    def _leave_out_what_the_machine_lacks(self) -> None:
        """
        Remove variants with a CPU limit above the number of CPUs from the plan.
        """
        stack_cpus = len(self.stage.placement.stack)
        names = too_many_cpus(self.manifest, stack_cpus)
        for name in names:
            cpus = self.variants.pop(name).levels["cpus"]
            self.progress.say(
                f"{name} is left out: its limit is {cpus} CPUs, and the stack has {stack_cpus}"
            )
        if names:
            self.manifest = leave_out(self.manifest, names)
            self._update()
            self._follow_the_plan()
            self._show_progress()

    def _follow_the_plan(self) -> None:
        """
        Set the stopping rule and the closest pairs from the plan.
        """
        plan = self.plan
        self.rule = Rule(plan.blocks, plan.targets)
        twins = [
            (pair.baseline, pair.treatment) for pair in plan.comparisons if pair.name == CONTROL
        ]
        self.closest = [*plan.focal, *twins]

    def _show_progress(self) -> None:
        self.progress = Progress(self.rule, self.variants)
        sessions = self.manifest.sessions
        minutes = sessions[-1].minutes if sessions else self.manifest.minutes
        self.progress.deadline = self.started + minutes * 60
        self.progress.recall(self.earlier)

    def _names_of(self, block: int) -> list[str]:
        every = {each.name: each.every for each in self.plan.variants}
        return block_order(every, block, self.manifest.seed)

    def _parts_of(self, block: int, *, searched: bool) -> list[list[str]]:
        """
        The variants of a block, in parts that fit in memory.

        The variant of the search has no levels before the search.
        """
        names = self._names_of(block)
        search = self.manifest.search
        if search is not None and not searched:
            names = [name for name in names if name != search.name]
        return parts_of(names, self.plan.side_by_side, self.memory.fits(len(names)))

    def _end(self, ending: str) -> None:
        """
        Record and print why the run ends, and how far the worst difference is from its target.
        """
        standing = self.rule.standing(self.progress.estimates)
        ending += f"; {standing}" if standing else ""
        self.progress.say(ending)
        self._update(ending=ending)

    def _show(self, text: str) -> None:
        self.progress.phase(text)

    def _end_with(self, state: str, note: str) -> None:
        self.manifest = self.manifest.ended(state, note, time.time())
        self._update()

    def _see(self, **seen: Any) -> None:  # noqa: ANN401 - the environment's own fields
        self._update(environment=dataclasses.replace(self.manifest.environment, **seen))

    def _update(self, **changes: Any) -> None:  # noqa: ANN401 - the manifest's own fields
        self.manifest = dataclasses.replace(self.manifest, **changes)
        write_manifest(self.run, self.manifest)


def main() -> int:
    """
    Run the plan in the folder named by the first argument; return 0, 1, or 130 (interrupted).

    A second argument is the user's path of that folder, for messages.
    """
    stop = StopRequest()
    outlive_readers()
    run, named = sys.argv[1], sys.argv[-1]
    try:
        state = Runner(Path(run), stop, named).execute()
    except BridgetollError as error:
        print(f"error: {str(error).replace(run, named)}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS
    return {COMPLETE: 0, INTERRUPTED: INTERRUPTED_STATUS}.get(state, 1)


if __name__ == "__main__":
    sys.exit(main())
