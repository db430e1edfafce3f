"""
Runs by nox that lose whoever started them, or their terminal, or that are stopped from elsewhere.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from experiments.machines.lock import RunLock
from experiments.paths import PROJECT
from experiments.processes import first_child
from experiments.records.files import REPORT, latest_run
from experiments.records.manifest import INTERRUPTED
from experiments.records.store import read_manifest, read_trials
from experiments.records.trials import OK
from tests.lab.conftest import residue, settled
from tests.lab.test_runs import TINY, finish, measure, wait_for_line

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("built")

LONG = ("--variants", "netns", "--blocks", "50", *TINY)


def command(results: Path) -> list[str]:
    """
    A session that measures for minutes.
    """
    session = [sys.executable, "-m", "nox", "-s", "measure", "--"]
    return [*session, "--results", str(results), *LONG]


def environment() -> dict[str, str]:
    """
    That of a user, who is in no session of nox.
    """
    return {name: value for name, value in os.environ.items() if name != "NOX_CURRENT_SESSION"}


def nohup(results: Path) -> subprocess.Popen[str]:
    """
    The session in the background, in its second block.
    """
    process = subprocess.Popen(
        ["nohup", *command(results)],
        cwd=PROJECT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for_line(process, "block 2 ")
    return process


def check_finished_part(run: Path) -> None:
    """
    A run is interrupted, and keeps what it had measured.
    """
    assert read_manifest(run).state == INTERRUPTED
    first, *_ = read_trials(run)
    assert (first.status, len(first.loads)) == (OK, 2)


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("killed", ["nox", "measure", "both"])
def test_a_run_that_loses_its_owner_ends_as_if_interrupted(tmp_path: Path, killed: str) -> None:
    """
    Within seconds, after SIGKILL of nox, of the measuring process, or of both.

    nox makes the report if it is left; else the next run says how.
    """
    before = residue()
    process = nohup(tmp_path)
    measuring = first_child(process.pid)
    if killed != "measure":
        os.kill(process.pid, signal.SIGKILL)
    if killed != "nox":
        os.kill(measuring, signal.SIGKILL)
    assert settled(before) == before
    text = finish(process)
    run = latest_run(tmp_path)
    check_finished_part(run)
    if killed == "measure":
        assert "**This run is interrupted**" in (run / REPORT).read_text(), text
        return
    assert not (run / REPORT).exists()
    again = finish(measure("--results", str(tmp_path), *LONG, "--blocks", "1"))
    assert f"the run {run} has no report; `nox -s report -- {run}` makes it" in again


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_in_the_background_is_stopped_by_a_signal_to_nox(
    tmp_path: Path, number: signal.Signals
) -> None:
    """
    With a report; the end of its terminal does not stop it.
    """
    before = residue()
    process = nohup(tmp_path)
    for pid in (process.pid, first_child(process.pid)):
        os.kill(pid, signal.SIGHUP)
    wait_for_line(process, "block 4 ")
    process.send_signal(number)
    text = finish(process)
    assert process.returncode == 130, text
    run = latest_run(tmp_path)
    check_finished_part(run)
    assert len(read_trials(run)) >= 3
    assert "**This run is interrupted**" in (run / REPORT).read_text(), text
    assert residue() == before


SUDO = """#!/bin/sh
trap '' INT TERM HUP
shift
"$@"
"""
"""What stands for sudo: a process in between that passes nothing on."""

CALLER = "import sys; from experiments.host.cli import become_root; become_root(sys.argv[1:])"


def test_a_run_under_sudo_ends_with_the_process_that_called_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Although sudo itself is still there.
    """
    before = residue()
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sudo.parent}:{os.environ['PATH']}")
    results = tmp_path / "results"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", CALLER, "measure", "--results", str(results), *LONG],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_line(process, "block 2 ")
    process.kill()
    assert settled(before) == before
    finish(process)
    check_finished_part(latest_run(results))


def test_a_closed_terminal_stops_a_run_in_order_and_with_a_report(tmp_path: Path) -> None:
    """
    Although nobody reads what it prints any more.
    """
    before = residue()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(PROJECT)
        # These tests may run under nohup, with which a run outlives its terminal.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        words = command(tmp_path)
        os.execve(words[0], words, environment())  # noqa: S606 - a terminal needs fork and exec
    seen = b""
    while b"block 2 " not in seen:
        seen += os.read(terminal, 65536)
    os.close(terminal)
    os.waitpid(pid, 0)
    run = latest_run(tmp_path)
    check_finished_part(run)
    assert "**This run is interrupted**" in (run / REPORT).read_text()
    assert settled(before) == before
    with RunLock():
        pass
