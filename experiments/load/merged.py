"""
Merging the loads of a trial into one: summed counts, one rate, quantiles over all requests.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from experiments.records.ab.report import AbReport
from experiments.records.trials import LoadResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PERCENTILES = (50, 66, 75, 80, 90, 95, 98, 99, 100)
"""The percentiles that ab prints."""

FAILURES = ("failed_connect", "failed_receive", "failed_length", "failed_exceptions")


def merged(loads: Sequence[LoadResult], times_ms: Sequence[Mapping[int, int]]) -> LoadResult:
    """
    The merged result of complete loads of one deployment at one concurrency.

    ``times_ms`` maps, for every load, times in whole milliseconds to numbers of requests. The rate
    is all completed requests divided by the total time, so its inverse is the mean time per
    request.
    """
    first = loads[0]
    completed = sum(load.requests_completed for load in loads)
    seconds = math.fsum(load.requests_completed / load.requests_per_second for load in loads)
    counts: Counter[int] = Counter()
    for each in times_ms:
        counts.update(each)
    longest_ms = max(load.latency_max_us for load in loads) / 1e3
    percentiles_ms = {
        percent: min(longest_ms, quantile_ms(counts, percent / 100)) for percent in PERCENTILES
    }
    of_all = sum(milliseconds * number for milliseconds, number in counts.items())
    return LoadResult(
        tool=first.tool,
        command=first.command,
        requests=sum(load.requests for load in loads),
        concurrency=first.concurrency,
        requests_completed=completed,
        requests_failed=sum(load.requests_failed for load in loads),
        requests_ok=sum(load.requests_ok for load in loads),
        responses_non_2xx=sum(load.responses_non_2xx for load in loads),
        duration_s=math.fsum(load.duration_s for load in loads),
        requests_per_second=completed / seconds,
        latency_mean_us=first.concurrency * seconds / completed * 1e6,
        latency_p50_us=percentiles_ms[50] * 1e3,
        latency_p90_us=percentiles_ms[90] * 1e3,
        latency_p99_us=percentiles_ms[99] * 1e3,
        latency_max_us=longest_ms * 1e3,
        sampled=sum(load.sampled for load in loads),
        sampled_bad=sum(load.sampled_bad for load in loads),
        details=AbReport(
            concurrency=first.concurrency,
            duration_s=math.fsum(load.duration_s for load in loads),
            requests_completed=completed,
            requests_failed=sum(load.requests_failed for load in loads),
            requests_per_second=completed / seconds,
            connection_times_ms={"total": {"mean": of_all / counts.total()}},
            percentiles_ms={percent: round(ms, 3) for percent, ms in percentiles_ms.items()},
            **{
                name: sum(getattr(load.details, name) for load in loads if load.details)
                for name in FAILURES
            },
        ),
    )


def quantile_ms(counts: Mapping[int, int], share: float) -> float:
    """
    A quantile of times rounded to whole milliseconds.

    The times within a millisecond are assumed to be uniform, as is usual for grouped data;
    otherwise every median would be a whole number.
    """
    wanted = share * sum(counts.values())
    passed = 0
    for milliseconds, number in sorted(counts.items()):
        if passed + number >= wanted:
            within = (wanted - passed) / number
            return max(0.0, milliseconds - 0.5 + within)
        passed += number
    return math.nan
