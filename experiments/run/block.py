"""
One part of a block: its deployments side by side, all but the one under load frozen.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from experiments.plan.order import round_order
from experiments.probes.environment import available_bytes
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

    ``trials`` are in the order in which they are brought up, as many at a time as ``at_a_time``.
    ``order`` draws the order of each round, in which ``pairs`` of variants mostly follow each
    other, and ``closest`` ones most of all. ``show`` is told how far it is. ``took_s`` are seconds
    of wall time by what was done, and ``taken_bytes`` the memory that all deployments took.
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
        Run it to its end, or until the user stops it; ``stopped`` says which.

        What each trial came to. Raises what no trial can be blamed for.
        """
        stop = self.stage.stop
        with ExitStack() as held:
            try:
                self._measure()
            except KeyboardInterrupt:
                self._stop()
            finally:
                # What was measured is not lost by a signal that comes now, and nothing is left.
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
        The trials that can be loaded.
        """
        return [trial for trial in self.trials if trial.going]

    def _bring_up(self) -> None:
        before = available_bytes()
        # On all CPUs, as nobody is loaded meanwhile; each is then bound to the stack's.
        with self.stage.all_cpus(), ThreadPoolExecutor(self.at_a_time) as executor:
            futures = [executor.submit(trial.bring_up) for trial in self.trials]
            try:
                for number, future in enumerate(futures):
                    self.show(f"bringing up {number + 1} of {len(self.trials)}")
                    future.result()
            except BaseException:
                for future in futures:
                    future.cancel()
                # What a deployment waits for ends with it, which is then no fault of its own.
                for trial in self.trials:
                    if not trial.fault:
                        trial.stop()
                    trial.identity.site.group.kill()
                raise
        self.taken_bytes = before - available_bytes()
        self._drop_failed()

    def _drop_failed(self) -> None:
        """
        Take down at once what is not frozen, and would run beside the others.
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
            # Some are the same, and nothing is compared.
            return self.order.sample(self.going, len(self.going))
        order = round_order(list(going), self.pairs, self.order, self.closest)
        return [going[name] for name in order]

    def _at_once(self) -> None:
        conditions = self.conditions
        wanted = [each for each in self.going if each.variant.name in conditions.at_once]
        if wanted:
            self._each(
                f"{conditions.requests_at_once} requests at once",
                lambda trial: trial.load_at_once(self._others(trial)),
                wanted,
            )
            self._prove()

    def _prove(self) -> None:
        """
        Prove the paths of all loads, also of a trial that failed after some that were whole.
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
                f"loading by schedule at {what}",
                partial(self._load_by_schedule, fraction=fraction),
            )

    def _load_by_schedule(self, trial: Trial, fraction: float | None) -> None:
        trial.load_by_schedule(fraction, self._others(trial))

    def _each(
        self, what: str, step: Callable[[Trial], None], trials: Sequence[Trial] | None = None
    ) -> None:
        """
        One step of every trial that is going, in a random order.
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
        Keep the loads that were whole, which are numbers once their path is proved.
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
        What is left cannot be told to be one deployment's, so no trial of the block is a number.
        """
        try:
            self.stage.check_residue()
        except TRIAL_ERRORS as error:
            for trial in self.trials:
                trial.phase = "residue"
                trial.spoil(describe(error))
