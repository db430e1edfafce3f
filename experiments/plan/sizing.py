"""
How many rounds and requests a deployment is worth, from what a pilot saw.

More rounds lower the noise of a trial's own loads, and only more trials that between deployments.
How many loads a deployment is worth follows from what both cost and how much both vary (Kalibera
and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PILOT_DEPLOYMENTS = 4

PILOT_ROUNDS = 8
"""So many deployments, each loaded in so many rounds."""

LOAD_S = 0.5
"""What a short load should take: shorter ones are mostly ramps, longer ones lie further apart."""

REQUESTS_PER_LOAD = (100, 250, 500, 1000)
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
    return min(
        REQUESTS_PER_LOAD, key=lambda count: abs(math.log(count * us_per_request / 1e6 / LOAD_S))
    )


def common_rate_per_s(capacities_per_s: Sequence[float]) -> float:
    """
    A rate that every variant can bear, in whole requests per second.
    """
    return float(max(1, math.floor(COMMON_SHARE * min(capacities_per_s))))
