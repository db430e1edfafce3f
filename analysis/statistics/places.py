"""
Place effect: the cost of an early place in the start order of a block's part, and its correction.

On some machines, a deployment that is brought up earlier stays slower for its whole life: the first
ones by some per cent, later ones by little. Variants rotate through the places over the blocks, so
the effect can be separated from theirs. It is estimated by least squares, as proportional to the
logarithm of the place, with a term for each part of a block and for each variant, and subtracted.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy
from msgspec.structs import replace

from analysis.statistics.intervals import CONFIDENCE, Interval
from experiments.records.trials import OK, are_good

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from experiments.records.trials import LoadResult, TrialRecord

LEAST_BLOCKS = 3
"""With fewer blocks, the effect of the place cannot be separated from the variant's."""

SINGLE_PLACES = 4
RANGES = 3
"""The table by place shows ``SINGLE_PLACES`` places one by one and later ones in ``RANGES``."""

NOTHING = 1e-9
"""Smaller eigenvalues of the normal equations count as zero; the equations are sums of counts."""

UNKNOWN = Interval(0.0, None, None)

Row = tuple[int, int, str, int, float]
"""Block, part, variant, place, and the logarithm of the time per request (µs) of a trial."""


@dataclass(frozen=True)
class _Moments:
    """
    Normal equations of each block, within its parts (the means of a part are subtracted).

    Columns are the variants, then the groups of places. ``squares`` has the shape (blocks, columns,
    columns) and ``products`` (blocks, columns). ``total`` is the sum of squares of the logarithms;
    ``spare`` is the number of trials less the number of parts.
    """

    blocks: list[int]
    variants: int
    squares: NDArray[np.float64]
    products: NDArray[np.float64]
    total: float
    spare: int

    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        The normal equations of all blocks together: ``squares`` and ``products``.
        """
        return self.squares.sum(axis=0), self.products.sum(axis=0)


@dataclass(frozen=True)
class _Solution:
    """
    Effects of the groups of places, and their covariance divided by the residual variance.

    ``explained`` is the sum of squares that variants and places explain. ``variants_rank`` and
    ``places_rank`` are the numbers of their terms that can be estimated.
    """

    effects: NDArray[np.float64]
    covariance: NDArray[np.float64]
    explained: float
    variants_rank: int
    places_rank: int


def place_term(trials: Sequence[TrialRecord]) -> Interval:
    """
    The log-ratio of the time per request when the place of a trial doubles.

    Negative where later deployments are faster; zero without limits where it cannot be estimated.
    """
    moments = _moments(_rows(trials), [math.log2])
    if len(moments.blocks) < LEAST_BLOCKS:
        return UNKNOWN
    solution = _solve(moments.variants, *moments.sums())
    if solution.places_rank < 1:
        return UNKNOWN
    return _interval(moments, solution, np.ones(1))


def by_place(trials: Sequence[TrialRecord]) -> list[tuple[str, Interval, int]]:
    """
    For each place, or range of later places: its name, relative effect and number of trials.

    The effect is relative to the mean of all places, with variants and parts of blocks as factors.
    Empty where it cannot be estimated.
    """
    rows = _rows(trials)
    groups = _groups(max((row[3] for row in rows), default=0))
    counts = [sum(row[3] in group for row in rows) for group in groups]
    groups = [group for group, size in zip(groups, counts, strict=True) if size]
    sizes = np.array([size for size in counts if size], dtype=np.float64)
    moments = _moments(rows, [group.__contains__ for group in groups])
    if len(moments.blocks) < LEAST_BLOCKS or len(groups) < 2:
        return []
    solution = _solve(moments.variants, *moments.sums())
    # Within a part the groups add up to a constant, so one group is not free.
    if solution.places_rank < len(groups) - 1:
        return []
    against_all = np.eye(len(groups)) - sizes / sizes.sum()
    return [
        (
            str(group[0]) if len(group) == 1 else f"{group[0]}–{group[-1]}",
            _interval(moments, solution, contrast).map(math.expm1),
            int(size),
        )
        for group, contrast, size in zip(groups, against_all, sizes, strict=True)
    ]


def at_equal_place(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """
    The trials with their times corrected to the mean place of their part.

    The correction covers the times per request, the rates and the mean latencies of all loads;
    quantiles stay as measured. Each block is corrected by the effect in the other blocks: an
    estimate that includes the block would fit its noise and make intervals too narrow. If the
    effect cannot be estimated for some block, all trials stay as measured.
    """
    effects = _effects_without(_rows(trials))
    if not effects:
        return list(trials)
    places: dict[tuple[int, int], list[float]] = defaultdict(list)
    for trial in trials:
        if trial.block in effects:
            places[trial.block, trial.part].append(math.log2(trial.position))
    means = {part: statistics.fmean(logs) for part, logs in places.items()}
    return [
        _without(
            trial,
            math.exp(
                -effects[trial.block] * (math.log2(trial.position) - means[trial.block, trial.part])
            ),
        )
        if trial.block in effects
        else trial
        for trial in trials
    ]


def _without(trial: TrialRecord, factor: float) -> TrialRecord:
    return replace(
        trial,
        load=_scaled(trial.load, factor),
        at_once=_scaled(trial.at_once, factor),
        loads=[replace(load, us_per_request=load.us_per_request * factor) for load in trial.loads],
    )


def _scaled(load: LoadResult | None, factor: float) -> LoadResult | None:
    if load is None:
        return None
    return replace(
        load,
        duration_s=load.duration_s * factor,
        requests_per_second=load.requests_per_second / factor,
        latency_mean_us=load.latency_mean_us * factor,
    )


def _rows(trials: Sequence[TrialRecord]) -> tuple[Row, ...]:
    """
    The good trials with good answers; errors are quick, and would bias the effect.
    """
    return tuple(
        (trial.block, trial.part, trial.variant, trial.position, _log_us(trial, trial.load))
        for trial in trials
        if trial.status == OK
        and trial.load is not None
        and are_good(trial.load.requests_ok, trial.load.requests)
    )


def _log_us(trial: TrialRecord, load: LoadResult) -> float:
    if trial.loads:
        return statistics.fmean([math.log(each.us_per_request) for each in trial.loads])
    return math.log(1e6 / load.requests_per_second)


def _groups(places: int) -> list[range]:
    """
    The first places one by one, then ranges of about equal size.
    """
    single = [range(place, place + 1) for place in range(1, min(places, SINGLE_PLACES) + 1)]
    later = places - SINGLE_PLACES
    if later < 1:
        return single
    count = min(RANGES, max(1, later // 2))
    edges = [SINGLE_PLACES + 1 + later * at // count for at in range(count + 1)]
    return [*single, *(range(*pair) for pair in pairwise(edges))]


@lru_cache(maxsize=16)
def _effects_without(rows: tuple[Row, ...]) -> dict[int, float]:
    """
    For each block, the effect of the place in all other blocks; empty if any cannot be estimated.
    """
    moments = _moments(rows, [math.log2])
    if len(moments.blocks) < LEAST_BLOCKS:
        return {}
    effects = {}
    squares, products = moments.sums()
    for index, block in enumerate(moments.blocks):
        solution = _solve(
            moments.variants, squares - moments.squares[index], products - moments.products[index]
        )
        if solution.places_rank < 1:
            return {}
        effects[block] = float(solution.effects[0])
    return effects


def _moments(rows: Sequence[Row], groups: Sequence[Callable[[int], float]]) -> _Moments:
    names = {name: index for index, name in enumerate(dict.fromkeys(row[2] for row in rows))}
    blocks = {block: at for at, block in enumerate(sorted({row[0] for row in rows}))}
    parts: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        parts.setdefault(row[:2], []).append(row)
    columns = len(names) + len(groups)
    squares = np.zeros((len(blocks), columns, columns))
    products = np.zeros((len(blocks), columns))
    total = 0.0
    for (block, _), part in parts.items():
        design = np.zeros((len(part), columns))
        for index, (_, _, variant, place, _) in enumerate(part):
            design[index, names[variant]] = 1
            design[index, len(names) :] = [group(place) for group in groups]
        logs = np.array([row[4] for row in part])
        design -= design.mean(axis=0)
        logs -= logs.mean()
        squares[blocks[block]] += design.T @ design
        products[blocks[block]] += design.T @ logs
        total += float(logs @ logs)
    return _Moments(list(blocks), len(names), squares, products, total, len(rows) - len(parts))


def _solve(count: int, squares: NDArray[np.float64], products: NDArray[np.float64]) -> _Solution:
    """
    Least squares by normal equations; their first ``count`` columns, the variants, are eliminated.
    """
    variants, variants_rank = _inverse(squares[:count, :count])
    beside = squares[count:, :count]
    places, places_rank = _inverse(squares[count:, count:] - beside @ variants @ beside.T)
    rest = products[count:] - beside @ variants @ products[:count]
    return _Solution(
        effects=places @ rest,
        covariance=places,
        explained=float(products[:count] @ variants @ products[:count] + rest @ places @ rest),
        variants_rank=variants_rank,
        places_rank=places_rank,
    )


def _inverse(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """
    The pseudo-inverse of a symmetric matrix, and its rank.
    """
    values, vectors = np.linalg.eigh(matrix)
    kept = values > NOTHING
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T, int(kept.sum())


def _interval(moments: _Moments, solution: _Solution, contrast: NDArray[np.float64]) -> Interval:
    estimate = float(contrast @ solution.effects)
    degrees = moments.spare - solution.variants_rank - solution.places_rank
    if degrees < 1:
        return Interval(estimate, None, None)
    variance = max(0.0, moments.total - solution.explained) / degrees
    error = math.sqrt(variance * float(contrast @ solution.covariance @ contrast))
    half = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, degrees)) * error
    return Interval(estimate, estimate - half, estimate + half)
