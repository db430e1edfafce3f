"""
The published report's own tables: parameters, key metrics of each pair, variants in detail.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from analysis.formatting import count, percent, plus_minus, sentence, table, time_difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.findings import Findings
    from analysis.statistics.estimates import Difference, VariantSummary
    from analysis.topics.comparisons.findings import Comparison
    from experiments.records.manifest import Manifest

LONG_CELL = 600

INTRODUCTION = (
    "Each cell is the mean over trials, ± half the width of its 95 % confidence interval by "
    "Student's t; of rates it is the harmonic one. The difference is the treatment's relative to "
    "the baseline's, paired within blocks (mean log-ratio), with its 95 % interval. ab's mean "
    "latency is concurrency × time / requests, so it and the rate are one measurement, shown twice "
    "because the published table shows both. Errors are quick: where the shares of good answers "
    "differ, times are *not comparable*."
)


def parameters(findings: Findings) -> str:
    """
    How the load was made.
    """
    manifest = findings.manifest
    workload = manifest.workload
    rows = [
        ["Tool", f"Apache Benchmark (ab), {'with' if manifest.any_length else 'without'} `-l`"],
        ["Concurrency", str(manifest.concurrency)],
        ["Requests per load", str(manifest.requests)],
        ["Rounds, each with one load of every trial", _rounds(manifest)],
        ["Requests at once, never cut into loads", _at_once(manifest)],
        ["Requests before those, not counted", str(manifest.warmup_requests)],
        ["Endpoint", f"`{'POST' if workload.post_json else 'GET'} {workload.path}`"],
        ["Workload", f"{workload.name}: {workload.about}"],
        ["Services", ", ".join(workload.services)],
        ["Blocks", _blocks(manifest)],
        ["Counts as no difference", f"±{manifest.margin * 100:g} %"],
        ["Seed", str(manifest.seed)],
    ]
    return "## Benchmark parameters\n\n" + table(["Parameter", "Value"], rows)


def _rounds(manifest: Manifest) -> str:
    pilot = manifest.pilot.rounds
    if pilot is None:
        return str(manifest.rounds)
    return (
        f"{manifest.rounds}, by a pilot: in {count(pilot.rounds, 'round')} of "
        f"{pilot.requests} requests to each of {pilot.deployments} deployments of "
        f"{pilot.variant} the loads of one deployment differed by "
        f"{pilot.own_sd * 100:.1f} %, and deployments beyond that by "
        f"{pilot.between_sd * 100:.1f} % (standard deviations); a deployment costs "
        f"{pilot.deployment_s:.1f} s and a load {pilot.load_s:.1f} s, so that "
        f"{count(pilot.wanted_rounds, 'round')} would be best"
    )


def _at_once(manifest: Manifest) -> str:
    if not manifest.at_once:
        return "none"
    return f"{manifest.requests_at_once}, once in each trial of {', '.join(manifest.at_once)}"


def _blocks(manifest: Manifest) -> str:
    asked = f"{manifest.blocks} asked for"
    if manifest.half_width is not None:
        width = f"{manifest.half_width * 100:g} %"
        asked = f"at least {manifest.blocks}, and on until the half-width is {width}"
    ending = manifest.ending or "ended before that"
    return f"{count(len(manifest.order), 'block')} ({asked}); {ending}"


def key_metrics(findings: Findings) -> str:
    """
    What the run is for in the published form, one table each; one table for all else.
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
        parts.append("### The other comparisons, in brief")
        parts.append(_brief_table(others, summaries))
    if not compared:
        parts.append("One variant alone has nothing to be compared with.")
    return "\n\n".join(part for part in parts if part)


def _is_at_once(manifest: Manifest, each: Comparison) -> bool:
    return {each.baseline, each.treatment} <= set(manifest.at_once)


def _which_is_which(findings: Findings, shown: Sequence[Comparison]) -> str:
    """
    Which loads the tables are of, and by how much the two kinds differ; empty without both.
    """
    manifest = findings.manifest
    named = [each.name for each in shown if _is_at_once(manifest, each)]
    if not named:
        return ""
    words = (
        f"**Two kinds of loads.** The tables of {', '.join(named)} are of one load of "
        f"{manifest.requests_at_once} requests in each trial, as many as were published, on a "
        "thawed deployment. Their row “Time per request, short loads” is of the rounds, loads of "
        f"{manifest.requests} requests, and so are all other tables and all verdicts: the short "
        "loads of one round lie seconds apart, and are compared more closely."
    )
    found = [
        f"{name} {percent(interval)}" for name, interval in findings.short_against_at_once.items()
    ]
    if found:
        words += (
            " The beginning and the end of a load are a larger part of a short one. Beside one of "
            f"{manifest.requests_at_once} a request takes in short ones: {', '.join(found)}."
        )
    return words


def _brief_table(compared: Sequence[Comparison], summaries: Mapping[str, VariantSummary]) -> str:
    """
    One row for each comparison: both rates, three differences, how reliable both were.
    """
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


def _at_once_table(each: Comparison, findings: Findings, short: Sequence[VariantSummary]) -> str:
    """
    The published form of the loads at once, with the time per request of the short ones beside it.
    """
    found = [findings.summaries_at_once.get(name) for name in (each.baseline, each.treatment)]
    arms = [arm for arm in found if arm is not None]
    if len(arms) < 2:
        return _pair_table(short, each.difference)
    beside = _row(
        ("Time per request, short loads (µs)", "us_per_request", 1, 0), short, each.difference
    )
    difference = findings.differences_at_once.between(each.baseline, each.treatment)
    return _pair_table(arms, difference, beside=[beside], tried=short)


Line = tuple[str, str, float, int]
"""Of a table: label, metric, what it is divided by, and digits after the point."""

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
    beside: Sequence[list[str]] = (),
    tried: Sequence[VariantSummary] | None = None,
) -> str:
    """
    The published form; ``tried`` are the arms' trials, where ``arms`` are not all of them.
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
        f"{kind} ({arm.variant})" for kind, arm in zip(("Baseline", "Treatment"), arms, strict=True)
    ]
    return table(["Metric", *names, "Difference [95 % interval]"], rows)


def _reliability(summary: VariantSummary) -> str:
    if summary.reliability is None:
        return "–"
    # Of an aborted load nobody knows how many of its requests were answered.
    at_least = "at least " if summary.aborted else ""
    return f"{at_least}{summary.reliability * 100:.2f} %"


def _without_result(summary: VariantSummary, *, counted: bool) -> str:
    if not summary.aborted:
        return str(summary.errors)
    where = "counted in reliability alone" if counted else "counted nowhere in this table"
    return f"{summary.errors} ({summary.aborted} ended under load, {where})"


def details(findings: Findings) -> str:
    """
    Every variant by itself.
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
                f"{plus_minus(summary.means['requests_per_second'], 2)} ({low:.2f} to {high:.2f})",
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
    headers = ["Variant", "Levels", "Trials", "Failed trials", "RPS (least to greatest)"]
    headers += ["µs per request", "Non-2xx answers"]
    about = "\n".join(f"- **{each.name}**: {each.about}" for each in manifest.variants)
    shared = f"Levels are {_words(usual)}, where the table does not name another one."
    parts = ["## Variants in detail", about, shared, table(headers, rows)]
    return "\n\n".join(part for part in parts if part)


def _usual(manifest: Manifest) -> dict[str, str]:
    """
    The level of each factor that most variants have; of equally many, the one that comes first.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for variant in manifest.variants:
        for factor, level in variant.levels.items():
            counts[factor][level] += 1
    return {factor: found.most_common(1)[0][0] for factor, found in counts.items()}


def _words(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{factor} = {level}" for factor, level in levels.items())


def errors(findings: Findings) -> str:
    """
    The trials that failed, each with its reason; empty when there is none.
    """
    rows = [
        [str(trial.number), trial.variant, str(trial.block), trial.error[:LONG_CELL]]
        for trial in findings.trials
        if trial.error
    ]
    if not rows:
        return ""
    return "### Failed trials, and faults after a load\n\n" + table(
        ["Trial", "Variant", "Block", "Reason"], rows
    )
