"""
``verdicts.json``: every comparison and step as data, for scripts and for comparing two runs.

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
"""Raised when a field changes its name or its meaning."""

DIGITS = 6


@dataclass(frozen=True)
class Effect:
    """
    How a treatment differs from its baseline, and the verdict on that.

    ``verdict`` is one of slower, faster, equivalent, cannot tell, not comparable. ``relative`` is
    the difference in time per request (0.1 is ten per cent more), ``us_per_request`` the absolute
    one and ``baseline_us`` the baseline's time, in microseconds, each with its 95 % interval; all
    three are None where no block has both, or the arms are not comparable. ``p_value`` is of no
    difference, corrected for the number of tests (Holm). ``detectable`` is the least relative
    difference that is found with 80 % power. ``good_shares`` are the shares of good answers of
    baseline and treatment. ``rounds`` are pairs of loads over all blocks.
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
    A declared comparison; ``control`` says that both arms are the same thing (A/A).
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
    One step of a ladder: the ``factor`` that changes and both of its levels.
    """

    ladder: str
    factor: str
    change: str
    effect: Effect


@dataclass(frozen=True)
class WholeEffect:
    """
    A whole beside the sum of its ladders' steps, in microseconds per request.
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
    All verdicts of one run; ``margin`` is the relative difference that is taken to be none.
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
    The whole file, the same to the byte for the same run; computed numbers are rounded for that.
    """
    # When a run was made is no computed number.
    whole = rounded(asdict(verdicts_of(findings))) | {"created_at": findings.manifest.created_at}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def rounded(content: Any) -> Any:  # noqa: ANN401 - whatever is in a file
    """
    The same content with every number to six significant digits.

    What comes after them depends on the interpreter and on the CPU that add up.
    """
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(value) for value in content]
    return float(f"{content:.{DIGITS}g}") if isinstance(content, float) else content
