"""
The effects of two runs side by side, with the outcome of each and of all.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.findings import Findings
from analysis.formatting import count, percent
from analysis.statistics.verdicts import Kind, holm
from analysis.topics.comparisons.findings import TRUST_CONFIDENCE
from analysis.verify.conditions import VARIANTS, searched, unlike_variant
from analysis.verify.rule import Gap, Outcome, Sizes, follows, gap, sizes, worst
from analysis.verify.runs import focal_pairs, pairs
from experiments.records.manifest import COMPLETE, RUNNING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analysis.run import Run
    from analysis.statistics.estimates import Difference
    from analysis.statistics.verdicts import Verdict
    from analysis.topics.comparisons.findings import JudgedComparison
    from analysis.verify.runs import Pair


@dataclass(frozen=True)
class Effect:
    """
    The effect that one run measured of a pair; no difference if no block has a trial of both.
    """

    difference: Difference | None
    verdict: Verdict

    @property
    def log_ratios(self) -> list[float]:
        """
        Log-ratios of the time per request, one for each block; none if not comparable.
        """
        if self.difference is None or not self.difference.comparable:
            return []
        return self.difference.log_ratios


@dataclass(frozen=True)
class Row:
    """
    One effect in both runs, and its outcome.

    ``gap`` is the difference of the two effects, None if a run has fewer than two blocks of it or
    cannot compare its arms. ``p_value`` is that of no gap, corrected for the number of effects. A
    ``focal`` effect is one that the reference was made for.
    """

    name: str
    pair: Pair
    focal: bool
    reference: Effect
    here: Effect
    gap: Gap | None
    p_value: float | None
    sizes: Sizes
    outcome: Outcome

    @property
    def counts(self) -> bool:
        """
        Whether the overall outcome depends on it: it is focal, with a claim or a contradiction.
        """
        claimed = self.reference.verdict.kind not in {Kind.CANNOT_TELL, Kind.NOT_COMPARABLE}
        return self.focal and (claimed or self.outcome is Outcome.NOT_REPRODUCED)


@dataclass(frozen=True)
class Verification:
    """
    The comparison of two runs.

    ``left_out`` are the reference's effects that are not compared, each with the reason;
    ``missing`` is the number of focal ones among them. ``faults`` say why no effect of these runs
    is trustworthy, ``notes`` what else limits them.
    """

    rows: list[Row]
    left_out: dict[str, str]
    missing: int
    faults: list[str]
    notes: list[str]
    outcome: Outcome

    def conclusion(self) -> str:
        """
        The overall outcome and the counts behind it, in a sentence.
        """
        focal = sum(row.focal for row in self.rows)
        if not focal + self.missing:
            return f"Overall: {self.outcome.value}. The reference compares nothing."
        of = f"Of the reference's {count(focal + self.missing, 'focal effect')}"
        if not focal:
            return f"Overall: {self.outcome.value}. {of}, none is in this run."
        counts = Counter(row.outcome for row in self.rows if row.focal)
        parts = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
        silent = sum(row.focal and not row.counts for row in self.rows)
        words = f"Overall: {self.outcome.value}. {of}: {', '.join(parts)}"
        if self.missing:
            words += f", {self.missing} not compared"
        if silent:
            words += f"; the reference cannot tell {silent} of them, so there is no claim to test"
        return f"{words}."


def verify(reference: Run, here: Run, allowed: Collection[str] = ()) -> Verification:
    """
    Compare all effects that both runs declare.

    ``allowed`` are fields of the conditions that may differ.
    """
    left_out: dict[str, str] = {}
    compared: dict[Pair, str] = {}
    for pair, name in pairs(reference.manifest).items():
        reason = _left_out(pair, reference, here, allowed)
        if reason:
            left_out[name] = reason
        else:
            compared[pair] = name
    margin = reference.manifest.margin
    (before, controls_before), (after, controls_after) = (
        _measured(run, margin) for run in (reference, here)
    )
    faults = _distrust(reference, controls_before) + _distrust(here, controls_after)
    gaps = [gap(before[pair].log_ratios, after[pair].log_ratios) for pair in compared]
    p_values = holm([found.p_value if found else None for found in gaps])
    focal = focal_pairs(reference.manifest)
    rows = []
    for (pair, name), found, p_value in zip(compared.items(), gaps, p_values, strict=True):
        said = sizes(found, p_value, margin)
        kinds = before[pair].verdict.kind, after[pair].verdict.kind
        # An instrument that shows an effect in A/A may have made this one.
        outcome = Outcome.CANNOT_TELL if faults else follows(*kinds, said)
        rows.append(
            Row(
                name=name,
                pair=pair,
                focal=pair in focal,
                reference=before[pair],
                here=after[pair],
                gap=found,
                p_value=p_value,
                sizes=said,
                outcome=outcome,
            )
        )
    return Verification(
        rows=rows,
        left_out=left_out,
        missing=sum(pair not in compared for pair in focal),
        faults=faults,
        notes=_notes(reference, controls_before) + _notes(here, controls_after),
        outcome=worst(row.outcome for row in rows if row.counts),
    )


def shared_pairs(reference: Run, here: Run) -> list[Pair]:
    """
    The effects that both runs declare.
    """
    own = pairs(here.manifest)
    return [pair for pair in pairs(reference.manifest) if pair in own]


def _left_out(pair: Pair, reference: Run, here: Run, allowed: Collection[str]) -> str:
    if pair not in pairs(here.manifest):
        return "not in this run"
    for name in pair:
        if VARIANTS not in allowed and name in searched(reference, here):
            unlike = unlike_variant(name, reference, here)
            if unlike:
                found = ", ".join(
                    f"{each.entry.rpartition(', ')[2]} {each.reference} and {each.here}"
                    for each in unlike
                )
                return f"the searches for {name} found different levels: {found}"
    return ""


def _measured(run: Run, margin: float) -> tuple[dict[Pair, Effect], list[JudgedComparison]]:
    """
    All effects of a run, as in its report except for the margin, and its A/A comparisons.
    """
    found = Findings.of(replace(run, manifest=replace(run.manifest, margin=margin)))
    steps = [step for climbed in found.ladders for step in climbed.steps]
    effects = {(step.lower, step.upper): Effect(step.difference, step.verdict) for step in steps}
    effects |= {
        (each.baseline, each.treatment): Effect(each.difference, each.verdict)
        for each in found.comparisons
    }
    return effects, [each for each in found.comparisons if each.control]


def _distrust(run: Run, controls: Sequence[JudgedComparison]) -> list[str]:
    """
    The effects that a run shows between equal deployments.
    """
    lines = []
    for each in controls:
        interval = each.trust_interval()
        if interval is not None and interval.excludes_zero:
            lines.append(
                f"run {run.name} is not trustworthy: {each.treatment} and {each.baseline} are the "
                f"same, but differ by {percent(interval.map(math.expm1))} "
                f"({TRUST_CONFIDENCE * 100:.0f} % interval), so every outcome is cannot tell"
            )
    return lines


def _notes(run: Run, controls: Sequence[JudgedComparison]) -> list[str]:
    """
    The limits of a run: incomplete, emulated, or without an A/A comparison.
    """
    manifest = run.manifest
    lines = []
    if manifest.state != COMPLETE:
        state = "not finished" if manifest.state == RUNNING else manifest.state
        lines.append(
            f"run {run.name} is {state}: it has {count(len(manifest.order), 'block')} of at least "
            f"{manifest.blocks}; stopping early with the result in sight biases it"
        )
    if manifest.machine.is_emulated:
        lines.append(
            f"run {run.name} is from an emulated machine: it tests the procedure, not the "
            "performance"
        )
    if not any(each.trust_interval() for each in controls):
        lines.append(
            f"run {run.name} has no A/A comparison, so the trustworthiness of its instrument is "
            "unknown"
        )
    return lines
