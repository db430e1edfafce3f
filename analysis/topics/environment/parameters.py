"""
The parameters of a run's loads, rounds and blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import count, table

if TYPE_CHECKING:
    from analysis.findings import Findings
    from experiments.records.manifest import Manifest


def parameters(findings: Findings) -> str:
    """
    The parameters of the load.
    """
    manifest = findings.manifest
    workload = manifest.workload
    rows = [
        ["Tool", f"Apache Benchmark (ab), {_lengths(findings)}"],
        ["Concurrency", str(manifest.concurrency)],
        ["Requests per load", str(manifest.requests)],
        ["Rounds per block", _rounds(manifest)],
        ["Requests at once", _at_once(manifest)],
        ["Warm-up requests", str(manifest.warmup_requests)],
        ["Endpoint", f"`{workload.verb} {workload.path}`"],
        ["Workload", f"{workload.name}: {workload.about}"],
        ["Services", ", ".join(workload.services)],
        ["Blocks", _blocks(manifest)],
        ["Equivalence margin", f"±{manifest.margin * 100:g} %"],
        ["Seed", str(manifest.seed)],
    ]
    return "## Benchmark parameters\n\n" + table(["Parameter", "Value"], rows)


def _lengths(findings: Findings) -> str:
    """
    Whether ab compared lengths: where all good answers have the same one, it does.
    """
    commands = [trial.load.command for trial in findings.trials if trial.load]
    return f"{'with' if any('-l' in each for each in commands) else 'without'} `-l`"


def _rounds(manifest: Manifest) -> str:
    pilot = manifest.pilot.rounds
    if pilot is None:
        return str(manifest.rounds)
    return (
        f"{manifest.rounds}, by a pilot ({count(pilot.rounds, 'round')} of {pilot.requests} "
        f"requests to {pilot.deployments} deployments of {pilot.variant}): standard deviation "
        f"{pilot.own_sd * 100:.1f} % within and {pilot.between_sd * 100:.1f} % between "
        "deployments; "
        f"{pilot.deployment_s:.1f} s a deployment, {pilot.load_s:.1f} s a load; "
        f"{count(pilot.wanted_rounds, 'round')} are best"
    )


def _at_once(manifest: Manifest) -> str:
    if not manifest.at_once:
        return "none"
    return f"{manifest.requests_at_once}, once in each trial of {', '.join(manifest.at_once)}"


def _blocks(manifest: Manifest) -> str:
    asked = f"{manifest.blocks} asked for"
    if manifest.half_width is not None:
        width = f"{manifest.half_width * 100:g} %"
        asked = f"at least {manifest.blocks}, until the half-width is {width}"
    ending = manifest.ending or "ended before that"
    return f"{count(len(manifest.order), 'block')} ({asked}); {ending}"
