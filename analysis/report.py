"""
Rendering ``report.md``: pure functions from a run's records to text, the same to the byte.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from analysis.estimates import compare, summarise
from experiments.records import COMPLETE, ERROR, RUNNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.estimates import Difference, Interval, VariantSummary
    from experiments.records import Manifest, TrialRecord

FEW_BLOCKS = 5
"""Below this the report says that its intervals are wide by nature."""

LONG_CELL = 600


def render(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    The whole report.
    """
    summaries = {
        table["name"]: summarise(table["name"], trials, manifest.requests)
        for table in manifest.variants
    }
    pairs = [
        (pair, compare(pair["baseline"], pair["treatment"], trials))
        for pair in manifest.comparisons
    ]
    sections = [
        "# Performance comparison report: Linux network namespaces and Docker",
        _warnings(manifest, trials),
        _overview(manifest, trials, pairs),
        _parameters(manifest),
        _key_metrics(pairs, summaries),
        _details(manifest, summaries),
        _errors(trials),
        _conclusions(pairs),
        _environment(manifest, trials),
        _reproduce(manifest),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    A Markdown table of cells that are formatted already.
    """
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return tabulate(escaped, headers=list(headers), tablefmt="pipe", disable_numparse=True)


def percent(interval: Interval, digits: int = 1) -> str:
    """
    A relative difference in per cent with its interval, signs written out.
    """
    centre = f"{interval.estimate * 100:+.{digits}f} %"
    if interval.low is None or interval.high is None:
        return f"{centre} [no interval: one block]"
    return f"{centre} [{interval.low * 100:+.{digits}f}, {interval.high * 100:+.{digits}f}]"


def microseconds(interval: Interval) -> str:
    """
    An absolute difference in microseconds with its interval, signs written out.
    """
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:+.0f} µs [no interval: one block]"
    return f"{interval.estimate:+.0f} µs [{interval.low:+.0f}, {interval.high:+.0f}]"


def count(number: int, noun: str) -> str:
    """
    A number with its noun, in the plural where it must be.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def verdict(pair: dict[str, str], difference: Difference | None) -> str:
    """
    One sentence on one comparison that says no more than its interval does.
    """
    name = f"**{pair['name']}** ({pair['treatment']} against {pair['baseline']})"
    if difference is None:
        return f"{name}: no block has a trial of both, so nothing can be said."
    blocks = count(difference.blocks, "block")
    relative = difference.relative["us_per_request"]
    cost = f"{percent(relative)} time per request, {microseconds(difference.us_per_request)}"
    if relative.low is None:
        return f"{name}: {cost}. One block gives no interval, so this is a reading, not a result."
    if not relative.excludes_zero:
        return f"{name}: cannot tell; {cost}; the interval holds zero ({blocks})."
    word = "slower" if relative.estimate > 0 else "faster"
    return f"{name}: {pair['treatment']} is {word}; {cost} ({blocks})."


def _warnings(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    lines = _disturbances(manifest)
    if manifest.state != COMPLETE:
        done = sum(trial.status != ERROR for trial in trials)
        planned = sum(map(len, manifest.order))
        # A run that nobody ended still says that it is running.
        what = "did not end" if manifest.state == RUNNING else f"is {manifest.state}"
        lines.append(
            f"**This run {what}**: {done} of {planned} planned trials have a result. "
            f"{manifest.note}"
        )
    failed = [trial for trial in trials if trial.status == ERROR]
    if failed:
        lines.append(f"**{len(failed)} of {len(trials)} trials failed**; they are listed below.")
    apart = [trial.placement["pinned"] and trial.placement["apart"] for trial in trials]
    if not all(apart):
        lines.append(
            "**Client and stack shared CPUs**: the client's own work is part of every number."
        )
    return "\n\n".join(f"> {line.strip()}" for line in lines)


STOLEN_SHARE = 0.01
"""Above this share of a run's CPU time a hypervisor's theft is said at the top."""

BRIDGE_NETFILTER_ON = "bridge-nf-call-iptables:1"


def _disturbances(manifest: Manifest) -> list[str]:
    lines = []
    if manifest.machine.get("acceleration") == "emulation":
        lines.append(
            "**Emulated machine**: this ran in a VM without hardware virtualisation. It proves the "
            "procedure, not the performance; no number here says what Docker costs on real CPUs."
        )
    seen = manifest.environment
    if seen.get("stolen_s") and seen.get("observed_s") and seen.get("cpus_online"):
        share = seen["stolen_s"] / (seen["observed_s"] * seen["cpus_online"])
        if share > STOLEN_SHARE:
            lines.append(
                f"**The hypervisor took {share * 100:.1f} % of the CPU time** for others while "
                "this ran; that widens the intervals, and the rates would be higher without."
            )
    for variant in manifest.variants:
        state = manifest.network_state.get(variant["name"])
        container = variant["levels"].get("runtime") == "container"
        if state and container and not any(BRIDGE_NETFILTER_ON in s for s in state["sysctls"]):
            lines.append(
                f"**{variant['name']} ran without br_netfilter**, which a Docker host has: frames "
                "between containers passed no firewall rules, so Docker looks cheaper here."
            )
    return lines


def _overview(
    manifest: Manifest,
    trials: Sequence[TrialRecord],
    pairs: Sequence[tuple[dict[str, str], Difference | None]],
) -> str:
    day = datetime.fromtimestamp(manifest.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    blocks = max((trial.block for trial in trials), default=0)
    intro = (
        "One microservice stack, deployed afresh for every trial, as plain processes in raw Linux "
        "network namespaces and by Docker Compose: the same files, the same interpreter, the same "
        f"Compose file. Run {manifest.run}, begun {day}: {count(blocks, 'block')} of "
        f"{count(len(manifest.variants), 'variant')} in random order, on "
        f"{manifest.machine.get('reason', 'an unknown machine')}."
    )
    lines = [f"- {verdict(pair, difference)}" for pair, difference in pairs]
    return "\n\n".join(["## Overview", intro, "\n".join(lines)])


def _parameters(manifest: Manifest) -> str:
    workload = manifest.workload
    rows = [
        ["Tool", f"Apache Benchmark (ab), {'with' if manifest.any_length else 'without'} `-l`"],
        ["Concurrency", str(manifest.concurrency)],
        ["Requests per trial", str(manifest.requests)],
        ["Requests before those, not counted", str(manifest.warmup_requests)],
        ["Endpoint", f"`{'POST' if workload['post_json'] else 'GET'} {workload['path']}`"],
        ["Workload", f"{workload['name']}: {workload['about']}"],
        ["Services", ", ".join(workload["services"])],
        ["Blocks planned", str(manifest.blocks)],
        ["Seed", str(manifest.seed)],
    ]
    return "## Benchmark parameters\n\n" + table(["Parameter", "Value"], rows)


def _key_metrics(
    pairs: Sequence[tuple[dict[str, str], Difference | None]],
    summaries: dict[str, VariantSummary],
) -> str:
    intro = (
        "Each cell is the median over trials. The difference is the treatment's relative to the "
        "baseline's, paired within blocks (mean log-ratio), with its 95 % confidence interval by "
        "Student's t. ab's mean latency is concurrency × time / requests, so it and the rate are "
        "one measurement, shown twice because the published table shows both."
    )
    parts = ["## 1. Key metrics", intro]
    for pair, difference in pairs:
        baseline, treatment = summaries[pair["baseline"]], summaries[pair["treatment"]]
        parts.append(f"### {pair['name'].capitalize()}: {pair['about']}")
        parts.append(_pair_table(baseline, treatment, difference))
    if not pairs:
        parts.append("One variant alone has nothing to be compared with.")
    return "\n\n".join(parts)


def _pair_table(
    baseline: VariantSummary, treatment: VariantSummary, difference: Difference | None
) -> str:
    def row(label: str, metric: str, scale: float, digits: int) -> list[str]:
        cells = [
            f"{summary.medians[metric] / scale:.{digits}f}" if summary.medians else "–"
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


def _details(manifest: Manifest, summaries: dict[str, VariantSummary]) -> str:
    rows = []
    for variant in manifest.variants:
        summary = summaries[variant["name"]]
        levels = ", ".join(f"{factor} {level}" for factor, level in variant["levels"].items())
        cells = ["–"] * 2
        if summary.medians:
            low, high = summary.ranges["requests_per_second"]
            cells = [
                f"{summary.medians['requests_per_second']:.2f} ({low:.2f} to {high:.2f})",
                f"{summary.medians['us_per_request']:.0f}",
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
    headers = ["Variant", "Levels", "Trials", "Failed trials", "RPS, median (least to greatest)"]
    headers += ["µs per request, median", "Non-2xx answers"]
    about = "\n".join(f"- **{each['name']}**: {each['about']}" for each in manifest.variants)
    return "\n\n".join(["## 2. Variants in detail", about, table(headers, rows)])


def _errors(trials: Sequence[TrialRecord]) -> str:
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


def _conclusions(pairs: Sequence[tuple[dict[str, str], Difference | None]]) -> str:
    lines = [f"- {verdict(pair, difference)}" for pair, difference in pairs]
    limits = []
    blocks = [difference.blocks for _, difference in pairs if difference is not None]
    if blocks and min(blocks) < FEW_BLOCKS:
        limits.append(
            f"{count(min(blocks), 'block')} of each: an interval from so few is wide by nature, "
            "and does not speak against a difference that it fails to resolve."
        )
    limits += [
        "A difference between whole systems does not say which part of it costs what.",
        (
            "The runtimes differ in all that each brings by default. Only containers have a "
            "seccomp filter, fewer capabilities, firewall rules with connection "
            "tracking on their path, and output through a shim and a log driver (raw-namespace "
            "services write to a file); and only beside containers do a daemon, containerd and "
            "shims run, on the stack's CPUs."
        ),
        "The numbers are this machine's; the differences in per cent carry further than the rates.",
    ]
    return "\n\n".join(
        [
            "## 3. Conclusions",
            "\n".join(lines),
            "What this run does not say:",
            "\n".join(f"- {line}" for line in limits),
        ]
    )


def _environment(manifest: Manifest, trials: Sequence[TrialRecord]) -> str:
    seen: dict[str, Any] = manifest.environment
    userland: dict[str, Any] = manifest.userland
    placement = trials[0].placement if trials else {}
    packages = userland.get("packages", {})
    wheels = userland.get("wheels", {})
    memory = seen.get("memory_bytes")
    pinned = "pinning unknown"
    if "pinned" in placement:
        pinned = "pinned" if placement["pinned"] else "not pinned"
    stolen_s = seen.get("stolen_s")
    rows = [
        ["Machine", manifest.machine.get("reason", "unknown")],
        *_virtual_machine(manifest.machine),
        ["Kernel", f"{seen.get('kernel')} ({seen.get('architecture')})"],
        ["CPU", f"{seen.get('cpu_model')}, {len(seen.get('cpus', []))} CPUs"],
        ["Virtualised", _yes_no(seen.get("virtualised"))],
        ["Memory", f"{memory / 2**30:.1f} GiB" if memory else "unknown"],
        ["Control groups", str(seen.get("cgroup_layout"))],
        ["Clock source", str(seen.get("clock_source"))],
        [
            "Placement",
            (
                f"client on CPU {_numbers(placement.get('client'))}, stack on CPU "
                f"{_numbers(placement.get('stack'))}, {pinned}"
            ),
        ],
        [
            "CPU time stolen by the hypervisor",
            "unknown" if stolen_s is None else f"{stolen_s:.2f} s",
        ],
        [
            "Userland",
            (
                f"Debian 13, inputs {_known(userland.get('digest'))}, "
                f"content SHA-256 {_known(userland.get('content_sha256'))[:16]}"
            ),
        ],
        ["Docker", f"{packages.get('docker.io')}, runc {packages.get('runc')}"],
        [
            "Python",
            f"{seen.get('python')}, Flask {wheels.get('flask')}, Werkzeug {wheels.get('werkzeug')}",
        ],
        ["ab", str(packages.get("apache2-utils"))],
        ["Project", _project(manifest.git)],
    ]
    return "## Environment\n\n" + table(["What", "Value"], rows)


def _virtual_machine(machine: dict[str, Any]) -> list[list[str]]:
    if "box" not in machine:
        return []
    box = machine["box"]
    return [
        ["Hypervisor", f"{machine['hypervisor']} by {machine['provider']}"],
        ["Acceleration", machine["acceleration"]],
        ["Box", f"{box['name']} {box['version']}, SHA-256 {box['sha256']}"],
    ]


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _yes_no(value: object) -> str:
    return (
        {True: "yes", False: "no"}.get(bool(value), "unknown") if value is not None else "unknown"
    )


def _numbers(cpus: Sequence[int] | None) -> str:
    return ", ".join(map(str, cpus or [])) or "unknown"


def _project(git: dict[str, Any]) -> str:
    if not git:
        return "not from a repository"
    return f"commit {git['commit'][:12]}" + (", with changed files" if git["changed"] else "")


def _reproduce(manifest: Manifest) -> str:
    names = ",".join(variant["name"] for variant in manifest.variants)
    command = (
        f"nox -s measure -- --variants {names} --workload {manifest.workload['name']} "
        f"--blocks {manifest.blocks} --minutes {manifest.minutes:g} --seed {manifest.seed} "
        f"--requests {manifest.requests} --concurrency {manifest.concurrency} "
        f"--warmup-requests {manifest.warmup_requests}"
    )
    run = " ".join(f"results/{name}" for name in manifest.run.split(" + "))
    if not manifest.any_length:
        command += " --same-length"
    if manifest.variants_file:
        command += f" --variants-file {run}/{manifest.variants_file}"
    mirror = manifest.userland.get("mirror", "default")
    if mirror != "default":
        command += f" --mirror {mirror}"
    commit = manifest.git.get("commit")
    checkout = f"a checkout of commit {commit}" if commit else "a checkout"
    if manifest.git.get("changed"):
        checkout += " (whose files were changed, so what ran is not quite that commit)"
    return "\n\n".join(
        [
            "## How to reproduce",
            f"On a Debian or Ubuntu machine, as root, with Python 3.11 or later, in {checkout}:",
            f"```\npip install nox\n{command}\n```",
            (
                f"Where the run's folder is not {run}, name it instead. This report is made again "
                "from it, without root, by:"
            ),
            f"```\nnox -s report -- {run}\n```",
            (
                "`trials.jsonl` holds one record for each trial, `raw/` what the tools printed, "
                "and `manifest.json` the machine, its settings, every version, and the order of "
                "the trials."
            ),
        ]
    )
