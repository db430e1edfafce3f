"""
One measurement from the host's side: folder, machine, execution, and outcome.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.declare.reading import VARIANTS_FILE
from experiments.declare.writing import variants_toml
from experiments.errors import INTERRUPTED_STATUS, HostError, ResultsError
from experiments.host.comparable import code_digest
from experiments.host.stack import plan_stack
from experiments.paths import PROJECT
from experiments.processes import Process, ignore_stops
from experiments.records.folder import claim, make_folder, unwritable, write
from experiments.records.manifest import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    ROUNDS_WANTED,
    RUNNING,
    Manifest,
    Session,
    Source,
)
from experiments.records.sessions import outcome
from experiments.records.store import checked_trials, read_manifest, write_manifest

if TYPE_CHECKING:
    from experiments.declare.variants import Variant
    from experiments.machines import Machine


GIT_TIMEOUT_S = 60


def measure(machine: Machine, reason: str, results: Path, manifest: Manifest) -> int:
    """
    Create the run's folder, bring the machine up, run the plan; return the exit status.

    ``reason`` says which machine was chosen and why. Raises BridgetollError if the machine cannot
    come up; the folder is then removed.
    """
    # First, so that a folder without write permission fails before minutes of building.
    run = new_run(results, manifest.run)
    try:
        machine.up()
        manifest = plan_stack(machine, run, manifest)
        machine_record, userland = machine.facts()
        manifest = dataclasses.replace(
            keep_variants(run, manifest),
            run=run.name,
            machine=dataclasses.replace(machine_record, reason=reason),
            userland=userland,
            code_sha256=code_digest(),
            sessions=[own_session(manifest.minutes)],
        )
        write_manifest(run, manifest)
    except BaseException:
        shutil.rmtree(run)
        raise
    # Now too, so that the user can write a report if this process is killed.
    give_back(run)
    try:
        return carry_out(machine, run, manifest)
    finally:
        give_back(run)


def carry_out(machine: Machine, run: Path, manifest: Manifest) -> int:
    """
    Run the plan, fetch its results, and print the outcome; return the exit status.
    """
    rounds = f"{manifest.rounds} rounds of {manifest.requests} requests per block"
    if manifest.pilot.wanted == ROUNDS_WANTED and manifest.pilot.rounds is None:
        rounds = "a pilot chooses the number of rounds"
    print(
        f"run {run.name}: {len(manifest.variants)} variants side by side, {rounds}; "
        f"{until(manifest)}; Ctrl-C stops the run and keeps finished trials",
        flush=True,
    )
    reason = ""
    try:
        try:
            machine.push(run)
            status = machine.execute(run, manifest.stack)
        finally:
            # However it ended: a stop that comes now must not keep the end out of the manifest.
            ignore_stops()
    except HostError as error:
        status, reason = error.exit_status, str(error)
        print(f"error: {reason}", file=sys.stderr)
    except KeyboardInterrupt:
        status = INTERRUPTED_STATUS
    try:
        machine.pull(run)
    except HostError as error:
        # The results are still on the machine's disk; the message says how to fetch them.
        reason = reason or str(error)
        status = status or error.exit_status
        print(f"error: {error}", file=sys.stderr)
    after = read_manifest(run)
    if reason or after.state == RUNNING:
        note = reason or f"the run ended early with status {status}"
        state = INTERRUPTED if status == INTERRUPTED_STATUS and not reason else FAILED
        after = after.ended(state, note, after.finished_at or time.time())
        write_manifest(run, after)
    recorded, set_aside = checked_trials(run, after)
    done = [trial for trial in recorded if trial.load is not None]
    failed = len(recorded) + len(set_aside) - len(done)
    trials = sum(len(part) for parts in after.order for part in parts)
    print(f"{len(done)} of {trials} trials succeeded" + (f", {failed} failed" if failed else ""))
    print(f"results: {run}")
    if words := outcome(run, after, recorded):
        print(words)
    if status == 0 and failed and after.state == COMPLETE:
        print("the report names each failed trial and the reason")
        return 1
    return status


def own_session(minutes: float, after_block: int = 0) -> Session:
    """
    A session of this process, which begins now.
    """
    owner = str(Process.of(os.getpid()))
    return Session(time.time(), minutes, after_block, owner)


def until(manifest: Manifest) -> str:
    """
    The end of the run, in words: blocks, targets and time budget.
    """
    blocks = f"{manifest.blocks} blocks"
    if manifest.targets:
        numbers = Counter(each.half_width * 100 for each in manifest.targets)
        known = ", ".join(f"{numbers[width]} to ±{width:g} %" for width in sorted(numbers))
        blocks += f" or more, until the differences are known: {known}"
    return f"{blocks}, within {manifest.minutes:g} min"


def new_run(results: Path, name: str) -> Path:
    """
    Create the folder of a new run.

    Raises ResultsError if that is not possible.
    """
    try:
        make_folder(results)
        run = results / name
        number = 2
        while run.exists():
            run = results / f"{name}-{number}"
            number += 1
        make_folder(run)
    except OSError as error:
        msg = f"{unwritable(error, results)}, or choose another folder with --results"
        raise ResultsError(msg) from error
    return run


def keep_variants(run: Path, manifest: Manifest) -> Manifest:
    """
    Copy the user's variants file and override files into the run, so that it can be repeated.

    Raises ResultsError if a file cannot be copied.
    """
    try:
        return _keep_variants(run, manifest)
    except OSError as error:
        what = error.filename or "the variants file"
        msg = f"cannot copy {what} into {run}: {error.strerror or error}"
        raise ResultsError(msg) from error


def _keep_variants(run: Path, manifest: Manifest) -> Manifest:
    variants = [
        dataclasses.replace(
            each,
            overlays=keep_overlays(run, each),
            overlays_sha256=tuple(
                hashlib.sha256(overlay.read_bytes()).hexdigest() for overlay in each.overlays
            ),
        )
        for each in manifest.variants
    ]
    if not manifest.variants_file:
        return dataclasses.replace(manifest, variants=variants)
    text = variants_toml(
        variants, manifest.comparisons, manifest.ladders, manifest.wholes, manifest.search
    )
    write(run, VARIANTS_FILE.name, text.encode())
    return dataclasses.replace(manifest, variants=variants, variants_file=VARIANTS_FILE.name)


def keep_overlays(run: Path, variant: Variant) -> tuple[Path, ...]:
    """
    Copy a variant's override files into the run; return their paths relative to the run.
    """
    kept = []
    for number, overlay in enumerate(variant.overlays, start=1):
        name = f"overlays/{variant.name}-{number}-{overlay.name}"
        write(run, name, overlay.read_bytes())
        kept.append(Path(name))
    return tuple(kept)


def git_state() -> Source | None:
    """
    The checkout's commit and whether files differ from it; None outside a git repository.
    """
    git = ["git", "-c", "safe.directory=*", "-C", str(PROJECT)]
    commit = run_command([*git, "rev-parse", "HEAD"], limit_s=GIT_TIMEOUT_S)
    status = run_command([*git, "status", "--porcelain"], limit_s=GIT_TIMEOUT_S)
    if not (commit.ok and status.ok):
        return None
    return Source(commit.text.strip(), changed=bool(status.text.strip()))


def give_back(run: Path) -> None:
    """
    Make the user the owner of the run, without what the lab should not have left there.
    """
    for words in claim(run):
        print(f"warning: {words}", file=sys.stderr)
