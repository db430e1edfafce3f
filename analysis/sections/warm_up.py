"""
Warm-up, steadiness and cold start: how a deployment does before its load, and while it runs.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.comparisons import is_control
from analysis.estimates import METRICS, compare, us_per_request
from analysis.formatting import count, percent, plus_minus, table
from analysis.intervals import t_interval
from analysis.steadiness import BINS, LEAST_BEATS, SIGNIFICANCE, UNSTEADY, steadiness
from experiments.records import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records import Manifest, TrialRecord

INTRODUCTION = (
    "A trial is *unsteady* where its rate changed while its load ran: by Pettitt's test for one "
    f"sudden change or by Mann and Kendall's for a trend, at {SIGNIFICANCE * 100:g} % each, over "
    f"about {BINS} parts of the load without the first one, in which all connections open at once. "
    "The machine's own speed, told by a fixed piece of work that was timed meanwhile, is taken out "
    "of the rate. About one steady trial in fifty is called unsteady, and more where something "
    "else disturbs the load for longer than one part of it. The change is the rate after it "
    f"against the rate before. A load of fewer than {LEAST_BEATS} readings is not judged. "
    "**Nothing is dropped**: unsteady trials count in every other figure of this report as steady "
    "ones do."
)
COLD = (
    "The first good answer is timed from when the stack began to be brought up, its networks "
    "first; a Docker daemon ran then already. It is looked for once the health checks pass, which "
    "look ten times a second; Compose itself looks for that only twice a second, so Docker's time "
    "is too long by a quarter of a second on average. The first requests are "
    "the first {requests} of a fresh deployment, before any warm-up; how much longer they take "
    "than those of the load that counts is the mean log-ratio within trials; the beginning and the "
    "end of so short a load, when fewer are under way, are part of it."
)
COMPARED = (
    "Paired within blocks, the treatment against its baseline, with 95 % intervals that are not "
    "corrected for their number:"
)


def warm_up(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    How many loads were unsteady, and one row for each comparison; empty if nothing was recorded.
    """
    seen = _seen(trials)
    if not seen:
        return ""
    parts = ["## Warm-up, steadiness and cold start", INTRODUCTION, _unsteady(seen)]
    counts = sorted({trial.cold.requests for trial in seen if trial.cold})
    if counts or any(trial.first_answer_s is not None for trial in seen):
        requests = " or ".join(map(str, counts)) or "requests"
        rows = [
            _compared(pair["name"], pair["baseline"], pair["treatment"], seen)
            for pair in manifest.comparisons
            if not is_control(manifest, pair["baseline"], pair["treatment"])
        ]
        parts.append(COLD.format(requests=requests))
        if rows:
            headers = ["Comparison", "Later first good answer (s)", "First requests take"]
            parts += [COMPARED, table(headers, rows)]
    return "\n\n".join(part for part in parts if part)


def _unsteady(seen: Sequence[TrialRecord]) -> str:
    judged = [found for trial in seen if trial.pulse and (found := steadiness(trial.pulse))]
    unsteady = sum(each.label == UNSTEADY for each in judged)
    if not judged:
        return ""
    return (
        f"Of {count(len(judged), 'load')} {unsteady} ({unsteady / len(judged) * 100:.0f} %) were "
        "unsteady; the table of each variant, near the end, says which."
    )


def warm_up_details(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each variant; empty where nothing of it was recorded.
    """
    seen = _seen(trials)
    if not seen:
        return ""
    names = [each["name"] for each in manifest.variants]
    own = {name: [trial for trial in seen if trial.variant == name] for name in names}
    headers = ["Variant", "Trials", "Unsteady", "Change in those (median)"]
    headers += ["First good answer (s)", "First requests (µs per request)"]
    return "\n\n".join(
        [
            "### Warm-up, steadiness and cold start of each variant",
            table(
                [*headers, "Against the load that counts"],
                [_row(name, each) for name, each in own.items() if each],
            ),
        ]
    )


def _seen(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """
    The good trials of which anything of it was recorded.
    """
    good = [trial for trial in trials if trial.status == OK and trial.load is not None]
    return [
        trial for trial in good if trial.pulse or trial.cold or trial.first_answer_s is not None
    ]


def _row(name: str, trials: Sequence[TrialRecord]) -> list[str]:
    judged = [found for trial in trials if trial.pulse and (found := steadiness(trial.pulse))]
    changes = [each.change for each in judged if each.label == UNSTEADY]
    answers = [trial.first_answer_s for trial in trials if trial.first_answer_s is not None]
    cold = us_per_request(name, _cold(trials))
    ratios = _log_ratios(trials)
    unsteady = "–"
    if judged:
        share = len(changes) / len(judged)
        unsteady = f"{len(changes)} of {len(judged)} ({share * 100:.0f} %)"
    return [
        name,
        str(len(trials)),
        unsteady,
        f"{statistics.median(changes) * 100:+.1f} %" if changes else "–",
        plus_minus(t_interval(answers), 2) if answers else "–",
        plus_minus(cold[0]) if cold else "–",
        percent(t_interval(ratios).map(math.expm1)) if ratios else "–",
    ]


def _cold(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """
    The same trials with their first requests in place of their load.
    """
    return [replace(trial, load=trial.cold) for trial in trials]


def _log_ratios(trials: Sequence[TrialRecord]) -> list[float]:
    """
    For each trial with both, the logarithm of its first requests' time over that of its load's.
    """
    cost = METRICS["us_per_request"]
    return [
        math.log(cost(trial.cold) / cost(trial.load))
        for trial in trials
        if trial.cold and trial.load
    ]


def _compared(name: str, baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> list[str]:
    later = _later_s(baseline, treatment, trials)
    cold = compare(baseline, treatment, _cold(trials))
    return [
        f"{name} ({treatment} against {baseline})",
        _with_blocks(plus_minus(t_interval(later), 2), len(later)) if later else "–",
        _with_blocks(percent(cold.relative["us_per_request"]), cold.blocks) if cold else "–",
    ]


def _later_s(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> list[float]:
    """
    For each block with both, by how many seconds the treatment's first good answer comes later.
    """
    answers = {
        (trial.block, trial.variant): trial.first_answer_s
        for trial in trials
        if trial.first_answer_s is not None
    }
    return [
        answers[block, treatment] - answer_s
        for (block, variant), answer_s in answers.items()
        if variant == baseline and (block, treatment) in answers
    ]


def _with_blocks(text: str, blocks: int) -> str:
    return f"{text}, {count(blocks, 'block')}"
