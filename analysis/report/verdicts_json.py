"""
``verdicts.json``: every comparison and step as data, for scripts and for comparing runs.

The types below are the format; ``results/schema/verdicts.schema.json`` is made from them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from analysis.statistics.intervals import Interval  # noqa: TC001 - the schema is made from it

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.statistics.estimates import Difference
    from analysis.statistics.verdicts import Verdict

FORMAT = 1
"""Version of the format; goes up when a field changes its name or meaning."""

DIGITS = 6


@dataclass(frozen=True)
class Effect:
    """
    The difference of a treatment from its baseline, with its verdict.

    ``verdict`` is one of slower, faster, equivalent, cannot tell, not comparable. Three fields have
    95 % intervals: ``relative`` is the relative difference in time per request (0.1 is ten per cent
    more), ``us_per_request`` the absolute difference and ``baseline_us`` the baseline's time, both
    in microseconds. All three are None where no block has both arms, or the arms are not
    comparable. ``p_value`` is for the null hypothesis of no difference, after Holm's correction.
    ``detectable`` is the minimum relative difference that is detected with 80 % power.
    ``good_shares`` are the shares of good answers of baseline and treatment. ``rounds`` counts the
    pairs of loads over all blocks.
    """

    baseline: str
    treatment: str
    blocks: int
    rounds: int
    verdict: str
    relative: Interval | None
    us_per_request: Interval | None
    baseline_us: Interval | None
    p_value: float | None
    detectable: float | None
    blocks_needed: int | None
    good_shares: tuple[float, float] | None


@dataclass(frozen=True)
class ComparisonEffect:
    """
    A declared comparison; ``control`` marks an A/A comparison.
    """

    name: str
    about: str
    role: str
    focal: bool
    control: bool
    effect: Effect


@dataclass(frozen=True)
class StepEffect:
    """
    One step of a ladder: the ``factor`` that changes, and from which level to which.
    """

    ladder: str
    factor: str
    change: str
    effect: Effect


@dataclass(frozen=True)
class WholeEffect:
    """
    A whole and the sum of its ladders' steps, in microseconds per request.
    """

    name: str
    baseline: str
    treatment: str
    ladders: list[str]
    blocks: int
    whole_us: Interval
    steps_us: Interval
    unexplained_us: Interval


@dataclass(frozen=True)
class Verdicts:
    """
    All verdicts of one run; ``margin`` is the equivalence margin, a relative difference.
    """

    format: int
    run: str
    created_at: float
    state: str
    schema_version: int
    workload: str
    margin: float
    comparisons: list[ComparisonEffect]
    steps: list[StepEffect]
    wholes: list[WholeEffect]


def verdicts_of(findings: Findings) -> Verdicts:
    """
    The verdicts of a run.
    """
    manifest = findings.manifest
    return Verdicts(
        format=FORMAT,
        run=manifest.run,
        created_at=manifest.created_at,
        state=manifest.state,
        schema_version=manifest.schema_version,
        workload=manifest.workload.name,
        margin=manifest.margin,
        comparisons=[
            ComparisonEffect(
                name=each.name,
                about=each.about,
                role=each.role,
                focal=(each.baseline, each.treatment) in manifest.focal,
                control=each.control,
                effect=_effect(each.baseline, each.treatment, each.difference, each.verdict),
            )
            for each in findings.comparisons
        ],
        steps=[
            StepEffect(
                ladder=climbed.ladder.name,
                factor=step.factor,
                change=step.change,
                effect=_effect(step.lower, step.upper, step.difference, step.verdict),
            )
            for climbed in findings.ladders
            for step in climbed.steps
        ],
        wholes=[
            WholeEffect(
                name=left.declared.name,
                baseline=left.declared.baseline,
                treatment=left.declared.treatment,
                ladders=list(left.declared.ladders),
                blocks=left.blocks,
                whole_us=left.whole,
                steps_us=left.steps,
                unexplained_us=left.unexplained,
            )
            for left in findings.remainders
        ],
    )


def _effect(
    baseline: str, treatment: str, difference: Difference | None, verdict: Verdict
) -> Effect:
    known = difference if difference and difference.comparable else None
    return Effect(
        baseline=baseline,
        treatment=treatment,
        blocks=difference.blocks if difference else 0,
        rounds=difference.rounds if difference else 0,
        verdict=verdict.kind.word,
        relative=known.relative["us_per_request"] if known else None,
        us_per_request=known.us_per_request if known else None,
        baseline_us=known.baseline_us if known else None,
        p_value=verdict.p_value,
        detectable=verdict.detectable,
        blocks_needed=verdict.blocks_needed,
        good_shares=difference.good_shares if difference else None,
    )


def verdicts_json(findings: Findings) -> str:
    """
    The text of the file; the same run gives the same bytes, because computed numbers are rounded.
    """
    # A time stamp is not computed, and keeps its digits.
    whole = rounded(asdict(verdicts_of(findings))) | {"created_at": findings.manifest.created_at}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def rounded(content: Any) -> Any:  # noqa: ANN401 - whatever is in a file
    """
    The same content with every number to six significant digits.

    Later digits depend on the interpreter and the CPU.
    """
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(value) for value in content]
    return float(f"{content:.{DIGITS}g}") if isinstance(content, float) else content
