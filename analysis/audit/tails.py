"""
What the tail of the latencies may be: one stall, several slow requests or phases, or neither.

All is inference from what is printed: sorted times at some places, their mean and deviation, the
duration and the concurrency. A hypothesis fits if there are times that have the printed numbers and
for which it is true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING

from analysis.audit.order_statistics import Levels
from analysis.audit.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.audit.versions import Version
    from experiments.records.ab.numbers import Printed
    from experiments.records.ab.output import AbOutput

SKEWED = 1.2
"""Ratio of mean to median above which there is a tail."""

APART = 1.5
"""Ratio of neighbouring known times above which the upper ones are a class of slow requests."""

FAR, CARRY = 5, 0.1
"""
Times of the median, and share of all times, of slow requests that a mean near the median hides.
"""

LEFT = 0.25
"""Share of the tail that the rest may have where slow requests explain it."""

DECIDED = 0.5
"""Share of the tail that requests known to be slow must carry, or a broad distribution fits too."""


class Reading(Enum):
    """
    What the tail is, if the numbers decide it.

    STALL is a moment at which all slow requests were under way. SEVERAL is anything but one such
    moment: slow requests now and then, several pauses, or a slow phase. BOTH is either of these.
    OPEN is that, or a broad distribution. BROAD has no class of slow requests that explains the
    tail. CONNECTING is a tail of any of these kinds before the requests were sent.
    """

    SINGLE = "single"
    STALL = "stall"
    SEVERAL = "several"
    BOTH = "both"
    OPEN = "open"
    BROAD = "broad"
    CONNECTING = "connecting"


@dataclass(frozen=True)
class Fits:
    """
    Whether one stall, several slow requests or phases, and a broad distribution fit.
    """

    stall: bool = False
    several: bool = False
    broad: bool = True


@dataclass(frozen=True)
class Slow:
    """
    The class of slow requests: those of at least ``from_ms``, and how many they may be.

    ``sure`` of them are known to be slower than ``sure_ms``.
    """

    from_ms: float
    sure_ms: float
    sure: int
    most: int

    @property
    def each_ms(self) -> float:
        """
        What each of them took at least.
        """
        return self.sure_ms if self.sure == self.most else self.from_ms


@dataclass(frozen=True)
class Times:
    """
    What an output says of its requests' times, all in ms.

    ``squares`` is the greatest mean of their squares, ``run`` the longest that the run took.
    """

    levels: Levels
    median: Range
    mean: Range
    squares: float
    run: float
    concurrency: int

    @property
    def skewed(self) -> bool:
        """
        Whether the mean is above the median, however both were rounded.
        """
        return self.mean.low > SKEWED * self.median.high

    @property
    def fast(self) -> int | None:
        """
        How many requests surely took less than half of the median, if the mean is far below it.

        The slower half takes at least its least times, and of the faster half each request that is
        not faster than half of the median takes that much of the rest.
        """
        if self.median.low <= SKEWED * self.mean.high:
            return None
        half, requests = self.median.low / 2, self.levels.requests
        below = requests // 2
        rest = requests * self.mean.high - self.levels.least(below, requests)
        return max(0, below - math.floor(rest / half))

    def hides(self, slow: Slow) -> bool:
        """
        Whether mean and median hide them, though a percentile shows them or they are much.
        """
        far = slow.sure_ms >= FAR * self.median.high
        return far and (slow.sure > 1 or self.carried(slow) >= CARRY)

    @property
    def above_median(self) -> tuple[float, float]:
        """
        The least and the greatest part of the mean that is above the median.
        """
        least = 1 - self.median.high / self.mean.low if self.mean.low else 0.0
        return max(0.0, least), max(0.0, 1 - self.median.low / self.mean.high)

    def excess(self, slow: Slow) -> float:
        """
        The least sum of what the slow requests take beyond the median.
        """
        requests = self.levels.requests
        least = self.levels.least(requests - slow.sure, requests)
        return max(0.0, least - slow.sure * self.median.high)

    def carried(self, slow: Slow) -> float:
        """
        The least part of all times that is such excess.
        """
        return self.excess(slow) / (self.levels.requests * self.mean.high)

    def slow(self) -> Slow | None:
        """
        The slow requests: those above the widest gap between neighbouring known times.

        There are none if no gap is wider than ``APART``, or if the times above it are further apart
        than it is wide, as in a distribution that is broad by itself. Slow is what is above the
        gap's lower end, and at least half as long as its upper end. Of n sorted times, those from
        the place of the upper end on are slow, and those up to the place of the lower end are not.
        Between these limits, there are at most as many as the sum of all times, n · mean, and the
        sum of their squares, (n - 1) · sd² + n · mean², have room for.
        """
        requests = self.levels.requests
        known = [(place, time) for place, time in self.levels.known if place >= requests // 2]
        gaps = [
            (above.low / max(below.high, 0.5), before, below, place, above)
            for (before, below), (place, above) in pairwise(known)
        ]
        if not gaps:
            return None
        width, before, below, place, above = max(gaps, key=lambda gap: gap[0])
        if width < APART or width < known[-1][1].high / above.low:
            return None
        from_ms = max(below.high, above.low / 2)
        sure = requests - place
        most = _last(sure, requests - 1 - before, lambda count: self._has_room(count, from_ms))
        return Slow(from_ms, above.low, sure, most)

    def fits(self, slow: Slow | None) -> Fits:
        """
        Which explanations fit.

        One stall delays each connection's request once, so it explains at most as many slow
        requests as there are connections. Several are at least two, and not all under way at once:
        requests that each last longer than half of the run all are under way at its middle. A broad
        distribution fits unless the requests that are known to be slow carry most of the tail,
        n · (mean - median).
        """
        if slow is None or not self._explains(slow.sure, slow.most):
            return Fits()
        tail = self.levels.requests * (self.mean.high - self.median.low)
        return Fits(
            stall=self._explains(slow.sure, min(slow.most, self.concurrency)),
            several=slow.most > 1 and slow.sure_ms <= self.run / 2,
            broad=self.excess(slow) < DECIDED * tail,
        )

    def reading(self, slow: Slow | None) -> Reading:
        """
        What these explanations decide.
        """
        fits = self.fits(slow)
        if slow is not None and slow.most == 1 and self.carried(slow) >= CARRY:
            return Reading.SINGLE
        if not (fits.stall or fits.several):
            return Reading.BROAD
        if fits.broad:
            return Reading.OPEN
        if fits.stall and fits.several:
            return Reading.BOTH
        return Reading.STALL if fits.stall else Reading.SEVERAL

    def _has_room(self, slow: int, from_ms: float) -> bool:
        """
        Whether the sums of the times and of their squares allow so many slow requests.
        """
        requests, levels = self.levels.requests, self.levels
        first = requests - slow

        def least(of: Callable[[float], float]) -> float:
            slowest = levels.least(first, requests, lambda time: of(max(time, from_ms)))
            return levels.least(0, first, of) + slowest

        return (
            least(float) <= requests * self.mean.high
            and least(lambda time: time * time) <= requests * self.squares
        )

    def _explains(self, fewest: int, most: int) -> bool:
        """
        Whether the rest may be without a tail if so many of the slowest requests are left out.

        The rest's mean is at least that of its least times, and at least what the slowest requests
        at their most leave of the sum. The first rises or falls steadily with the requests that are
        left out of those above the gap, the second falls, so that the ends decide.
        """
        requests, levels = self.levels.requests, self.levels
        tail = self.mean.low - self.median.high
        limit = max(SKEWED * self.median.high, self.median.high + LEFT * tail)

        def left(slow: int) -> float:
            whole = requests * self.mean.low - levels.most(requests - slow, requests)
            return whole - limit * (requests - slow)

        enough = 1 + _last(fewest - 1, most, lambda slow: slow < fewest or left(slow) > 0)
        return enough <= most and any(
            levels.least(0, requests - slow) <= limit * (requests - slow) for slow in (enough, most)
        )


def _last(first: int, last: int, holds: Callable[[int], bool]) -> int:
    """
    The last number up to which it holds, which it does for the first.
    """
    while first < last:
        middle = (first + last + 1) // 2
        first, last = (middle, last) if holds(middle) else (first, middle - 1)
    return first


def times_of(output: AbOutput, version: Version) -> Times | None:
    """
    The times in an output as measured; None without requests, concurrency or a median.

    The mean is that of the line "Total", and at most concurrency × time / requests, because each
    connection makes one request at a time.
    """
    requests, concurrency = output.requests_completed, output.concurrency
    median = output.time_ms("total", "median")
    line = output.percentiles_ms.get(50) or median
    if not requests or not concurrency or line is None:
        return None
    known = {
        min(version.index(requests, percent), requests - 1): version.request.range(time)
        for percent, time in output.percentiles_ms.items()
        if percent < 100
    }
    if median is not None:
        # Of an odd number it is the mean of this request and the next.
        known.setdefault(requests // 2, Range(0, version.request.range(median).high))
    if (least := output.time_ms("total", "min")) is not None:
        known.setdefault(0, version.request.range(least))
    longest = output.percentiles_ms.get(100) or output.time_ms("total", "max")
    if longest is not None:
        known[requests - 1] = version.request.range(longest)
    levels = Levels(requests, sorted(known.items()))
    run = math.inf if output.duration_s is None else 1e3 * Range.of(output.duration_s).high
    mean = Range(levels.least(0, requests) / requests, concurrency * run / requests)
    if (printed := total_mean(output, version)) is not None:
        of_line = version.mean.range(printed)
        mean = Range(max(mean.low, of_line.low), max(of_line.low, min(mean.high, of_line.high)))
    return Times(
        levels,
        version.request.range(line),
        mean,
        _squares(output, version, mean, requests),
        run,
        concurrency,
    )


def total_mean(output: AbOutput, version: Version) -> Printed | None:
    """
    The mean of the line "Total", where the version prints one.
    """
    has_deviation = output.time_ms("total", "sd") is not None
    return output.time_ms("total", "mean") if has_deviation or version.averages else None


def slow_to_connect(
    output: AbOutput, version: Version, slow: Slow
) -> tuple[Printed, Printed] | None:
    """
    The longest times to connect and of processing, if each slow request mostly connected.

    A total time is the sum of both (output_results), so no slow one is without the rest of it.
    Without deviations (-S), ab before 2.4.7 prints other rows.
    """
    if output.time_ms("processing", "sd") is None:
        return None
    connect, processing = (output.time_ms(row, "max") for row in ("connect", "processing"))
    if connect is None or processing is None:
        return None
    mostly = 2 * version.request.range(processing).high <= slow.from_ms
    return (connect, processing) if mostly else None


def _squares(output: AbOutput, version: Version, mean: Range, requests: int) -> float:
    """
    The greatest mean of the squares: ab prints the root of the sample variance.

    Times that are cut to milliseconds differ from theirs by a deviation of at most one half; ab
    before 2.0.17 computes with whole numbers, which overflow.
    """
    sd = output.time_ms("total", "sd")
    if sd is None or version.request.below == 1:
        return math.inf
    greatest = sd.value + sd.half_unit + (0 if version.request.below else 1)
    return greatest**2 * (requests - 1) / requests + mean.high**2
