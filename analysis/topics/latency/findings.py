"""
Open-loop latency: quantiles of the requests of loads by schedule, from their logs.

Latency counts from the intended start (corrected for coordinated omission) and, separately, from
the actual send (uncorrected), as in a closed loop. A failed request, without a good answer, counts
as slower than all others, so a quantile may be infinite. Without failed requests, a stack would
look faster the more slow answers it drops; with their own times, a refusal would pass for a quick
answer.

A quantile is the smallest latency that at least this share of the requests does not exceed (inverse
of the empirical distribution function; definition 1 of Hyndman and Fan, "Sample Quantiles in
Statistical Packages", The American Statistician 1996). It is always a measured latency.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.statistics.intervals import BOOTSTRAP_SEED, CONFIDENCE, Interval, t_interval
from experiments.errors import ResultsError
from experiments.records.folder import opened
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.records.manifest import Manifest
    from experiments.records.trials import OpenLoad, TrialRecord

QUANTILES = {"p50": 500, "p90": 900, "p99": 990, "p99.9": 999}
"""The estimated quantiles by name, in thousandths of the requests."""

UNCORRECTED = ("p99",)
COMPARED = ("p50", "p99")

LEAST_BEYOND = 10
"""
The minimum number of requests beyond a quantile; with fewer, it is not estimated.

The number of requests beyond the true quantile is binomial: at an expectation of ten, its standard
deviation is a third of that.
"""

LEAST_TRIALS = 5
"""With fewer trials, a bootstrap interval is much too narrow."""

RESAMPLES = 1999

CURVE_POINTS = 80
"""Points of a curve; more would not be visible."""

OVERLOAD_SHARE = 0.98
"""Below this share of the requested rate, the queue grows, and latency only shows for how long."""

FAILED_US = int(np.iinfo(np.int64).max)
"""The latency of a failed request: above all others."""

HEADER = "intended_us,sent_us,done_us,status,good"
"""The first line of a log; times count from the load's start, status 0 is no whole answer."""

OLD_HEADER = HEADER.removesuffix(",good")
"""The first line of a log of a client that looked at no body; 2xx was good."""

ROWS_AT_ONCE = 1_000_000

LATEST_US = 2**53
"""No time in a log is later."""


@dataclass(frozen=True)
class RequestLog:
    """
    The requests of one load: sorted latencies in microseconds, FAILED_US for failed requests.

    ``achieved_share`` is the rate of whole answers relative to the rate of intended starts: the
    share of answered requests, times the span of the schedule over the span from first to last
    answer, at most 1. The rate of intended starts comes from the schedule itself: with few random
    gaps it is off the nominal rate by more than the shortfall that is looked for.
    """

    corrected_us: NDArray[np.int64]
    uncorrected_us: NDArray[np.int64]
    failed: int
    achieved_share: float


@dataclass(frozen=True)
class Quantile:
    """
    One quantile of one variant, in microseconds; None with too few requests.

    If every trial has enough requests beyond it, it is the geometric mean over trials, with
    Student's t interval of the logarithms. Otherwise it is ``pooled``: the quantile of all requests
    of all trials, with the interval of a bootstrap that draws whole trials, because requests of one
    trial are not replicates (Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
    section 3.8). It is infinite if it lies among failed requests.
    """

    latency_us: Interval | None
    pooled: bool = False


@dataclass(frozen=True)
class Cell:
    """
    One variant at one level of load, over its trials.

    ``asked_per_s`` is the mean requested rate over trials, ``achieved_share`` the median. An
    overloaded variant has no quantiles and no curve. ``by_part`` has the corrected quantiles of
    each trial with enough requests, by block and part. ``curve_us`` has pairs of a share of
    requests and the latency that this share exceeds.
    """

    variant: str
    asked_per_s: float
    achieved_share: float
    trials: int
    requests: int
    failed: int
    corrected: dict[str, Quantile]
    uncorrected: dict[str, Quantile]
    by_part: dict[tuple[int, int], dict[str, float]]
    curve_us: list[tuple[float, float]]

    @property
    def overloaded(self) -> bool:
        """
        Whether the stack did not keep up with the requested rate.
        """
        return self.achieved_share < OVERLOAD_SHARE


@dataclass(frozen=True)
class Level:
    """
    All variants at one ``fraction`` of their capacity, or at the common rate (None).
    """

    fraction: float | None
    cells: list[Cell]


@dataclass(frozen=True)
class LatencyDifference:
    """
    The difference in latency at the common rate, treatment to baseline, paired within blocks.

    ``relative`` maps each of COMPARED to the relative difference from the mean log-ratio, or to
    None if trials have too few requests or the quantile lies among failed requests. It is empty if
    ``overloaded`` names a variant, or if no block has both arms.
    """

    name: str
    baseline: str
    treatment: str
    blocks: int
    relative: dict[str, Interval | None]
    overloaded: list[str]


@dataclass(frozen=True)
class Latencies:
    """
    The latencies of a run, from its request logs.
    """

    levels: list[Level]
    differences: list[LatencyDifference]


def latencies(manifest: Manifest, trials: Sequence[TrialRecord], run: Path) -> Latencies:
    """
    Read the logs below the run's folder, one variant and level at a time.

    Raises ResultsError for a log that is missing or broken.
    """
    fractions: list[float | None] = [*manifest.open_fractions]
    if manifest.common_rate_per_s is not None:
        fractions.append(None)
    names = [each.name for each in manifest.variants]
    levels = []
    for fraction in fractions:
        cells = [_cell(name, fraction, trials, run) for name in names]
        levels.append(Level(fraction, [cell for cell in cells if cell is not None]))
    common = {
        cell.variant: cell for level in levels if level.fraction is None for cell in level.cells
    }
    differences = [
        _difference(pair.name, common[pair.baseline], common[pair.treatment])
        for pair in manifest.comparisons
        if pair.baseline in common and pair.treatment in common
    ]
    return Latencies(levels, differences)


def read_log(run: Path, name: str) -> RequestLog:
    """
    Read the request log of one load, which is a file of the run.

    Raises ResultsError for a log that is missing, empty or broken.
    """
    parts = []
    failed = completed = 0
    intended_us, done_us = _Span(), _Span()
    try:
        with (
            io.TextIOWrapper(opened(run, name), encoding="ascii") as file,
            warnings.catch_warnings(),
        ):
            # numpy warns about an empty last chunk, which is normal.
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            warnings.filterwarnings("error", "Input line")
            header = next(file, "").rstrip("\n")
            if header not in {HEADER, OLD_HEADER}:
                msg = f"it does not begin with {HEADER}"
                raise ValueError(msg)  # noqa: TRY301 - reported below, with the file's name
            while True:
                rows = np.loadtxt(
                    file, dtype=np.int64, delimiter=",", ndmin=2, max_rows=ROWS_AT_ONCE
                )
                if not rows.size:
                    break
                if rows.shape[1] != len(header.split(",")):
                    msg = f"its requests have {rows.shape[1]} numbers, but it begins with {header}"
                    raise ValueError(msg)  # noqa: TRY301 - as above
                intended, sent, done, status, *good = rows.T
                odd = (intended < 0) | (sent < intended) | (done < sent) | (done > LATEST_US)
                if odd.any():
                    msg = "it has a request that ended before it was sent, or was sent too early"
                    raise ValueError(msg)  # noqa: TRY301 - as above
                bad = good[0] == 0 if good else (status < 200) | (status >= 300)
                parts.append(
                    (
                        np.where(bad, FAILED_US, done - intended),
                        np.where(bad, FAILED_US, done - sent),
                    )
                )
                failed += int(bad.sum())
                completed += int((status > 0).sum())
                intended_us.widen(intended)
                done_us.widen(done[status > 0])
    except (OSError, ValueError, UserWarning) as error:
        msg = f"{run / name} is not a log of requests: {error}"
        raise ResultsError(msg) from error
    if not parts:
        msg = f"{run / name} has no request in it"
        raise ResultsError(msg)
    corrected_us, uncorrected_us = (np.concatenate(part) for part in zip(*parts, strict=True))
    share = completed / len(corrected_us)
    if 0 < intended_us.length < done_us.length:
        share *= intended_us.length / done_us.length
    corrected_us.sort()
    uncorrected_us.sort()
    return RequestLog(corrected_us, uncorrected_us, failed, share)


class _Span:
    """
    The range from the smallest to the largest value seen.
    """

    def __init__(self) -> None:
        self._least: int | None = None
        self._greatest = 0

    def widen(self, values: NDArray[np.int64]) -> None:
        if values.size:
            least, greatest = int(values.min()), int(values.max())
            self._greatest = greatest if self._least is None else max(self._greatest, greatest)
            self._least = least if self._least is None else min(self._least, least)

    @property
    def length(self) -> int:
        return 0 if self._least is None else self._greatest - self._least


def _cell(
    variant: str, fraction: float | None, trials: Sequence[TrialRecord], run: Path
) -> Cell | None:
    loads: list[tuple[tuple[int, int], OpenLoad]] = [
        ((trial.block, trial.part), load)
        for trial in trials
        if trial.variant == variant and trial.status == OK
        for load in trial.open_loads
        if load.fraction == fraction
    ]
    if not loads:
        return None
    logs = [read_log(run, load.log) for _, load in loads]
    shares = [log.achieved_share for log in logs]
    overloaded = float(np.median(shares)) < OVERLOAD_SHARE
    corrected = [log.corrected_us for log in logs]
    uncorrected = [log.uncorrected_us for log in logs]
    return Cell(
        variant=variant,
        asked_per_s=math.fsum(load.rate_per_s for _, load in loads) / len(loads),
        achieved_share=float(np.median(shares)),
        trials=len(loads),
        requests=sum(map(len, corrected)),
        failed=sum(log.failed for log in logs),
        corrected={} if overloaded else {name: over_trials(corrected, name) for name in QUANTILES},
        uncorrected=(
            {} if overloaded else {name: over_trials(uncorrected, name) for name in UNCORRECTED}
        ),
        by_part={
            part: {
                name: quantile_us(values, name) for name in COMPARED if supports(len(values), name)
            }
            for (part, _), values in zip(loads, corrected, strict=True)
        },
        curve_us=[] if overloaded else _curve(np.sort(np.concatenate(corrected))),
    )


def _curve(rising_us: NDArray[np.int64]) -> list[tuple[float, float]]:
    """
    The curve of a Cell, with at least LEAST_BEYOND requests at either end.

    Failed requests are slower than any latency, so the curve ends before them.
    """
    requests = len(rising_us)
    if requests < 2 * LEAST_BEYOND:
        return []
    # Equally dense at the quick and the slow end.
    slowest = np.geomspace(LEAST_BEYOND, requests / 2, CURVE_POINTS // 2).round().astype(int)
    past = np.union1d(slowest, requests - slowest)
    latencies_us = rising_us[requests - 1 - past]
    return [
        (int(slower) / requests, float(latency_us))
        for slower, latency_us in zip(past, latencies_us, strict=True)
        if latency_us != FAILED_US
    ]


def beyond(requests: int, name: str) -> int:
    """
    The number of requests that are slower than the quantile.
    """
    return requests * (1000 - QUANTILES[name]) // 1000


def supports(requests: int, name: str) -> bool:
    """
    Whether enough requests lie beyond the quantile to estimate it.
    """
    return beyond(requests, name) >= LEAST_BEYOND


def quantile_us(rising_us: NDArray[np.int64], name: str) -> float:
    """
    One quantile of a trial's sorted latencies; infinite if it lies among failed requests.
    """
    return _as_float(rising_us[len(rising_us) - 1 - beyond(len(rising_us), name)])


def _as_float(latency_us: np.int64) -> float:
    return math.inf if latency_us == FAILED_US else float(latency_us)


def over_trials(trials: Sequence[NDArray[np.int64]], name: str) -> Quantile:
    """
    One quantile over trials, each given as sorted latencies; see Quantile.
    """
    if supports(min(map(len, trials)), name):
        return Quantile(_geometric_mean([quantile_us(values, name) for values in trials]))
    if supports(sum(map(len, trials)), name):
        return Quantile(_of_pool(trials, name), pooled=True)
    return Quantile(None)


def _geometric_mean(values_us: Sequence[float]) -> Interval:
    if math.inf in values_us:
        return Interval(math.inf, None, None)
    # The clock's resolution is 1 µs, so 0 stands for less than 1.
    return t_interval([math.log(max(value, 1.0)) for value in values_us]).map(math.exp)


def _of_pool(trials: Sequence[NDArray[np.int64]], name: str) -> Interval:
    """
    The quantile of all requests, with the percentile interval of a bootstrap of whole trials.

    A resample counts each request as often as its trial is drawn, so it is enough to sort the
    slowest requests once, as deep as the resamples need.
    """
    sizes = np.array([len(values) for values in trials])
    pool = np.concatenate(trials)
    owner = np.repeat(np.arange(len(trials), dtype=np.int32), sizes)
    depth = min(len(pool), 4 * beyond(len(pool), name) + 1)
    slowest = _slowest(pool, depth)
    estimate = _as_float(pool[slowest[beyond(len(pool), name)]])
    if len(trials) < LEAST_TRIALS:
        return Interval(estimate, None, None)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    resampled = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(
            generator.integers(len(trials), size=len(trials)), minlength=len(trials)
        )
        past = beyond(int(drawn @ sizes), name)
        counted = np.cumsum(drawn[owner[slowest]])
        while counted[-1] <= past:
            depth = min(len(pool), 2 * depth)
            slowest = _slowest(pool, depth)
            counted = np.cumsum(drawn[owner[slowest]])
        resampled.append(_as_float(pool[slowest[np.searchsorted(counted, past, side="right")]]))
    tail = (1 - CONFIDENCE) / 2
    # Interpolation fails between a number and infinity.
    low, high = np.quantile(resampled, [tail, 1 - tail], method="inverted_cdf")
    return Interval(estimate, float(low), float(high))


def _slowest(pool: NDArray[np.int64], depth: int) -> NDArray[np.intp]:
    """
    The indices of the ``depth`` slowest requests, the slowest first.
    """
    indices = np.argpartition(pool, len(pool) - depth)[len(pool) - depth :]
    return indices[np.argsort(-pool[indices], kind="stable")]


def _difference(name: str, baseline: Cell, treatment: Cell) -> LatencyDifference:
    both = [
        (quantiles, treatment.by_part[part])
        for part, quantiles in sorted(baseline.by_part.items())
        if part in treatment.by_part
    ]
    overloaded = [cell.variant for cell in (baseline, treatment) if cell.overloaded]
    relative: dict[str, Interval | None] = {}
    if both and not overloaded:
        for quantile in COMPARED:
            pairs = [
                (before[quantile], after[quantile])
                for before, after in both
                if quantile in before and quantile in after
            ]
            relative[quantile] = _relative(pairs) if len(pairs) == len(both) else None
    return LatencyDifference(
        name, baseline.variant, treatment.variant, len(both), relative, overloaded
    )


def _relative(pairs: Sequence[tuple[float, float]]) -> Interval | None:
    if any(math.inf in pair for pair in pairs):
        return None
    logs = [math.log(max(after, 1.0) / max(before, 1.0)) for before, after in pairs]
    return t_interval(logs).map(math.expm1)
