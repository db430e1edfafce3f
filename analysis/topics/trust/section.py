"""
How far the numbers of a run can be trusted: A/A, the least effect that it could see, other methods.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from analysis.formatting import count, not_comparable, percent, short_verdict, table
from analysis.topics.comparisons.findings import TRUST_CONFIDENCE
from analysis.topics.trust.simulation import REPLICATES, REQUESTS_ALONE, WANTED
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from analysis.topics.comparisons.findings import Comparison
    from analysis.topics.trust.simulation import Resampled
    from experiments.records.trials import LoadResult, TrialRecord

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


def trust(findings: Findings) -> str:
    """
    A/A, one row for each comparison, places, other protocols, silence; empty without comparisons.
    """
    compared = findings.comparisons
    if not compared:
        return ""
    controls = [each for each in compared if each.control]
    parts = ["## How far these numbers can be trusted"]
    parts += [control(each) for each in controls] or [NO_CONTROL]
    headers = ["Comparison", "Student's t", "Bootstrap (BCa)", "p (Holm)", "Would find", "Verdict"]
    parts += [INTRODUCTION, table(headers, [_row(each) for each in compared])]
    parts += [*_places(findings), *_silence(findings.trials)]
    for each in findings.resampled:
        parts += _other_ways(each)
    return "\n\n".join([*parts, *_little(findings.trials)])


def control(each: Comparison) -> str:
    """
    What was seen between a thing and itself, in a sentence.
    """
    interval = each.trust_interval()
    names = f"{each.baseline} and {each.treatment}"
    if each.difference is not None and not each.difference.comparable:
        return f"**A/A**: {names} are the same thing, and yet {not_comparable(each.difference)}."
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


def _places(findings: Findings) -> list[str]:
    """
    By how much a trial is slower for having been brought up early; nothing where nobody can tell.
    """
    found = findings.places
    if not found:
        return []
    term = findings.place_term
    taken = (
        f"In this run a trial takes {percent(term.map(math.expm1))} at twice the place."
        if term.low is not None
        else "In this run that cannot be told."
    )
    words = (
        "**By place.** On some machines a deployment is the slower the earlier its block brings it "
        "up, as long as it lives. So every variant takes its turn in places all over the order, "
        "and the logarithm of the place is a term of all estimates in this report: what it costs "
        f"in all other blocks is taken off a trial's times. {taken} The table has what each place "
        "differs by from the mean of all, before that, with variants and blocks taken out."
    )
    rows = [[place, percent(effect), str(size)] for place, effect, size in found]
    return [words, table(["Place", "Time per request", "Trials"], rows)]


def _silence(trials: Sequence[TrialRecord]) -> list[str]:
    """
    What frozen deployments did while another was under load, in a sentence.
    """
    loads = [load for trial in trials if trial.status == OK for load in trial.loads]
    if not loads:
        return []
    others = sorted({load.others for load in loads})
    beside = f"{others[0]} to {others[-1]}" if len(others) > 1 else str(others[0])
    ran_us = sum(load.others_ran_us for load in loads)
    words = (
        f"**Only one ran.** During the {count(len(loads), 'load')} of the rounds the frozen "
        f"deployments beside the one under load, {beside} each time, took {ran_us} µs of CPU time "
        "in all, by the counters of their control groups."
    )
    return [words]


def _other_ways(resampled: Resampled) -> list[str]:
    """
    What this run's own estimator keeps of its word, and how long other protocols would take.
    """
    kept = resampled.promise
    own = (
        "**Whether this keeps its word.** The loads of the A/A pair, of which the truth is "
        f"known, were resampled {REPLICATES} times, blocks and rounds within blocks, and judged "
        f"as every comparison is: {kept.coverage * 100:.1f} % of the intervals hold the truth (95 "
        f"% should), and {kept.false_verdicts * 100:.1f} % of the verdicts are a difference (at "
        "most 5 % should be)."
    )
    words = (
        "**What other ways to measure would need.** The same loads as other protocols would have "
        "drawn them, from whole blocks. *Minutes for* is how long each takes on this machine, "
        "repeated, until the 95 % interval over its repetitions is that narrow; all then show a "
        "difference where there is none in 5 % of cases. *Minutes* is one use of it, as is "
        "customary, and beside it how many of its own intervals hold the truth, and how many of "
        "its verdicts are false; *one run of each* has no interval of its own, and is judged by "
        "the spread that is known from all blocks. A trial of the others is brought up alone, "
        f"and loaded once with {REQUESTS_ALONE} requests."
    )
    headers = [
        "Way to measure",
        *(f"Minutes for ±{wanted * 100:g} %" for wanted in WANTED),
        "Minutes",
        "Intervals that hold the truth",
        "False differences",
    ]
    rows = [
        [
            each.name,
            *(f"{each.minutes_needed[wanted]:.1f}" for wanted in WANTED),
            f"{each.minutes:.1f}",
            f"{each.coverage * 100:.1f} %",
            f"{each.false_verdicts * 100:.1f} %",
        ]
        for each in resampled.performances
    ]
    return [own, words, table(headers, rows)]


def under_way(load: LoadResult) -> float | None:
    """
    Requests under way on average, by Little's law: rate times mean time in the system.

    None where the tool printed no mean of the requests' own times. ab rounds those to milliseconds.
    See Little, "A Proof for the Queuing Formula L = λW" (Operations Research 1961).
    """
    times = load.details.connection_times_ms.get("total") if load.details else None
    return load.requests_per_second * times["mean"] / 1e3 if times else None


def _little(trials: Sequence[TrialRecord]) -> list[str]:
    loads = [trial.load for trial in trials if trial.status == OK and trial.load is not None]
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
