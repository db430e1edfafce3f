"""
Trust in the numbers of a run: A/A, minimum detectable effects, coverage, other protocols.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from analysis.formatting import (
    count,
    microseconds,
    not_comparable,
    percent,
    short_verdict,
    table,
    verdict_and_blocks,
)
from analysis.topics.comparisons.findings import TRUST_CONFIDENCE
from analysis.topics.trust.simulation import REPLICATES, REQUESTS_ALONE, WANTED
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from analysis.topics.comparisons.findings import JudgedComparison
    from analysis.topics.trust.simulation import Resampled
    from experiments.records.trials import LoadResult, TrialRecord

INTRODUCTION = (
    "For each comparison: the 95 % interval by Student's t on the blocks' log-ratios, and the "
    "bootstrap's over blocks (BCa); the absolute difference, a mean of its own, so it need not be "
    "the same share of the baseline; the p-value of no difference after Holm; and the least "
    "difference that a run of this size detects with 80 % power at Holm's first step. A direction "
    "needs a corrected p below 0.05. *Equivalent* is two one-sided tests at 5 %: the 90 % interval "
    "lies within the margin."
)
WIDE = 0.1
"""An A/A interval with a larger half-width reveals gross faults only."""

NO_CONTROL = (
    "**No A/A.** No variant was measured twice, so this run does not show what its instrument "
    "makes of no difference."
)


def trust(findings: Findings) -> str:
    """
    A/A, one row for each comparison, and the other checks; empty without comparisons.
    """
    compared = findings.comparisons
    if not compared:
        return ""
    controls = [each for each in compared if each.control]
    parts = ["## How far these numbers can be trusted"]
    parts += [control(each) for each in controls] or [NO_CONTROL]
    headers = ["Comparison", "Student's t", "Bootstrap (BCa)", "Absolute", "p (Holm)", "Detectable"]
    parts += [
        INTRODUCTION,
        table([*headers, "Verdict", "Blocks"], [_row(each) for each in compared]),
    ]
    parts += [*_places(findings), *_silence(findings.trials)]
    for each in findings.resampled:
        parts += _other_ways(each)
    return "\n\n".join([*parts, *_little(findings.trials)])


def control(each: JudgedComparison) -> str:
    """
    The result of one A/A comparison as a sentence.
    """
    interval = each.trust_interval()
    names = f"{each.baseline} and {each.treatment}"
    if each.difference is not None and not each.difference.comparable:
        return f"**A/A**: {names} are the same thing, but {not_comparable(each.difference)}."
    if interval is None:
        return f"**A/A**: {names} are the same thing; fewer than two blocks have both."
    found = percent(interval.map(math.expm1))
    held = (
        "excludes zero, which it should not"
        if interval.excludes_zero
        else "holds zero, as it should"
    )
    if (interval.half_width or 0.0) > WIDE:
        held += ", but it is too wide to show much"
    return (
        f"**A/A**: {names} are the same thing, deployed and measured as two. They differ by "
        f"{found} ({TRUST_CONFIDENCE * 100:.0f} % interval), which {held}."
    )


def _row(each: JudgedComparison) -> list[str]:
    name = f"{each.name} ({each.treatment} against {each.baseline})"
    judged = each.verdict
    if each.difference is None or judged.p_value is None or judged.detectable is None:
        blocks = each.difference.blocks if each.difference else 0
        return [name, *["–"] * 5, short_verdict(judged), str(blocks)]
    bootstrapped = each.difference.bootstrapped
    other = "–" if bootstrapped.low is None else percent(bootstrapped)
    return [
        name,
        percent(each.difference.relative["us_per_request"]),
        f"{other} (disagrees)" if judged.methods_disagree else other,
        microseconds(each.difference.us_per_request),
        "< 0.001" if judged.p_value < 0.001 else f"{judged.p_value:.3f}",
        f"±{judged.detectable * 100:.1f} %" if judged.detectable < 1 else "not even a doubling",
        verdict_and_blocks(judged),
        str(each.difference.blocks),
    ]


def _places(findings: Findings) -> list[str]:
    """
    The effect of the place in the start order; empty if it cannot be estimated.
    """
    places = findings.places
    if not places:
        return []
    term = findings.place_term
    taken = (
        f"In this run, each doubling of the place changes time per request by "
        f"{percent(term.map(math.expm1))}."
        if term.low is not None
        else "In this run the effect cannot be estimated."
    )
    words = (
        "**Effect of the place.** On some machines, a deployment that its block brings up earlier "
        "is slower for its whole life; the cause is not known. So variants rotate through the "
        "places, and all estimates are corrected for the logarithm of the place, estimated from "
        f"the other blocks. {taken} The table shows each place against the mean of all, before "
        "the correction, with variants and blocks as factors."
    )
    rows = [[place, percent(effect), str(size)] for place, effect, size in places]
    return [words, table(["Place", "Time per request", "Trials"], rows)]


def _silence(trials: Sequence[TrialRecord]) -> list[str]:
    """
    The CPU time of frozen deployments while another was under load, as a sentence.
    """
    loads = [load for trial in trials if trial.status == OK for load in trial.loads]
    if not loads:
        return []
    others = sorted({load.others for load in loads})
    beside = f"{others[0]} to {others[-1]}" if len(others) > 1 else str(others[0])
    ran_us = sum(load.others_ran_us for load in loads)
    words = (
        f"**Only one ran.** During the {count(len(loads), 'load')} of the rounds, {beside} frozen "
        f"deployments stood beside the one under load. They took {ran_us} µs of CPU time in all, "
        "by the counters of their control groups."
    )
    return [words]


def _other_ways(resampled: Resampled) -> list[str]:
    """
    The coverage of this run's estimator, and the time that other protocols need.
    """
    kept = resampled.promise
    coverage = (
        f"**Coverage.** The loads of the A/A pair were resampled {REPLICATES} times, blocks and "
        "rounds within blocks, and judged as every comparison is. The true difference is zero. "
        f"{kept.coverage * 100:.1f} % of the intervals hold it (nominal 95 %), and "
        f"{kept.false_verdicts * 100:.1f} % of the verdicts are a false difference (nominal at "
        "most 5 %)."
    )
    protocols = (
        "**Other protocols on the same loads**, resampled from whole blocks. *Minutes for* is how "
        "long each protocol must be repeated on this machine until its 95 % interval is that "
        "narrow. *Minutes* is one use of it; the two columns after it are the coverage of its own "
        "interval and its share of false differences. *One run of each* has no interval of its "
        "own, and is judged by the spread of all blocks. The other protocols bring up each trial "
        f"alone, and load it once with {REQUESTS_ALONE} requests."
    )
    headers = [
        "Protocol",
        *(f"Minutes for ±{wanted * 100:g} %" for wanted in WANTED),
        "Minutes",
        "Coverage",
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
    return [coverage, protocols, table(headers, rows)]


def under_way(load: LoadResult) -> float | None:
    """
    The mean number of requests in progress by Little's law: rate × mean time in the system.

    None if the tool did not print the mean of the requests' own times. ab rounds it to
    milliseconds. See Little, "A Proof for the Queuing Formula L = λW" (Operations Research 1961).
    """
    times = load.details.connection_times_ms.get("total") if load.details else None
    return load.requests_per_second * times["mean"] / 1e3 if times else None


def _little(trials: Sequence[TrialRecord]) -> list[str]:
    loads = [trial.load for trial in trials if trial.status == OK and trial.load is not None]
    shares = [found / load.concurrency for load in loads if (found := under_way(load)) is not None]
    if not shares:
        return []
    words = (
        "**Little's law**, a plausibility check: rate × mean time of a request is the mean number "
        f"of requests in progress. In the {count(len(shares), 'trial')} it was "
        f"{min(shares) * 100:.1f} to {max(shares) * 100:.1f} % (median "
        f"{statistics.median(shares) * 100:.1f} %) of the concurrency. Ramp-up and ramp-down of "
        "each load account for the rest."
    )
    return [words]
