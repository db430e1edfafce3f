"""
Each variant by itself, and the trials that failed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from analysis.formatting import plus_minus, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.findings import Findings
    from experiments.records.manifest import Manifest

LONG_CELL = 600


def details(findings: Findings) -> str:
    """
    One row for each variant.
    """
    manifest, summaries = findings.manifest, findings.summaries
    usual = _usual(manifest)
    rows = []
    for variant in manifest.variants:
        summary = summaries[variant.name]
        levels = _words(
            {name: level for name, level in variant.levels.items() if usual.get(name) != level}
        )
        cells = ["–"] * 2
        if summary.means:
            low, high = summary.ranges["requests_per_second"]
            cells = [
                f"{plus_minus(summary.means['requests_per_second'], 2)} ({low:.0f} to {high:.0f})",
                plus_minus(summary.means["us_per_request"]),
            ]
        rows.append(
            [
                summary.variant,
                levels,
                str(summary.trials),
                str(summary.errors),
                *cells,
                str(summary.responses_non_2xx),
            ]
        )
    headers = ["Variant", "Levels", "Trials", "Failed trials", "RPS (minimum to maximum)"]
    headers += ["µs per request", "Non-2xx answers"]
    about = "\n".join(f"- **{each.name}**: {each.about}" for each in manifest.variants)
    shared = f"Levels, unless the table names another: {_words(usual)}."
    parts = ["## Variants in detail", about, shared, table(headers, rows)]
    return "\n\n".join(part for part in parts if part)


def _usual(manifest: Manifest) -> dict[str, str]:
    """
    The most frequent level of each factor; the first one in a tie.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for variant in manifest.variants:
        for factor, level in variant.levels.items():
            counts[factor][level] += 1
    return {factor: levels.most_common(1)[0][0] for factor, levels in counts.items()}


def _words(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{factor} = {level}" for factor, level in levels.items())


def errors(findings: Findings) -> str:
    """
    The failed trials with their reasons; empty without any.
    """
    rows = [
        [str(trial.number), trial.variant, str(trial.block), trial.error[:LONG_CELL]]
        for trial in findings.trials
        if trial.error
    ]
    if not rows:
        return ""
    return "## Failed trials, and faults after a load\n\n" + table(
        ["Trial", "Variant", "Block", "Reason"], rows
    )
