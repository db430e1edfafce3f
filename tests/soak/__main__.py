"""
Kill runs at random, or watch a long one: ``python -m tests.soak [--kills N] [--blocks N]``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.host.guest import stop_at_end_of_input
from experiments.machines.local import cache_directory
from experiments.paths import PROJECT
from experiments.processes import hear_stops
from tests.soak.endurance import endurance_table, endure
from tests.soak.kills import Soak, completes
from tests.soak.plans import IN_THE_VM, PHASES, Outcome, Plan
from tests.soak.session import VARIANTS
from tests.soak.vm import kill_in_vm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DESCRIPTION = """\
Kill tiny runs at random moments, in every phase, and every process of them, half of the time two
processes within two seconds. After each kill: nothing is left on the host within 5 s after the end
of the run, no load that ended is lost, every record can be read and reported, and the next run
starts. Root; about 10 s for a kill. With --blocks, watch one long run of tiny loads instead.
"""
EPILOG = """\
examples:
  nox -s soak                                  100 kills, 20 minutes
  nox -s soak -- --kills 400 --seed 7          all of another seed
  nox -s soak -- --only 7-31 7-32              these kills again, each in a run of its own
  nox -s soak -- --vm --minutes 30             in the VM, on cgroup v2
  nox -s soak -- --blocks 500                  memory, open files, control groups, mounts, disk

Each kill is a line of JSON in the results: its seed, phase, targets, signals, and faults. A fault
is printed at once, with the seed that repeats it; its run is kept beside the results.

exit status: 0 without a fault, 1 with one
"""


def parser() -> argparse.ArgumentParser:
    """
    The options of ``nox -s soak``.
    """
    made = argparse.ArgumentParser(
        prog="nox -s soak",
        usage="nox -s soak -- [--kills N] [--minutes M] [--seed WORD] [--only SEED …] [--blocks N]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--kills", type=int, default=100, metavar="N", help="default: %(default)s")
    made.add_argument(
        "--minutes", type=float, metavar="M", help="no further kill begins after so many minutes"
    )
    made.add_argument(
        "--seed", metavar="WORD", help="seed of the random kills. Default: the commit"
    )
    made.add_argument("--only", nargs="+", metavar="SEED", help="repeat these kills")
    made.add_argument(
        "--vm",
        action="store_true",
        help="kill in the VM, with neither nox nor what needs the network; starts the VM",
    )
    made.add_argument("--in-the-vm", action="store_true", help=argparse.SUPPRESS)
    made.add_argument(
        "--variants",
        default=VARIANTS,
        metavar="NAME,…",
        help="of the runs that are struck. Default: %(default)s",
    )
    made.add_argument(
        "--cheap",
        action="store_true",
        help="mostly kills in a trial, which leave their run alive, as the tests use",
    )
    made.add_argument(
        "--blocks", type=int, metavar="N", help="instead of kills: one run of so many blocks"
    )
    made.add_argument(
        "--results", type=Path, metavar="FILE", help="default: results/soak-TIME.jsonl"
    )
    return made


def commit() -> str:
    """
    The commit of this checkout; a fixed word without git.
    """
    git = ["git", "-c", "safe.directory=*", "-C", str(PROJECT), "rev-parse", "HEAD"]
    done = subprocess.run(git, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip()[:12] or "no-commit"


def table(outcomes: Iterable[Outcome]) -> str:
    """
    The number of kills by phase and target, and the figures of all.
    """
    all_outcomes = list(outcomes)
    counts = Counter((each.phase, role) for each in all_outcomes for role in each.roles)
    phases = list(dict.fromkeys(each.phase for each in all_outcomes))
    roles = sorted({role for _, role in counts})
    struck = sum(bool(each.roles) for each in all_outcomes)
    lines = [f"| target | {' | '.join(phases)} |", f"|---|{'--:|' * len(phases)}"]
    lines += [
        f"| {role} | {' | '.join(str(counts[phase, role] or '') for phase in phases)} |"
        for role in roles
    ]
    ended = [each.ended_s for each in all_outcomes if each.ended_s is not None]
    clean = [each.clean_s for each in all_outcomes if each.clean_s is not None]
    pairs = sum(len(each.roles) > 1 for each in all_outcomes)
    lines += [
        "",
        f"{struck} kills, {pairs} of them pairs; {len(ended)} ended their run",
        f"{len(all_outcomes) - struck} came too late and struck nothing",
        f"longest end {max(ended, default=0):.1f} s, then clean in {max(clean, default=0):.1f} s",
        f"{sum(bool(each.faults) for each in all_outcomes)} with a fault",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """
    Kill, or endure; the results are appended as they come.
    """
    options = parser().parse_args(arguments)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    results = options.results or PROJECT / "results" / f"soak-{stamp}.jsonl"
    results.parent.mkdir(parents=True, exist_ok=True)
    kept = results.with_suffix("")
    if options.vm:
        return kill_in_vm(options, commit(), results)
    if options.in_the_vm:
        threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    if options.blocks:
        return watch(options.blocks, kept, results)
    seed = options.seed or commit()
    seeds = options.only or [f"{seed}-{number}" for number in range(1, options.kills + 1)]
    outcomes = soak(seeds, kept, results, options)
    print(table(outcomes))
    print(f"results: {results}")
    return 1 if any(each.faults for each in outcomes) else 0


def watch(blocks: int, kept: Path, results: Path) -> int:
    """
    The status of one long run: 0 if it is flat, as far as it goes.
    """
    samples = []
    with results.open("a") as file, contextlib.suppress(KeyboardInterrupt):
        for each in endure(blocks, kept):
            file.write(json.dumps(each) + "\n")
            file.flush()
            samples.append(each)
    text, flat = endurance_table(samples)
    print(text)
    return 0 if flat else 1


def soak(
    seeds: Sequence[str], kept: Path, results: Path, options: argparse.Namespace
) -> list[Outcome]:
    """
    The outcome of every seed, as far as the time allows, and of a last run that completes.
    """
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    outcomes: list[Outcome] = []
    cache = cache_directory()
    phases = IN_THE_VM if options.in_the_vm else tuple(PHASES)
    with tempfile.TemporaryDirectory(prefix="bridgetoll-soak-") as scratch:
        runs = Soak(kept, cache, Path(scratch), options.variants)
        last = Outcome("end", "end")
        try:
            for seed in seeds:
                if time.monotonic() > deadline:
                    break
                plan = Plan.of(seed, phases, cheap=options.cheap)
                if options.in_the_vm:
                    plan = dataclasses.replace(plan, nox=False)
                outcome = runs.kill(plan)
                if options.only:
                    runs.finish(outcome)
                outcomes.append(outcome)
                note(outcome, results, options)
        except KeyboardInterrupt:
            last.faults.append("interrupted")
        finally:
            runs.finish(last)
        last.faults += completes(kept, cache, options.variants)
    if last.faults:
        outcomes.append(last)
        note(last, results, options)
    return outcomes


def note(outcome: Outcome, results: Path, options: argparse.Namespace) -> None:
    """
    One line of the results; a fault is printed with its seed.
    """
    with results.open("a") as file:
        file.write(json.dumps(outcome.as_json()) + "\n")
    struck = ", ".join(f"{n} of {r}" for r, n in zip(outcome.roles, outcome.signals, strict=True))
    print(f"{outcome.seed}: {outcome.phase}: {struck}", flush=True)
    kind = "--cheap " * options.cheap + "--vm " * options.in_the_vm
    again = f"nox -s soak -- {kind}--only {outcome.seed}"
    for fault in outcome.faults:
        print(f"  FAULT {fault}; repeat: {again}", flush=True)


if __name__ == "__main__":
    hear_stops()
    sys.exit(main(sys.argv[1:]))
