"""
The pilot before the first block: it measures noise, costs and capacities.

It loads a few deployments of one variant side by side, as in a block.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

from experiments.errors import DeployError
from experiments.plan.fit import parts_of
from experiments.plan.sizing import (
    PILOT_DEPLOYMENTS,
    PILOT_ROUNDS,
    Costs,
    common_rate_per_s,
    noise,
    relative_length,
    requests_wanted,
    rounds_in_time,
    rounds_wanted,
)
from experiments.records.files import PILOT_TRIALS
from experiments.records.manifest import RoundsPilot
from experiments.records.store import append_trial
from experiments.records.trials import are_good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.declare.variants import Variant
    from experiments.records.trials import TrialRecord
    from experiments.run.block import Block
    from experiments.run.memory import Memory
    from experiments.run.progress import Progress
    from experiments.run.stage import Stage


def bad_answers(record: TrialRecord) -> str:
    """
    How many answers of a trial were good, if too few were for its times to say anything.
    """
    load = record.load
    if load is None or are_good(load.requests_ok, load.requests):
        return ""
    return f"{load.requests_ok} of {load.requests} answers of {record.variant} were good"


class Pilot:
    """
    The pilot of a run; its trials do not count.
    """

    def __init__(self, stage: Stage, memory: Memory, progress: Progress) -> None:
        """
        Nothing is measured yet; ``memory`` learns what a deployment takes.
        """
        self._stage = stage
        self._memory = memory
        self._progress = progress

    def rounds(
        self,
        variant: Variant,
        seconds: float,
        variants: Sequence[Variant],
        blocks: int,
        requests: int | None = None,
    ) -> tuple[RoundsPilot, int, int]:
        """
        The pilot's record, the number of rounds per block, and the number of requests per load.

        With these, ``blocks`` blocks of ``variants`` take at most ``seconds``. ``requests`` is the
        number that the user asked for, if any. Raises DeployError if fewer than two deployments
        could be loaded.
        """
        self._progress.say(
            f"pilot: {PILOT_DEPLOYMENTS} deployments of {variant.name} side by side, "
            f"{PILOT_ROUNDS} rounds, to choose the number of rounds; these trials do not count"
        )
        conditions = dataclasses.replace(
            self._stage.conditions, rounds=PILOT_ROUNDS, at_once=frozenset(), open_requests=0
        )
        block = self._stage.side_by_side([variant] * PILOT_DEPLOYMENTS, conditions, kind="pilot")
        records = self._run(block)
        self._memory.take(block)
        rows = [
            [load.us_per_request for load in each.loads]
            for each in records
            if not bad_answers(each)
        ]
        whole = [row for row in rows if len(row) == PILOT_ROUNDS]
        if len(whole) < 2:
            words = [record.error or bad_answers(record) for record in records]
            faults = "; ".join(dict.fromkeys(filter(None, words)))
            msg = f"the pilot failed: {faults}; --rounds N skips it"
            raise DeployError(msg)
        found = noise(whole)
        load_s = block.took_s["rounds"] / (PILOT_ROUNDS * PILOT_DEPLOYMENTS)
        costs = Costs(
            sum(block.took_s.values()) / PILOT_DEPLOYMENTS - PILOT_ROUNDS * load_s, load_s
        )
        mean_us = statistics.fmean(us for row in whole for us in row)
        requests = requests or requests_wanted(mean_us)
        longer = relative_length(mean_us, variant.levels, [each.levels for each in variants])
        wanted = rounds_wanted(found, Costs(costs.deployment_s, costs.load_s * longer))
        as_long = Costs(costs.deployment_s, costs.load_s * longer * requests / conditions.requests)
        rounds = min(wanted, rounds_in_time(seconds, len(variants), blocks, as_long))
        self._progress.say(
            f"pilot: standard deviation {found.own_sd * 100:.1f} % between loads of "
            f"{conditions.requests} requests, {found.between_sd * 100:.1f} % between deployments; "
            f"a deployment takes {costs.deployment_s:.1f} s and a load {costs.load_s:.2f} s: "
            f"{rounds} rounds of {requests} requests per block"
        )
        kept = RoundsPilot(
            variant=variant.name,
            deployments=len(whole),
            rounds=PILOT_ROUNDS,
            requests=conditions.requests,
            own_sd=found.own_sd,
            between_sd=found.between_sd,
            deployment_s=costs.deployment_s,
            load_s=costs.load_s,
            wanted_rounds=wanted,
        )
        return kept, rounds, requests

    def rate(self, variants: Sequence[Variant]) -> tuple[dict[str, float], float]:
        """
        The capacity of every variant and the common rate, in requests per second.

        Raises DeployError if no variant could be loaded.
        """
        self._progress.say(
            "pilot: one deployment of each variant, to choose the common rate; these trials do not "
            "count"
        )
        conditions = dataclasses.replace(
            self._stage.conditions, at_once=frozenset(), open_requests=0
        )
        names = {variant.name: variant for variant in variants}
        records = []
        for part in parts_of(list(names), (), self._memory.fits(len(names))):
            chosen = [names[name] for name in part]
            records += self._run(self._stage.side_by_side(chosen, conditions, kind="pilot"))
        capacities = {
            record.variant: record.load.requests_per_second
            for record in records
            if record.load is not None and not bad_answers(record)
        }
        if not capacities:
            msg = f"the pilot failed: {records[-1].error or bad_answers(records[-1])}"
            raise DeployError(msg)
        rate = common_rate_per_s(list(capacities.values()))
        self._progress.say(f"pilot: the common rate is {rate:g} requests/s")
        return capacities, rate

    def _run(self, block: Block) -> list[TrialRecord]:
        records = block.run()
        for record in records:
            append_trial(self._stage.run, record, PILOT_TRIALS)
            self._progress.rehearsed("pilot", record)
        if block.stopped:
            raise KeyboardInterrupt
        return records
