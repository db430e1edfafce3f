"""
Calibration: recovery of injected costs, and agreement of short loads with long ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import microseconds, percent, plus_minus, sentence, table
from analysis.topics.calibration.findings import INJECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from analysis.topics.calibration.agreement import Agreement
    from analysis.topics.calibration.findings import Recovery

INTRODUCTION = (
    "A known cost was added to every request at the gateway, in deployments of the same blocks. "
    "The slope is recovered cost against injected cost. The bias is the recovered cost beyond "
    "what should show, averaged over the doses. Both are means over blocks with 95 % intervals."
)


AGREEMENT = (
    "**Do short loads of thawed deployments stand for long loads?** The reference is one long "
    "load of a deployment that stands alone and was never frozen. The table shows how much longer "
    "a request takes, paired within deployments: the mean log-ratio over {repetitions} "
    "deployments with its 95 % interval. What all variants share is no difference between them. "
    "The deployment that is never frozen is brought up first; the effect of that place is taken "
    "off rows two and four."
)
ASKED = {
    "length": "{short} requests against {long}, both alone and never frozen",
    "thawing": "thawed against never frozen, {short} requests beside frozen ones",
    "company": "beside frozen ones against alone, {short} requests, never frozen",
    "all together": "{short} requests, thawed and beside frozen ones, against {long}, alone",
}
IN_TRIALS = (
    "In the trials, a request of a short load takes longer than one of the load of {requests} "
    "requests on the same thawed deployment, by: {found}."
)


def calibration(findings: Findings) -> str:
    """
    Recovery, then agreement of short loads with long ones; empty without either.
    """
    parts = [*_injected(findings.recoveries), *_agreement(findings.agreements)]
    if not parts:
        return ""
    in_trials = findings.short_against_at_once
    if in_trials:
        words = ", ".join(f"{name} {percent(each)}" for name, each in in_trials.items())
        requests = findings.manifest.requests_at_once
        parts.append(IN_TRIALS.format(requests=requests, found=words))
    return "\n\n".join(["## Calibration: recovery of injected costs", *parts])


def _injected(found: Sequence[Recovery]) -> list[str]:
    """
    The table of slopes, then one table of doses for each kind of injection.
    """
    if not found:
        return []
    parts = [
        INTRODUCTION,
        table(
            [
                "Injected",
                "Measured by",
                "Slope",
                "Expected slope",
                "Bias",
                "Intervals that hold it",
                "Blocks",
            ],
            [_row(each) for each in found],
        ),
    ]
    for factor, what in INJECTED.items():
        own = [each for each in found if each.factor == factor]
        if own:
            parts += [f"Doses of {what}, in µs per request:", _doses(own)]
    return parts


def _agreement(found: Sequence[Agreement]) -> list[str]:
    """
    One row for each question, one column for each variant.
    """
    if not found:
        return []
    by_place = {(each.question, each.variant): each for each in found}
    variants = list(dict.fromkeys(each.variant for each in found))
    rows = []
    for question, words in ASKED.items():
        own = [by_place.get((question, name)) for name in variants]
        known = next((each for each in own if each), None)
        if known:
            cells = [percent(each.relative) if each else "–" for each in own]
            rows.append([sentence(words.format(short=known.short, long=known.long)), *cells])
    return [
        AGREEMENT.format(repetitions=max(each.repetitions for each in found)),
        table(["A request takes longer by", *variants], rows),
    ]


def _row(each: Recovery) -> list[str]:
    return [
        INJECTED[each.factor],
        each.measure,
        plus_minus(each.slope, 3),
        f"{each.share:g}",
        microseconds(each.bias_us),
        "–" if each.held is None else f"{each.held} of {len(each.doses)}",
        str(each.blocks),
    ]


def _doses(found: Sequence[Recovery]) -> str:
    rows = [
        [str(doses[0].injected_us), *(microseconds(dose.recovered_us) for dose in doses)]
        for doses in zip(*(each.doses for each in found), strict=True)
    ]
    return table(["Injected", *(f"Recovered in {each.measure}" for each in found)], rows)
