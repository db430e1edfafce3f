"""
The key metrics of the comparisons, in the form of the published report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import GOOD_PERCENT, plus_minus, sentence, table, time_difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.findings import Findings
    from analysis.statistics.estimates import Difference, VariantSummary
    from analysis.topics.comparisons.findings import JudgedComparison
    from experiments.records.manifest import Manifest


INTRODUCTION = (
    "Each cell is the mean over trials ± half the width of its 95 % interval (Student's t); rates "
    "have the harmonic mean. The difference is the treatment's relative to the baseline's, paired "
    "within blocks (mean log-ratio), with its 95 % interval. ab computes its mean latency as "
    "concurrency × time / requests, so mean latency and rate are one measurement. "
    f"Where an arm has less than {GOOD_PERCENT} good answers, times are *not comparable*: errors "
    "are quick."
)


def key_metrics(findings: Findings) -> str:
    """
    One table in the published form for each focal comparison, one table for all others.
    """
    manifest, compared, summaries = findings.manifest, findings.comparisons, findings.summaries
    focal = [each for each in compared if (each.baseline, each.treatment) in manifest.focal]
    shown = focal or compared
    parts = ["## Key metrics", INTRODUCTION, _which_is_which(findings, shown)]
    for each in shown:
        arms = [summaries[name] for name in (each.baseline, each.treatment)]
        parts.append(f"### {sentence(each.name)}: {each.about}")
        parts.append(
            _pair_table(arms, each.difference)
            if not _is_at_once(manifest, each)
            else _at_once_table(each, findings, arms)
        )
    others = [each for each in compared if focal and each not in focal]
    if others:
        parts.append("### The other comparisons")
        parts.append(_brief_table(others, summaries))
    if not compared:
        parts.append("One variant alone has no comparison.")
    return "\n\n".join(part for part in parts if part)


def _is_at_once(manifest: Manifest, each: JudgedComparison) -> bool:
    return {each.baseline, each.treatment} <= set(manifest.at_once)


def _which_is_which(findings: Findings, shown: Sequence[JudgedComparison]) -> str:
    """
    Which tables show which kind of load; empty without long loads.
    """
    manifest = findings.manifest
    named = [each.name for each in shown if _is_at_once(manifest, each)]
    if not named:
        return ""
    as_published = "" if manifest.stack else ", as published"
    return (
        f"**Two kinds of loads.** The tables of {', '.join(named)} show one load of "
        f"{manifest.requests_at_once} requests per trial{as_published}. Their row “Time per "
        f"request, short loads” shows the rounds, loads of {manifest.requests} requests. All other "
        "tables and all verdicts rest on the rounds, whose loads lie seconds apart."
    )


def _brief_table(
    compared: Sequence[JudgedComparison], summaries: Mapping[str, VariantSummary]
) -> str:
    rows = []
    for each in compared:
        arms = [summaries[each.baseline], summaries[each.treatment]]
        rates = [
            plus_minus(arm.means["requests_per_second"], 1) if arm.means else "–" for arm in arms
        ]
        differences = [
            time_difference(each.difference, metric) if each.difference else "–"
            for metric in ("us_per_request", "latency_p50_us", "latency_p99_us")
        ]
        reliability = " and ".join(map(_reliability, arms))
        name = f"{sentence(each.name)} (`{each.treatment}` against `{each.baseline}`)"
        blocks = str(each.difference.blocks if each.difference else 0)
        rows.append([name, *rates, *differences, reliability, blocks])
    headers = ["Comparison", "Baseline RPS", "Treatment RPS", "Time per request", "Median latency"]
    return table([*headers, "99th percentile latency", "Reliability", "Blocks"], rows)


def _at_once_table(
    each: JudgedComparison, findings: Findings, short: Sequence[VariantSummary]
) -> str:
    """
    The published form of the long loads, with a row for the time per request of short loads.
    """
    summaries = [findings.summaries_at_once.get(name) for name in (each.baseline, each.treatment)]
    arms = [arm for arm in summaries if arm is not None]
    if len(arms) < 2:
        return _pair_table(short, each.difference)
    beside = _row(
        ("Time per request, short loads (µs)", "us_per_request", 1, 0), short, each.difference
    )
    difference = findings.differences_at_once.between(each.baseline, each.treatment)
    requests = findings.manifest.requests_at_once
    kind = f"Metric (one load of {requests})"
    return _pair_table(arms, difference, kind, beside=[beside], tried=short)


Line = tuple[str, str, float, int]
"""A row of a table: label, metric, divisor, and the most decimals."""

LINES: list[Line] = [
    ("Requests per second (RPS)", "requests_per_second", 1, 2),
    ("Mean latency (ms)", "latency_mean_us", 1000, 2),
    ("Median latency (ms)", "latency_p50_us", 1000, 1),
    ("99th percentile latency (ms)", "latency_p99_us", 1000, 1),
    ("Time per request (µs)", "us_per_request", 1, 0),
]


def _row(line: Line, arms: Sequence[VariantSummary], difference: Difference | None) -> list[str]:
    label, metric, scale, digits = line
    cells = [
        plus_minus(arm.means[metric].map(lambda value: value / scale), digits) if arm.means else "–"
        for arm in arms
    ]
    return [label, *cells, time_difference(difference, metric) if difference else "–"]


def _pair_table(
    arms: Sequence[VariantSummary],
    difference: Difference | None,
    kind: str = "Metric",
    *,
    beside: Sequence[list[str]] = (),
    tried: Sequence[VariantSummary] | None = None,
) -> str:
    """
    The published form; ``tried`` has the arms with all trials, if ``arms`` leave some out.
    """
    rows = [
        *(_row(line, arms, difference) for line in LINES),
        *beside,
        ["Failed requests", *(f"{arm.requests_failed} of {arm.requests}" for arm in arms), ""],
        ["Reliability", *map(_reliability, arms), ""],
        [
            "Trials (blocks with both)",
            *(str(arm.trials) for arm in arms),
            str(difference.blocks if difference else 0),
        ],
    ]
    if any(arm.errors for arm in tried or arms):
        words = [_without_result(arm, counted=tried is None) for arm in tried or arms]
        rows.append(["Trials without a result", *words, ""])
    names = [
        f"{role} ({arm.variant})" for role, arm in zip(("Baseline", "Treatment"), arms, strict=True)
    ]
    return table([kind, *names, "Difference [95 % interval]"], rows)


def _reliability(summary: VariantSummary) -> str:
    if summary.reliability is None:
        return "–"
    # How many requests of an aborted load were answered is unknown.
    at_least = "at least " if summary.aborted else ""
    return f"{at_least}{summary.reliability * 100:.2f} %"


def _without_result(summary: VariantSummary, *, counted: bool) -> str:
    if not summary.aborted:
        return str(summary.errors)
    where = "counted in reliability only" if counted else "not counted in this table"
    return f"{summary.errors} ({summary.aborted} ended under load, {where})"
