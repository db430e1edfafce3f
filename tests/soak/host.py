"""
What a run leaves on the host, and what it must not lose.
"""

from __future__ import annotations

import os
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.__main__ import main as report
from analysis.folders import TRIALS_CSV, VERDICTS
from analysis.run import read_run
from experiments.errors import BridgetollError
from experiments.machines.lock import RUN_LOCK, is_free
from experiments.records.files import MANIFEST, RAW, REPORT
from experiments.records.manifest import RUNNING
from experiments.records.trials import STOPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.soak.processes import Tree

ENDS_WITHIN_S = 75.0
"""The keeper gives a lab without an owner 60 s; a run that is asked to stop has as long."""

CLEAN_WITHIN_S = 5.0
"""After the end of the run, nothing of it is left."""

POLL_S = 0.1

KILLED = "the run was killed"
"""What a report says of a run whose manifest says that it is running, although nobody runs it."""


@dataclass(frozen=True)
class Before:
    """
    The host before a run: what is there already is not the run's.
    """

    mounts: frozenset[str]
    links: frozenset[str]
    files: frozenset[str]

    @classmethod
    def now(cls, cache: Path) -> Before:
        """
        As it is now.
        """
        return cls(_mounts(), _links(), _files(cache))


def groups() -> set[str]:
    """
    All control groups of labs.
    """
    found = (directory for directory, _, _ in os.walk("/sys/fs/cgroup"))
    return {directory for directory in found if "bridgetoll-" in directory}


def left(before: Before, tree: Tree, cache: Path, excused: Iterable[str] = ()) -> list[str]:
    """
    What is left of a run, in words; ``excused`` are control groups of earlier runs.
    """
    living = [f"process {seen.process} ({seen.role})" for seen in tree.look()]
    found = living + [
        f"namespace {each} of process {holder}"
        for each, holder in sorted(tree.held_namespaces().items())
    ]
    found += [f"mount {each}" for each in sorted(_mounts() - before.mounts)]
    found += [f"link {each}" for each in sorted(_links() - before.links)]
    found += [f"file {each}" for each in sorted(_files(cache) - before.files)]
    found += [f"control group {each}" for each in sorted(groups() - set(excused))]
    return found if is_free() else [*found, "the run lock"]


def _mounts() -> frozenset[str]:
    """
    The mount points of this process's namespace.
    """
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line.split(" ")[4] for line in lines)


def _links() -> frozenset[str]:
    return frozenset(path.name for path in Path("/sys/class/net").iterdir())


def _files(cache: Path) -> frozenset[str]:
    """
    Notes of labs, and what is beside the run lock, whose file stays.
    """
    notes = [*(cache / "labs").glob("*"), *RUN_LOCK.parent.glob("*bridgetoll*")]
    return frozenset(map(str, notes)) - {str(RUN_LOCK)}


def await_clean(
    before: Before, tree: Tree, cache: Path, excused: Iterable[str]
) -> tuple[float, list[str]]:
    """
    The seconds until nothing is left, and what is left at the limit.
    """
    started = time.monotonic()
    while found := left(before, tree, cache, excused):
        if time.monotonic() - started > CLEAN_WITHIN_S:
            break
        time.sleep(POLL_S)
    return time.monotonic() - started, found


def record_faults(run: Path, *, hard: bool, orphaned: bool) -> list[str]:
    """
    Broken records and lost loads of a run that has ended.

    ``hard`` is an end by SIGKILL of the runner or of what keeps it: the current part has no record
    then, but what ab printed is there. ``orphaned`` is an end of the host command before the lab
    began, or together with another owner: nobody is left to say so in the manifest, but the report
    does.
    """
    if not (run / MANIFEST).exists():
        return []
    try:
        found = read_run(run)
    except BridgetollError as error:
        return [f"the records cannot be read: {error}"]
    faults = [f"set aside: {each}" for each in found.set_aside if not (hard and "cut off" in each)]
    if found.manifest.state == RUNNING and not orphaned:
        faults.append("the manifest says that the run is running")
    faults += lost_loads(run, hard=hard)
    written = {
        path: path.read_bytes()
        for path in (run / REPORT, run / "report.html", run / VERDICTS, run / TRIALS_CSV)
        if path.exists()
    }
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = report([str(run)])
    if status or not (run / REPORT).exists():
        faults.append(f"no report, status {status}: {said.getvalue().strip()}")
    if found.manifest.state == RUNNING and KILLED not in said.getvalue():
        faults.append(f"the report does not say that the run was killed: {said.getvalue()}")
    # A report is whole, and of all that was recorded.
    torn = [path.name for path, content in written.items() if path.read_bytes() != content]
    return [*faults, *(f"{name} was not of these records" for name in torn)]


def lost_loads(run: Path, *, hard: bool) -> list[str]:
    """
    Loads of rounds that ab ended, but no record accounts for.

    A load is accounted for if its trial's record has it, or says why the trial or its end failed.
    After an orderly stop only the last load of a trial may be missing from its record, because the
    stop may come between the end of ab and the reading of what it printed. After a hard end, the
    trials of the last block have no record.
    """
    found = read_run(run)
    records = {each.number: each for each in found.trials}
    *_, last = found.manifest.order or [[]]
    folders = sorted((run / RAW).glob("[0-9]*-*"))
    unrecorded = folders[-sum(map(len, last)) :] if hard else []
    lost = []
    for raw in folders:
        number = int(raw.name.partition("-")[0])
        ended = {
            int(path.parent.name.removeprefix("round-"))
            for path in raw.glob("round-*/ab.txt")
            if "Complete requests:" in path.read_text(errors="replace")
        }
        record = records.get(number)
        if record is None:
            if ended and raw not in unrecorded:
                lost.append(f"trial {raw.name} ended {len(ended)} loads and has no record")
            continue
        missing = ended - {each.round for each in record.loads}
        if record.failed_phase == STOPPED and not record.error.count("and then"):
            missing -= {max(ended, default=0)}
        elif record.error:
            missing = set()
        if missing:
            lost.append(f"trial {raw.name} lost its rounds {sorted(missing)}")
    return lost
