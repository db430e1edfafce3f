"""
How far the numbers of a run can be trusted: A/A, the least effect that it could see, other methods.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from analysis.comparisons import TRUST_CONFIDENCE
from analysis.estimates import loads_by_block
from analysis.formatting import count, percent, short_verdict, table
from analysis.intervals import t_interval
from analysis.simulation import EFFECTS, REPLICATES, SAID, performances, twins_of
from analysis.verdicts import blocks_needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.comparisons import Comparison
    from experiments.records import LoadResult, TrialRecord

INTRODUCTION = (
    "For each comparison: the interval by Student's t on the blocks' log-ratios and, beside it, by "
    "the bootstrap over blocks (BCa); the p-value of no difference, corrected for the number of "
    "comparisons (Holm); and the least difference that as many blocks with this spread would find "
    "in four of five runs, as the first of so many. A direction is given where the corrected p is "
    "below 0.05; *equivalent* is two one-sided tests at 5 % for each comparison."
)
NO_CONTROL = (
    "**No variant was measured twice in this run**, so it does not show what its instrument makes "
    "of no difference (A/A)."
)


def trust(compared: Sequence[Comparison], trials: Sequence[TrialRecord]) -> str:
    """
    A/A, one row for each comparison, and Little's law; empty without any comparison.
    """
    if not compared:
        return ""
    controls = [each for each in compared if each.control]
    parts = ["## How far these numbers can be trusted"]
    parts += [control(each) for each in controls] or [NO_CONTROL]
    headers = ["Comparison", "Student's t", "Bootstrap (BCa)", "p (Holm)", "Could see", "Verdict"]
    parts += [INTRODUCTION, table(headers, [_row(each) for each in compared])]
    parts += [words for each in controls for words in _other_ways(each, trials)]
    return "\n\n".join([*parts, *_little(trials)])


def control(each: Comparison) -> str:
    """
    What was seen between a thing and itself, in a sentence.
    """
    interval = each.trust_interval()
    names = f"{each.baseline} and {each.treatment}"
    if interval is None:
        return f"**A/A**: {names} are the same thing; fewer than two blocks have both."
    found = percent(interval.map(math.expm1))
    held = "holds no zero" if interval.excludes_zero else "holds zero, as it should"
    return (
        f"**A/A**: {names} are the same thing, deployed and measured as two. Their difference is "
        f"{found}; this interval of {TRUST_CONFIDENCE * 100:.0f} % {held}."
    )


def _row(each: Comparison) -> list[str]:
    name = f"{each.name} ({each.treatment} against {each.baseline})"
    judged = each.verdict
    if each.difference is None or judged.p_value is None or judged.detectable is None:
        return [name, "–", "–", "–", "–", short_verdict(judged)]
    bootstrapped = each.difference.bootstrapped
    other = "–" if bootstrapped.low is None else percent(bootstrapped)
    return [
        name,
        percent(each.difference.relative["us_per_request"]),
        f"{other} (disagrees)" if judged.methods_disagree else other,
        "< 0.001" if judged.p_value < 0.001 else f"{judged.p_value:.3f}",
        f"±{judged.detectable * 100:.1f} %" if judged.detectable < 1 else "not even a doubling",
        short_verdict(judged),
    ]


def _other_ways(twice: Comparison, trials: Sequence[TrialRecord]) -> list[str]:
    """
    What other protocols make of the trials of the A/A pair, and how long a narrow interval takes.
    """
    twins = twins_of(twice, trials)
    if twins is None or twice.difference is None:
        return []
    headers = [
        "Way to measure",
        "Minutes",
        "95 % of errors below",
        "Error bars that hold the truth",
    ]
    headers += ["False differences", *(f"Finds {effect * 100:g} %" for effect in EFFECTS)]
    rows = [
        [
            each.name,
            f"{each.minutes:.1f}",
            f"±{each.error * 100:.1f} %",
            "has none" if each.coverage is None else f"{each.coverage * 100:.1f} %",
            f"{each.false_verdicts * 100:.1f} %",
            *(f"{power * 100:.0f} %" for power in each.power.values()),
        ]
        for each in performances(twins)
    ]
    margin = twice.verdict.margin
    half = t_interval(twice.difference.log_ratios).half_width or 0.0
    blocks = blocks_needed(half, twice.difference.blocks, math.log1p(margin))
    minutes = blocks * 2 * twins.trial_s / 60
    words = (
        "**What other ways to measure would have said** of the same trials: those of the A/A pair, "
        "resampled by blocks, with an effect of known size added to one of the two "
        f"({REPLICATES} times each). Mean ± sd finds a difference where the two do not overlap, "
        f"one run of each where they differ by more than {SAID * 100:g} %; runs in a row are as "
        "far apart as the blocks that they are taken from. On this machine, two variants like "
        f"these need about {blocks} blocks, {minutes:.0f} minutes, for an interval of "
        f"±{margin * 100:g} %."
    )
    return [
        words,
        table(headers, rows),
    ]


def under_way(load: LoadResult) -> float | None:
    """
    Requests under way on average, by Little's law: rate times mean time in the system.

    None where the tool printed no mean of the requests' own times. ab rounds those to milliseconds.
    See Little, "A Proof for the Queuing Formula L = λW" (Operations Research 1961).
    """
    times = load.details.get("connection_times_ms", {}).get("total")
    return load.requests_per_second * times["mean"] / 1e3 if times else None


def _little(trials: Sequence[TrialRecord]) -> list[str]:
    loads = [load for block in loads_by_block(trials).values() for load in block.values()]
    shares = [found / load.concurrency for load in loads if (found := under_way(load)) is not None]
    if not shares:
        return []
    words = (
        "A check and no evidence: by Little's law the rate times the requests' own mean time is "
        f"the number that was under way. In the {count(len(shares), 'trial')} it came to "
        f"{min(shares) * 100:.1f} to {max(shares) * 100:.1f} % (median "
        f"{statistics.median(shares) * 100:.1f} %) of the concurrency that was asked for; what "
        "lacks is the begin and the end of a load, when fewer are under way."
    )
    return [words]
