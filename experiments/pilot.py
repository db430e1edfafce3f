"""
A pilot before the first block: how long a trial must be, and which rate all variants can bear.

A trial is worth its deployment when its own noise, which more requests would lower, is small
against the noise between deployments, which only more trials do (Kalibera and Jones, "Rigorous
Benchmarking in Reasonable Time", ISMM 2013). Both are read from a few deployments of one variant,
each loaded several times.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEPLOYMENTS = 5
LOADS = 4
REQUESTS = 250
"""So many deployments, each loaded so many times with so many requests."""

SMALL = 0.25
"""A trial's own noise is small when its variance is this share of that between deployments."""

LEAST_REQUESTS, MOST_REQUESTS, STEP = 500, 4000, 250

COMMON_SHARE = 0.5
"""The rate that is the same for all variants is this share of the capacity of the slowest one."""


@dataclass(frozen=True)
class Noise:
    """
    Standard deviations of the logarithm of the time per request.

    ``own_sd`` is between loads of REQUESTS requests to one deployment, ``between_sd`` between
    deployments beyond that.
    """

    own_sd: float
    between_sd: float


def noise(rows: Sequence[Sequence[float]]) -> Noise:
    """
    The noise in times per request (µs), a row for each deployment, all of one length from 2 on.

    The components of a one-way analysis of variance with random effects; what lies between
    deployments is none where the estimate would be negative.
    """
    logs = [[math.log(value) for value in row] for row in rows]
    own = statistics.fmean(statistics.variance(row) for row in logs)
    means = statistics.variance([statistics.fmean(row) for row in logs])
    return Noise(math.sqrt(own), math.sqrt(max(0.0, means - own / len(logs[0]))))


def requests_wanted(found: Noise) -> int:
    """
    The least requests, in steps, with which a trial's own noise is small; within bounds.
    """
    if found.between_sd == 0:
        return MOST_REQUESTS
    wanted = REQUESTS * (found.own_sd / found.between_sd) ** 2 / SMALL
    return min(MOST_REQUESTS, max(LEAST_REQUESTS, STEP * math.ceil(wanted / STEP)))


def requests_in_time(seconds_left: float, trials: int, other_s: float, request_s: float) -> int:
    """
    The most requests, in steps, with which so many trials end in time; never below the bound.

    ``other_s`` is what a trial takes beside its load, and ``request_s`` what a request takes.
    """
    most = (seconds_left / trials - other_s) / request_s
    return max(LEAST_REQUESTS, STEP * math.floor(most / STEP))


def common_rate_per_s(capacities_per_s: Sequence[float]) -> float:
    """
    A rate that every variant can bear, in whole requests per second.
    """
    return float(max(1, math.floor(COMMON_SHARE * min(capacities_per_s))))
