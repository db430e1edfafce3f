"""
Ctrl-C while a command reads or reports.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from experiments.errors import INTERRUPTED_STATUS
from experiments.paths import PROJECT
from tests.unit.verify_samples import run, written

if TYPE_CHECKING:
    from pathlib import Path

HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""As from a terminal: the background of a script has it ignored, and so have these tests there."""

INTERRUPTED_AT_AN_IMPORT = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "experiments.errors":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__")
"""


@pytest.mark.parametrize(
    "module",
    [
        *("analysis", "analysis.audit", "analysis.verify", "analysis.reference"),
        *("analysis.schema", "experiments", "experiments.host.guest"),
        *("experiments.lab.keeper", "experiments.lab.image", "experiments.run.runner"),
    ],
)
def test_ctrl_c_ends_a_command_without_a_traceback(module: str) -> None:
    """
    Also in its first second, in which it imports.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"{HEARS}\n{INTERRUPTED_AT_AN_IMPORT}", module],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGINT
    assert not done.stderr


def test_a_command_whose_caller_has_ctrl_c_ignored_goes_on() -> None:
    """
    As while a report is made after a first Ctrl-C on the terminal.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED_AT_AN_IMPORT, "analysis.audit", "--help"],
            cwd=PROJECT,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.stdout.startswith("usage")
    assert done.returncode == 0


INTERRUPTED_WHILE_IT_SPEAKS = """
import os, signal, sys
from experiments.output import outlive_readers, say_in_handler

outlive_readers()
signal.signal(signal.SIGTERM, lambda *_: say_in_handler("stopping"))
raw = sys.stdout.buffer.raw
write = raw.write
type(raw).write = lambda self, data: (os.kill(os.getpid(), signal.SIGTERM), write(data))[1]
print("busy", flush=True)
"""


def test_a_handler_of_signals_may_speak_while_another_line_is_printed() -> None:
    """
    Although a stream of Python cannot be written to twice at a time.
    """
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IT_SPEAKS],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert sorted(done.stdout.split()) == ["busy", "stopping"]


INTERRUPTED_WHILE_IT_WRITES = """
import os, runpy, signal, sys
sync = os.fsync
def interrupted(file):
    os.fsync = sync
    os.kill(os.getpid(), signal.SIGINT)
    sync(file)
os.fsync = interrupted
sys.argv = ["analysis", sys.argv[1]]
runpy.run_module("analysis", run_name="__main__")
"""


def test_ctrl_c_while_a_report_is_written_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """
    And says that it was interrupted, by the status of shells.
    """
    folder = tmp_path / "run"
    written(run(folder))
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", f"{HEARS}\n{INTERRUPTED_WHILE_IT_WRITES}", folder],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == "interrupted\n"
    assert done.returncode == INTERRUPTED_STATUS
    assert sorted(folder.rglob("*")) == before
