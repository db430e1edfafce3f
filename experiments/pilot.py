"""
A pilot before the first block: how many rounds a block is worth, and which rate all can bear.

More rounds lower the noise of a trial's own loads, and only more trials that between deployments.
How many loads a deployment is worth follows from what both cost and how much both vary (Kalibera
and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013). All of that is read from a few
deployments of one variant, side by side as in a block.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.errors import DeployError
from experiments.plan import parts_of
from experiments.records.files import PILOT_TRIALS
from experiments.records.manifest import RoundsPilot
from experiments.records.store import append_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.block import Block
    from experiments.memory import Memory
    from experiments.progress import Progress
    from experiments.records.trials import TrialRecord
    from experiments.stage import Stage
    from experiments.variants import Variant

DEPLOYMENTS = 4
ROUNDS = 8
"""So many deployments, each loaded in so many rounds."""

LOAD_S = 0.5
"""What a short load should take: shorter ones are mostly ramps, longer ones lie further apart."""

REQUESTS = (100, 250, 500, 1000)
"""The lengths of load that there are: few, so that runs on like machines have the same."""

LEAST_ROUNDS, MOST_ROUNDS = 6, 16

COMMON_SHARE = 0.5
"""The rate that is the same for all variants is this share of the capacity of the slowest one."""


@dataclass(frozen=True)
class Noise:
    """
    Standard deviations of the logarithm of the time per request.

    ``own_sd`` is between loads of one deployment beside the others of their round, ``between_sd``
    between deployments beyond that.
    """

    own_sd: float
    between_sd: float


@dataclass(frozen=True)
class Costs:
    """
    Seconds of wall time: of one deployment in company with all but its rounds, and of one load.
    """

    deployment_s: float
    load_s: float


class Pilot:
    """
    The pilot of a run; its trials are no part of the results.
    """

    def __init__(self, stage: Stage, memory: Memory, progress: Progress) -> None:
        """
        Nothing is measured yet; ``memory`` is told what deployments take.
        """
        self._stage = stage
        self._memory = memory
        self._progress = progress

    def rounds(
        self,
        variant: Variant,
        seconds: float,
        deployments: int,
        blocks: int,
        requests: int | None = None,
    ) -> tuple[RoundsPilot, int, int]:
        """
        What was found; how many rounds, and requests in each load, to have.

        With these ``blocks`` blocks end in ``seconds``. ``requests`` are those that the user asks
        for, if any. Raises DeployError when too few deployments could be loaded.
        """
        self._progress.say(
            f"pilot: {DEPLOYMENTS} deployments of {variant.name} side by side, {ROUNDS} rounds, to "
            "see how many rounds a block is worth; they are not part of the results"
        )
        conditions = dataclasses.replace(
            self._stage.conditions, rounds=ROUNDS, at_once=frozenset(), open_requests=0
        )
        block = self._stage.side_by_side([variant] * DEPLOYMENTS, conditions, kind="pilot")
        records = self._run(block)
        self._memory.take(block)
        rows = [[load.us_per_request for load in each.loads] for each in records]
        whole = [row for row in rows if len(row) == ROUNDS]
        if len(whole) < 2:
            faults = "; ".join(dict.fromkeys(record.error for record in records if record.error))
            msg = f"the pilot failed: {faults}; --rounds N does without one"
            raise DeployError(msg)
        found = noise(whole)
        load_s = block.took_s["rounds"] / (ROUNDS * DEPLOYMENTS)
        costs = Costs(sum(block.took_s.values()) / DEPLOYMENTS - ROUNDS * load_s, load_s)
        mean_us = statistics.fmean(us for row in whole for us in row)
        requests = requests or requests_wanted(mean_us)
        wanted = rounds_wanted(found, costs)
        as_long = Costs(costs.deployment_s, costs.load_s * requests / conditions.requests)
        rounds = min(wanted, rounds_in_time(seconds, deployments, blocks, as_long))
        self._progress.say(
            f"pilot: loads of {conditions.requests} requests differ by {found.own_sd * 100:.1f} % "
            f"within a deployment, deployments beyond that by {found.between_sd * 100:.1f} %; a "
            f"deployment takes {costs.deployment_s:.1f} s and a load {costs.load_s:.2f} s: "
            f"{rounds} rounds of {requests} requests in each block"
        )
        kept = RoundsPilot(
            variant=variant.name,
            deployments=len(whole),
            rounds=ROUNDS,
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
        The capacity of every variant, and a rate that all can bear, in requests per second.

        Raises DeployError when none could be loaded.
        """
        self._progress.say(
            "pilot: a deployment of each variant, to find a rate that all can bear; these are not "
            "part of the results"
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
            if record.load is not None
        }
        if not capacities:
            msg = f"the pilot failed: {records[-1].error}"
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


def noise(rows: Sequence[Sequence[float]]) -> Noise:
    """
    The noise in times per request (µs): a row for each deployment, a column for each round.

    The components of a two-way analysis of variance, in which a round changes all alike and so
    counts for nothing; what lies between deployments is none where the estimate would be negative.
    """
    logs = [[math.log(value) for value in row] for row in rows]
    deployments, rounds = len(logs), len(logs[0])
    of_rounds = [statistics.fmean(column) for column in zip(*logs, strict=True)]
    means = [statistics.fmean(row) for row in logs]
    overall = statistics.fmean(means)
    squares = sum(
        (value - mean - of_round + overall) ** 2
        for row, mean in zip(logs, means, strict=True)
        for value, of_round in zip(row, of_rounds, strict=True)
    )
    own = squares / ((deployments - 1) * (rounds - 1))
    between = statistics.variance(means) - own / rounds
    return Noise(math.sqrt(own), math.sqrt(max(0.0, between)))


def rounds_wanted(found: Noise, costs: Costs) -> int:
    """
    As many loads as a deployment is worth, within bounds.
    """
    if found.between_sd == 0:
        return MOST_ROUNDS
    ratio = costs.deployment_s / costs.load_s * (found.own_sd / found.between_sd) ** 2
    return min(MOST_ROUNDS, max(LEAST_ROUNDS, math.ceil(math.sqrt(ratio))))


def rounds_in_time(seconds: float, deployments: int, blocks: int, costs: Costs) -> int:
    """
    The most rounds with which so many blocks of so many deployments end in time, from the bound on.
    """
    of_block = seconds / blocks / deployments - costs.deployment_s
    return max(LEAST_ROUNDS, math.floor(of_block / costs.load_s))


def requests_wanted(us_per_request: float) -> int:
    """
    The length of load whose duration is nearest to LOAD_S, as a ratio.
    """
    return min(REQUESTS, key=lambda count: abs(math.log(count * us_per_request / 1e6 / LOAD_S)))


def common_rate_per_s(capacities_per_s: Sequence[float]) -> float:
    """
    A rate that every variant can bear, in whole requests per second.
    """
    return float(max(1, math.floor(COMMON_SHARE * min(capacities_per_s))))
