"""
The README's main command, on a clean clone, with a tiny profile.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from experiments.options import PROJECT
from experiments.records import latest_run, read_trials

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 600


def test_the_readme_s_main_command_ends_with_a_report(tmp_path: Path) -> None:
    """
    Clone, run, read: four variants in one block, and a report that compares them.
    """
    readme = (PROJECT / "README.md").read_text()
    command = "pip install nox && nox -s netns docker"
    assert command in readme
    clone = tmp_path / "clone"
    git = ["git", "-c", "safe.directory=*"]
    subprocess.run([*git, "clone", "--quiet", str(PROJECT), str(clone)], check=True)
    tiny = ["--profile", "quick", "--blocks", "1", "--requests", "100"]
    # nox is the one that runs this test; everything else the clone has to bring itself.
    environment = {
        name: value for name, value in os.environ.items() if name != "NOX_CURRENT_SESSION"
    }
    done = subprocess.run(
        [sys.executable, "-m", "nox", "-s", "netns", "docker", "--", *tiny],
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
    assert sorted(trial.variant for trial in read_trials(run)) == [
        "docker",
        "docker-as-published",
        "netns",
        "netns-as-published",
    ]
    text = (run / "report.md").read_text()
    assert re.search(r"\| Requests per second \(RPS\) +\| +\d+\.\d\d +\|", text)
    assert str(run / "report.md") in done.stdout
    status = subprocess.run(
        [*git, "status", "--porcelain"], cwd=clone, check=True, capture_output=True, text=True
    )
    assert status.stdout == ""
