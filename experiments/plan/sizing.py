"""
The number of rounds and requests, computed from the pilot.

More rounds reduce the variance between loads of one deployment; only more trials reduce the
variance between deployments. The best number of rounds follows from both variances and from the
cost of a load and of a deployment (Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time",
ISMM 2013).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.declare.factors import NOT_INJECTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PILOT_DEPLOYMENTS = 4
PILOT_ROUNDS = 8

LOAD_S = 0.5
"""The aim for one load: a shorter load is mostly ramp; longer loads are further apart in time."""

REQUESTS_PER_LOAD = (100, 250, 500, 1000)
"""The possible lengths of a load: few, so that runs on similar machines get the same one."""

LEAST_ROUNDS, MOST_ROUNDS = 6, 16

COMMON_SHARE = 0.5
"""The common rate, as a share of the capacity of the slowest variant."""


@dataclass(frozen=True)
class Noise:
    """
    Standard deviations of the logarithm of the time per request.

    ``own_sd`` is between loads of one deployment after the effect of the round is removed;
    ``between_sd`` is between deployments, without the part that ``own_sd`` explains.
    """

    own_sd: float
    between_sd: float


@dataclass(frozen=True)
class Costs:
    """
    Wall time in seconds: of a deployment without its rounds, and of one load.
    """

    deployment_s: float
    load_s: float


def noise(rows: Sequence[Sequence[float]]) -> Noise:
    """
    The noise in times per request (µs): one row per deployment, one column per round.

    The variance components of a two-way analysis of variance with deployments and rounds. A
    negative estimate of the variance between deployments counts as zero.
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
    The number of rounds with the smallest variance of a comparison for a given time, in bounds.
    """
    if found.between_sd == 0:
        return MOST_ROUNDS
    ratio = costs.deployment_s / costs.load_s * (found.own_sd / found.between_sd) ** 2
    return min(MOST_ROUNDS, max(LEAST_ROUNDS, math.ceil(math.sqrt(ratio))))


def rounds_in_time(seconds: float, deployments: int, blocks: int, costs: Costs) -> int:
    """
    The largest number of rounds for which the blocks take at most ``seconds``, or LEAST_ROUNDS.
    """
    of_block = seconds / blocks / deployments - costs.deployment_s
    return max(LEAST_ROUNDS, math.floor(of_block / costs.load_s))


def relative_length(
    us_per_request: float, levels: Mapping[str, str], block: Sequence[Mapping[str, str]]
) -> float:
    """
    The mean length of a block's loads, as a multiple of the pilot's with these levels.

    Calls and CPU time make requests longer on purpose; other differences are small beside them.
    """

    def burned(levels: Mapping[str, str]) -> int:
        return 0 if levels["burn_us"] == NOT_INJECTED else int(levels["burn_us"])

    of_call_us = max(0.0, us_per_request - burned(levels)) / int(levels["calls"])
    expected = [of_call_us * int(each["calls"]) + burned(each) for each in block]
    return statistics.fmean(expected) / us_per_request


def requests_wanted(us_per_request: float) -> int:
    """
    The length of a load whose duration is nearest to LOAD_S, on a logarithmic scale.
    """
    return min(
        REQUESTS_PER_LOAD, key=lambda count: abs(math.log(count * us_per_request / 1e6 / LOAD_S))
    )


def common_rate_per_s(capacities_per_s: Sequence[float]) -> float:
    """
    The common rate, in whole requests per second.
    """
    return float(max(1, math.floor(COMMON_SHARE * min(capacities_per_s))))
