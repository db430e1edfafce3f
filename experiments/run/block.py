"""
One part of a block: deployments side by side, all frozen but the one under load.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from experiments.hardware import available_bytes
from experiments.plan.order import round_order
from experiments.run.faults import TRIAL_ERRORS, describe

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from experiments.records.trials import TrialRecord
    from experiments.run.conditions import Conditions
    from experiments.run.stage import Stage
    from experiments.run.trial import Trial


@dataclass
class Block:
    """
    Trials from bringing up to taking down.

    ``trials`` are brought up in this order, ``at_a_time`` of them concurrently. ``order`` draws the
    order of every round, in which the variants of ``pairs`` mostly follow each other, and those of
    ``closest`` most of all. ``show`` gets the current phase in words. ``took_s`` maps phases to
    wall time in seconds, and ``taken_bytes`` is the memory of all deployments.
    """

    stage: Stage
    trials: Sequence[Trial]
    conditions: Conditions
    order: random.Random
    at_a_time: int
    pairs: Sequence[Sequence[str]] = ()
    closest: Sequence[Sequence[str]] = ()
    show: Callable[[str], None] = field(default=lambda _: None)
    stopped: bool = False
    took_s: dict[str, float] = field(default_factory=dict)
    taken_bytes: int = 0

    def run(self) -> list[TrialRecord]:
        """
        Run all trials to their end, or until the user stops the run; return their records.

        ``stopped`` says whether the user stopped it. An error that is no trial's fault is raised.
        """
        stop = self.stage.stop
        with ExitStack() as held:
            try:
                with stop.before_errors():
                    self._measure()
            except KeyboardInterrupt:
                self._stop()
            finally:
                # From here on a signal must not lose results or leave resources behind.
                held.enter_context(stop.held())
                with self._timed("down"):
                    self._take_down()
            if not self.stopped:
                with self._timed("residue"):
                    self._look_for_residue()
            self.stopped = self.stopped or stop.asked
            for trial in self.trials:
                if trial.state is not None:
                    self.stage.states.setdefault(trial.variant.name, trial.state)
            return [trial.record() for trial in self.trials]

    def _measure(self) -> None:
        with self._timed("up"):
            self._bring_up()
        with self._timed("warmup"):
            self._warm_up()
        with self._timed("rounds"):
            self._rounds()
        with self._timed("rest"):
            self._prove()
            self._at_once()
            self._by_schedule()

    @property
    def going(self) -> list[Trial]:
        """
        The trials without a fault, which can be loaded.
        """
        return [trial for trial in self.trials if trial.going]

    def _bring_up(self) -> None:
        before = available_bytes()
        # On all CPUs, because nothing is under load; each is then bound to the stack's CPUs.
        with self.stage.all_cpus(), ThreadPoolExecutor(self.at_a_time) as executor:
            futures = [executor.submit(trial.bring_up) for trial in self.trials]
            try:
                for number, future in enumerate(futures):
                    self.show(f"bringing up {number + 1} of {len(self.trials)}")
                    future.result()
            except BaseException:
                for future in futures:
                    future.cancel()
                # Killing a deployment makes it fail, which must not count as its own fault.
                for trial in self.trials:
                    if not trial.fault:
                        trial.stop()
                    trial.identity.site.group.kill()
                raise
        self.taken_bytes = before - available_bytes()
        self._drop_failed()

    def _drop_failed(self) -> None:
        """
        Take down failed trials that are not frozen and would run beside the others.
        """
        for trial in self.trials:
            if trial.fault and not trial.is_frozen:
                trial.take_down()

    def _warm_up(self) -> None:
        self._each("warming up", lambda trial: trial.warm_up(self._others(trial)))

    def _rounds(self) -> None:
        rounds = self.conditions.rounds
        for number in range(1, rounds + 1):
            self.show(f"round {number} of {rounds}")
            for turn, trial in enumerate(self._turns(), start=1):
                trial.load(number, turn, self._others(trial))
                self._drop_failed()

    def _turns(self) -> list[Trial]:
        """
        The trials in the order of one round.
        """
        going = {trial.variant.name: trial for trial in self.going}
        if len(going) < len(self.going):
            # Several trials of one variant: a pilot, which compares nothing.
            return self.order.sample(self.going, len(self.going))
        order = round_order(list(going), self.pairs, self.order, self.closest)
        return [going[name] for name in order]

    def _at_once(self) -> None:
        conditions = self.conditions
        wanted = [each for each in self.going if each.variant.name in conditions.at_once]
        if wanted:
            self._each(
                f"one load of {conditions.requests_at_once} requests",
                lambda trial: trial.load_at_once(self._others(trial)),
                wanted,
            )
            self._prove()

    def _prove(self) -> None:
        """
        Prove the paths of all loads, also for a trial that failed after complete loads.
        """
        self.show("proving the paths")
        for trial in self.trials:
            if trial.is_frozen:
                trial.prove()

    def _by_schedule(self) -> None:
        conditions = self.conditions
        if not conditions.open_requests:
            return
        fractions: list[float | None] = list(conditions.open_fractions)
        if conditions.common_rate_per_s is not None:
            fractions.append(None)
        for fraction in fractions:
            what = "the common rate" if fraction is None else f"{fraction * 100:g} % of capacity"
            self._each(
                f"open loop at {what}",
                partial(self._load_by_schedule, fraction=fraction),
            )

    def _load_by_schedule(self, trial: Trial, fraction: float | None) -> None:
        trial.load_by_schedule(fraction, self._others(trial))

    def _each(
        self, what: str, step: Callable[[Trial], None], trials: Sequence[Trial] | None = None
    ) -> None:
        """
        Run one step of every trial, in a random order.
        """
        chosen = self.going if trials is None else list(trials)
        for number, trial in enumerate(self.order.sample(chosen, len(chosen)), start=1):
            self.show(f"{what}, {number} of {len(chosen)}")
            step(trial)
            self._drop_failed()

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.took_s[what] = time.monotonic() - started

    def _others(self, trial: Trial) -> list[Trial]:
        return [other for other in self.trials if other is not trial]

    def _stop(self) -> None:
        """
        Keep complete loads, which count if their path is proved.
        """
        self.stopped = True
        for trial in self.trials:
            trial.quiet = True
            if not trial.fault:
                if not trial.is_proved:
                    trial.prove()
                trial.stop()

    def _take_down(self) -> None:
        self.show("taking down")
        with ThreadPoolExecutor(self.at_a_time) as executor:
            for future in [executor.submit(trial.take_down) for trial in self.trials]:
                future.result()

    def _look_for_residue(self) -> None:
        """
        Residue cannot be traced to one deployment, so every trial of the part is an error.
        """
        try:
            self.stage.check_residue()
        except TRIAL_ERRORS as error:
            for trial in self.trials:
                trial.phase = "residue"
                trial.spoil(describe(error))
