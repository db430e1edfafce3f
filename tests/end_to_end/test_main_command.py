"""
The README's main command, on a clean clone, with a tiny profile.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from experiments.declare.reading import load_variants
from experiments.machines.lock import RunLock
from experiments.paths import PROJECT
from experiments.records.files import SEARCH_TRIALS, latest_run
from experiments.records.manifest import INTERRUPTED
from experiments.records.store import read_manifest, read_trials
from experiments.records.trials import OK

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 600


def test_the_readme_s_main_command_ends_with_a_report(tmp_path: Path) -> None:
    """
    Clone, run, read: every variant in one block, a search, and a report on all of them.
    """
    readme = (PROJECT / "README.md").read_text()
    sessions = ["netns", "docker", "optimized"]
    assert f"nox -s {' '.join(sessions)}\n" in readme
    clone = tmp_path / "clone"
    git = ["git", "-c", "safe.directory=*"]
    subprocess.run([*git, "clone", "--quiet", str(PROJECT), str(clone)], check=True)
    tiny = ["--profile", "quick", "--blocks", "1", "--rounds", "2"]
    tiny += ["--requests", "50", "--warmup-requests", "0"]
    # nox is the one that runs this test; everything else the clone has to bring itself.
    environment = {
        name: value for name, value in os.environ.items() if name != "NOX_CURRENT_SESSION"
    }
    done = subprocess.run(
        [sys.executable, "-m", "nox", "-s", *sessions, "--", *tiny],
        cwd=clone,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout
    run = latest_run(clone / "results")
    declared = load_variants()
    wanted = {name for session in sessions for name in declared.groups[session].variants}
    manifest = read_manifest(run)
    wanted.add("netns-again")
    left_out = set(manifest.environment.left_out)
    assert all("cpus" in name for name in left_out)
    trials = read_trials(run)
    assert {trial.variant for trial in trials if trial.status == OK} == wanted - left_out
    assert all(trial.facts and trial.path and trial.cpu for trial in trials)
    assert manifest.found is not None
    candidates = [each for step in manifest.found.steps for each in step.candidates]
    assert any(candidate.log_ratios for candidate in candidates)
    assert (run / SEARCH_TRIALS).exists()
    text = (run / "report.md").read_text()
    assert re.search(r"\| Requests per second \(RPS\) +\| +\d+\.\d\d +\|", text)
    assert str(run / "report.md") in done.stdout
    status = subprocess.run(
        [*git, "status", "--porcelain"], cwd=clone, check=True, capture_output=True, text=True
    )
    assert status.stdout == ""


def test_every_rung_of_the_ladder_passes_its_checks(tmp_path: Path) -> None:
    """
    Parity, path and residue, of each; and the report has a step for every rung.
    """
    tiny = ["--blocks", "1", "--rounds", "2", "--requests", "100", "--warmup-requests", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "nox", "-s", "ladder", "--", *tiny, "--results", str(tmp_path)],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != "NOX_CURRENT_SESSION"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout
    run = latest_run(tmp_path)
    declared = load_variants()
    trials = read_trials(run)
    assert {trial.variant for trial in trials} == {
        *declared.groups["ladder"].variants,
        "bare-again",
    }
    assert [trial.error for trial in trials if trial.error] == []
    text = (run / "report.md").read_text()
    for ladder in declared.ladders:
        for step in ladder.steps[1:]:
            assert f"| `{step}`" in text
    assert "**What the steps leave unexplained**" in text


def test_an_impatient_ctrl_c_still_ends_in_order_and_with_a_report(tmp_path: Path) -> None:
    """
    Three of them on a terminal: nothing runs on behind the prompt, and the report is there.
    """
    long = ["--blocks", "1", "--rounds", "50", "--requests", "100", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "nox", "-s", "measure", "--", "--variants", "docker", *long]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(PROJECT)
        os.environ.pop("NOX_CURRENT_SESSION", None)
        os.execv(sys.executable, command)  # noqa: S606 - a terminal of its own needs fork and exec
    seen = read_until(terminal, "round 2 of 50")
    for _ in range(3):
        os.write(terminal, b"\x03")
        time.sleep(0.3)
    seen += read_until(terminal, None)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130, seen
    assert "stopping" in seen
    run = latest_run(tmp_path)
    assert read_manifest(run).state == INTERRUPTED
    assert "**This run is interrupted**" in (run / "report.md").read_text()
    with RunLock():
        pass


def read_until(terminal: int, text: str | None) -> str:
    """
    What a terminal shows until the text is there, or until its end.
    """
    seen = ""
    deadline = time.monotonic() + 120
    while text is None or text not in seen:
        assert time.monotonic() < deadline, seen
        try:
            seen += os.read(terminal, 65536).decode(errors="replace")
        except OSError:
            # The other end is closed.
            break
    return seen
