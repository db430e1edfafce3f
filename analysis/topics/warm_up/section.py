"""
Cold start and warm-up: how a deployment does before its loads, and whether it changes during them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.formatting import count, percent, plus_minus, table, time_difference
from analysis.statistics.estimates import METRICS, compare, us_per_request
from analysis.statistics.intervals import t_interval
from analysis.topics.comparisons.findings import is_control
from analysis.topics.warm_up.steadiness import over_rounds
from experiments.records.trials import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

COLD = (
    "The first good answer is timed from when the stack began to be brought up, its networks "
    "first; a Docker daemon ran then already. {at_once} It is looked for once the health checks "
    "pass, which look ten times a second; Compose itself looks for that only twice a second, so "
    "Docker's time is too long by a quarter of a second on average. The first requests are the "
    "first {requests} of a fresh deployment, before any warm-up; how much longer they take than "
    "those of the rounds is the mean log-ratio within trials; the beginning and the end of so "
    "short a load, when fewer are under way, are part of it."
)
COMPARED = (
    "Paired within blocks, the treatment against its baseline, with 95 % intervals that are not "
    "corrected for their number. The last column asks whether a difference changes while its block "
    "lasts: by how much the ratio of the two times is greater in the second half of the rounds "
    "than in the first. Where its interval excludes zero, one of the two still warmed up, or "
    "aged; nothing is left out for that."
)


def warm_up(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each comparison; empty if nothing was recorded.
    """
    seen = _seen(trials)
    if not seen:
        return ""
    parts = ["## Cold start and warm-up"]
    counts = sorted({trial.cold.requests for trial in seen if trial.cold})
    if counts or any(trial.first_answer_s is not None for trial in seen):
        requests = " or ".join(map(str, counts)) or "requests"
        parts.append(COLD.format(requests=requests, at_once=_came_up(manifest)))
    rows = [
        _compared(pair.name, pair.baseline, pair.treatment, seen)
        for pair in manifest.comparisons
        if not is_control(manifest, pair.baseline, pair.treatment)
    ]
    if rows:
        headers = ["Comparison", "Later first good answer (s)", "First requests take"]
        parts += [COMPARED, table([*headers, "Changes over the rounds by"], rows)]
    return "\n\n".join(parts)


def _came_up(manifest: Manifest) -> str:
    """
    What else ran meanwhile.
    """
    at_once = manifest.environment.brought_up_at_once
    if at_once is None or at_once < 2:
        return "Nothing else came up meanwhile."
    return (
        f"Up to {at_once} deployments came up at the same time, on all CPUs, so these seconds are "
        "more than one alone would take; all variants share that alike."
    )


def warm_up_details(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    One row for each variant; empty where nothing of it was recorded.
    """
    seen = [trial for trial in _seen(trials) if trial.cold or trial.first_answer_s is not None]
    if not seen:
        return ""
    names = [each.name for each in manifest.variants]
    own = {name: [trial for trial in seen if trial.variant == name] for name in names}
    headers = ["Variant", "Trials", "First good answer (s)", "First requests (µs per request)"]
    return "\n\n".join(
        [
            "### Cold start of each variant",
            table(
                [*headers, "Against the rounds"],
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
        trial
        for trial in good
        if len(trial.loads) > 1 or trial.cold or trial.first_answer_s is not None
    ]


def _row(name: str, trials: Sequence[TrialRecord]) -> list[str]:
    answers = [trial.first_answer_s for trial in trials if trial.first_answer_s is not None]
    cold = us_per_request(name, _cold(trials))
    ratios = _log_ratios(trials)
    return [
        name,
        str(len(trials)),
        plus_minus(t_interval(answers), 2) if answers else "–",
        plus_minus(cold[0]) if cold else "–",
        percent(t_interval(ratios).map(math.expm1)) if ratios else "–",
    ]


def _cold(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """
    The same trials with their first requests in place of their loads.
    """
    return [replace(trial, load=trial.cold, loads=[]) for trial in trials]


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
    changed = over_rounds(baseline, treatment, trials)
    return [
        f"{name} ({treatment} against {baseline})",
        _with_blocks(plus_minus(t_interval(later), 2), len(later)) if later else "–",
        _with_blocks(time_difference(cold), cold.blocks) if cold else "–",
        percent(changed) if changed else "–",
    ]


def _later_s(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> list[float]:
    """
    For each block with both, by how many seconds the treatment's first good answer comes later.
    """
    answers = {
        (trial.block, trial.part, trial.variant): trial.first_answer_s
        for trial in trials
        if trial.first_answer_s is not None
    }
    return [
        answers[block, part, treatment] - answer_s
        for (block, part, variant), answer_s in answers.items()
        if variant == baseline and (block, part, treatment) in answers
    ]


def _with_blocks(text: str, blocks: int) -> str:
    return f"{text}, {count(blocks, 'block')}"
