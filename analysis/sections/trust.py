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
from analysis.simulation import EFFECTS, REPLICATES, SAID, WANTED, performances, twins_of
from analysis.speed import slower_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.comparisons import Comparison
    from analysis.speed import EqualSpeed
    from experiments.records import LoadResult, TrialRecord

INTRODUCTION = (
    "For each comparison: the interval by Student's t on the blocks' log-ratios and, beside it, by "
    "the bootstrap over blocks (BCa); the p-value of no difference, corrected for the number of "
    "comparisons (Holm); and the least difference that as many blocks with this spread would find "
    "in four of five runs, as the first of so many. A direction is given where the corrected p is "
    "below 0.05; *equivalent* is two one-sided tests at 5 % for each comparison."
)
WIDE = 0.1
"""An interval whose half-width is more than this shows no more than gross faults."""

NO_CONTROL = (
    "**No variant was measured twice in this run**, so it does not show what its instrument makes "
    "of no difference (A/A)."
)


def trust(
    compared: Sequence[Comparison],
    levelled: Sequence[Comparison],
    trials: Sequence[TrialRecord],
    level: EqualSpeed,
) -> str:
    """
    A/A, one row for each comparison, and Little's law; empty without any comparison.

    ``levelled`` are the same comparisons of the trials of ``level``.
    """
    if not compared:
        return ""
    controls = [each for each in compared if each.control]
    parts = ["## How far these numbers can be trusted"]
    parts += [control(each) for each in controls] or [NO_CONTROL]
    headers = ["Comparison", "Student's t", "Bootstrap (BCa)", "p (Holm)", "Would find", "Verdict"]
    parts += [INTRODUCTION, table(headers, [_row(each) for each in compared])]
    if level.levelled:
        headers = ["Comparison", "As measured", "At equal speed", "The fixed work took longer by"]
        rows = [_at_equal_speed(*both, trials) for both in zip(compared, levelled, strict=True)]
        parts += [equal_speed(level), table(headers, rows)]
    for each in controls:
        parts += _other_ways(each, trials, level)
    return "\n\n".join([*parts, *_little(trials)])


def equal_speed(level: EqualSpeed) -> str:
    """
    What the machine's speed has to do with the times, in a paragraph.
    """
    return (
        "**At equal speed of the machine.** While each load ran, a fixed piece of work was timed "
        f"on the stack's CPUs. Between trials its time varied by {level.spread * 100:.1f} % "
        f"(standard deviation), and time per request went with it, by {level.slope:.2f} % for each "
        f"per cent: {level.explained * 100:.0f} % of the variance within variants. With that part "
        "taken off every trial (analysis of covariance, by a slope that is found within variants) "
        "the differences are those in the second column. **No verdict rests on them**: where the "
        "fixed work itself takes longer beside a treatment, as it did beside Docker in some runs, "
        "part of the treatment's own cost is taken off too. Where it takes as long beside "
        "both, the narrower interval is the better one."
        + (
            f" Beside {', '.join(level.apart)} the work took another time than beside all others, "
            "so its trials are levelled by the work beside the others of their block."
            if level.apart
            else ""
        )
    )


def _at_equal_speed(
    measured: Comparison, levelled: Comparison, trials: Sequence[TrialRecord]
) -> list[str]:
    """
    A comparison both ways, and by how much the fixed work took longer beside the treatment.
    """
    name = f"{measured.name} ({measured.treatment} against {measured.baseline})"
    if measured.difference is None or levelled.difference is None:
        return [name, "–", "–", "–"]
    slower = slower_machine(measured.baseline, measured.treatment, trials)
    words = "–" if slower is None else percent(slower)
    if slower is not None and slower.excludes_zero:
        words += " (!)"
    both = (measured.difference, levelled.difference)
    return [name, *(percent(each.relative["us_per_request"]) for each in both), words]


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
    if (interval.half_width or 0.0) > WIDE:
        held += ", but is so wide that this shows little"
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


def _other_ways(twice: Comparison, trials: Sequence[TrialRecord], level: EqualSpeed) -> list[str]:
    """
    What other protocols make of the trials of the A/A pair, and how long a narrow interval takes.
    """
    twins = twins_of(twice, trials)
    if twins is None:
        return []
    levelled = twins_of(twice, level.trials) if level.levelled else None
    headers = [
        "Way to measure",
        "Minutes",
        "95 % of errors below",
        f"Minutes for ±{WANTED * 100:g} %",
        "Error bars that hold the truth",
        "False differences",
        *(f"Finds {effect * 100:g} %" for effect in EFFECTS),
    ]
    rows = [
        [
            each.name,
            f"{each.minutes:.1f}",
            f"±{each.error * 100:.1f} %",
            "never" if each.minutes_needed is None else f"{each.minutes_needed:.0f}",
            "has none" if each.coverage is None else f"{each.coverage * 100:.1f} %",
            f"{each.false_verdicts * 100:.1f} %",
            *(f"{power * 100:.0f} %" for power in each.power.values()),
        ]
        for each in performances(twins, levelled)
    ]
    words = (
        "**What other ways to measure would have said** of the same trials: those of the A/A pair, "
        "resampled by blocks, with an effect of known size added to one of the two "
        f"({REPLICATES} times each). Mean ± sd finds a difference where the two do not overlap, "
        f"one run of each where they differ by more than {SAID * 100:g} %; runs in a row are as "
        "far apart as the blocks that they are taken from. *Minutes for "
        f"±{WANTED * 100:g} %* is how long each takes on this machine, repeated and averaged, "
        "until 95 % of its errors are below that; one that is done once and believed never gets "
        "there."
    )
    return [words, table(headers, rows)]


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
        "A plausibility check only: by Little's law the rate times the requests' own mean time is "
        f"the number that was under way. In the {count(len(shares), 'trial')} it came to "
        f"{min(shares) * 100:.1f} to {max(shares) * 100:.1f} % (median "
        f"{statistics.median(shares) * 100:.1f} %) of the concurrency that was asked for; what "
        "is missing is the beginning and the end of each load, when fewer are under way."
    )
    return [words]
