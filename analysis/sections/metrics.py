"""
The published report's own tables: parameters, key metrics of each pair, variants in detail.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from analysis.formatting import count, percent, plus_minus, sentence, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.comparisons import Comparison
    from analysis.estimates import Difference, VariantSummary
    from experiments.records import Manifest, TrialRecord

LONG_CELL = 600


def parameters(manifest: Manifest) -> str:
    """
    How the load was made.
    """
    workload = manifest.workload
    rows = [
        ["Tool", f"Apache Benchmark (ab), {'with' if manifest.any_length else 'without'} `-l`"],
        ["Concurrency", str(manifest.concurrency)],
        ["Requests per trial", _requests(manifest)],
        ["Requests before those, not counted", str(manifest.warmup_requests)],
        ["Endpoint", f"`{'POST' if workload['post_json'] else 'GET'} {workload['path']}`"],
        ["Workload", f"{workload['name']}: {workload['about']}"],
        ["Services", ", ".join(workload["services"])],
        ["Blocks", _blocks(manifest)],
        ["Counts as no difference", f"±{manifest.margin * 100:g} %"],
        ["Seed", str(manifest.seed)],
    ]
    return "## Benchmark parameters\n\n" + table(["Parameter", "Value"], rows)


def _requests(manifest: Manifest) -> str:
    pilot = manifest.pilot
    if "own_sd" not in pilot:
        return str(manifest.requests)
    return (
        f"{manifest.requests}, by a pilot: {pilot['loads']} loads of {pilot['requests']} requests "
        f"to each of {pilot['deployments']} deployments of {pilot['variant']} differed by "
        f"{pilot['own_sd'] * 100:.1f} %, the deployments beyond that by "
        f"{pilot['between_sd'] * 100:.1f} % (standard deviations)"
    )


def _blocks(manifest: Manifest) -> str:
    asked = f"{manifest.blocks} asked for"
    if manifest.half_width is not None:
        width = f"{manifest.half_width * 100:g} %"
        asked = f"at least {manifest.blocks}, and on until the half-width is {width}"
    ending = manifest.ending or "ended before that"
    return f"{count(len(manifest.order), 'block')} ({asked}); {ending}"


def key_metrics(
    manifest: Manifest,
    compared: Sequence[Comparison],
    summaries: dict[str, VariantSummary],
) -> str:
    """
    What the run is for in the published form, one table each; one table for all else.
    """
    intro = (
        "Each cell is the mean over trials, ± half the width of its 95 % confidence interval by "
        "Student's t; of rates it is the harmonic one. The difference is the treatment's relative "
        "to the baseline's, paired within blocks (mean log-ratio), with its 95 % interval. ab's "
        "mean latency is concurrency × time / requests, so it and the rate are one measurement, "
        "shown twice because the published table shows both."
    )
    focal = [each for each in compared if [each.baseline, each.treatment] in manifest.focal]
    parts = ["## Key metrics", intro]
    for each in focal or compared:
        baseline, treatment = summaries[each.baseline], summaries[each.treatment]
        parts.append(f"### {sentence(each.name)}: {each.about}")
        parts.append(_pair_table(baseline, treatment, each.difference))
    others = [each for each in compared if focal and each not in focal]
    if others:
        parts.append("### The other comparisons, in brief")
        parts.append(_brief_table(others, summaries))
    if not compared:
        parts.append("One variant alone has nothing to be compared with.")
    return "\n\n".join(parts)


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
            percent(each.difference.relative[metric]) if each.difference else "–"
            for metric in ("us_per_request", "latency_p50_us", "latency_p99_us")
        ]
        reliability = " and ".join(map(_reliability, arms))
        name = f"{sentence(each.name)} (`{each.treatment}` against `{each.baseline}`)"
        blocks = str(each.difference.blocks if each.difference else 0)
        rows.append([name, *rates, *differences, reliability, blocks])
    headers = ["Comparison", "Baseline RPS", "Treatment RPS", "Time per request", "Median latency"]
    return table([*headers, "99th percentile latency", "Reliability", "Blocks"], rows)


def _pair_table(
    baseline: VariantSummary, treatment: VariantSummary, difference: Difference | None
) -> str:
    def row(label: str, metric: str, scale: float, digits: int) -> list[str]:
        cells = [
            plus_minus(summary.means[metric].map(lambda value: value / scale), digits)
            if summary.means
            else "–"
            for summary in (baseline, treatment)
        ]
        return [label, *cells, percent(difference.relative[metric]) if difference else "–"]

    rows = [
        row("Requests per second (RPS)", "requests_per_second", 1, 2),
        row("Mean latency (ms)", "latency_mean_us", 1000, 2),
        row("Median latency (ms)", "latency_p50_us", 1000, 1),
        row("99th percentile latency (ms)", "latency_p99_us", 1000, 1),
        row("Time per request (µs)", "us_per_request", 1, 0),
        [
            "Failed requests",
            *(f"{each.requests_failed} of {each.requests}" for each in (baseline, treatment)),
            "",
        ],
        ["Reliability", _reliability(baseline), _reliability(treatment), ""],
        [
            "Trials (blocks with both)",
            str(baseline.trials),
            str(treatment.trials),
            str(difference.blocks if difference else 0),
        ],
    ]
    if baseline.errors or treatment.errors:
        rows.append(["Trials without a result", *map(_without_result, (baseline, treatment)), ""])
    names = [
        f"{kind} ({summary.variant})"
        for kind, summary in (("Baseline", baseline), ("Treatment", treatment))
    ]
    return table(["Metric", *names, "Difference [95 % interval]"], rows)


def _reliability(summary: VariantSummary) -> str:
    if summary.reliability is None:
        return "–"
    # Of an aborted load nobody knows how many of its requests were answered.
    at_least = "at least " if summary.aborted else ""
    return f"{at_least}{summary.reliability * 100:.2f} %"


def _without_result(summary: VariantSummary) -> str:
    if not summary.aborted:
        return str(summary.errors)
    return f"{summary.errors} ({summary.aborted} ended under load, counted in reliability alone)"


def details(manifest: Manifest, summaries: dict[str, VariantSummary]) -> str:
    """
    Every variant by itself.
    """
    usual = _usual(manifest)
    rows = []
    for variant in manifest.variants:
        summary = summaries[variant["name"]]
        levels = _words(
            {name: level for name, level in variant["levels"].items() if usual.get(name) != level}
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
    about = "\n".join(f"- **{each['name']}**: {each['about']}" for each in manifest.variants)
    shared = f"Levels are {_words(usual)}, where the table does not name another one."
    parts = ["## Variants in detail", about, shared, table(headers, rows)]
    return "\n\n".join(part for part in parts if part)


def _usual(manifest: Manifest) -> dict[str, str]:
    """
    The level of each factor that most variants have; of equally many, the one that comes first.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for variant in manifest.variants:
        for factor, level in variant["levels"].items():
            counts[factor][level] += 1
    return {factor: found.most_common(1)[0][0] for factor, found in counts.items()}


def _words(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{factor} = {level}" for factor, level in levels.items())


def errors(trials: Sequence[TrialRecord]) -> str:
    """
    The trials that failed, each with its reason; empty when there is none.
    """
    rows = [
        [str(trial.number), trial.variant, str(trial.block), trial.error[:LONG_CELL]]
        for trial in trials
        if trial.error
    ]
    if not rows:
        return ""
    return "### Failed trials, and faults after a load\n\n" + table(
        ["Trial", "Variant", "Block", "Reason"], rows
    )
