"""
Ctrl-C while a command reads or reports.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from experiments.paths import PROJECT

INTERRUPTED_AT_AN_IMPORT = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "experiments.errors":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
runpy.run_module(sys.argv[1], run_name="__main__")
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
        [sys.executable, "-c", INTERRUPTED_AT_AN_IMPORT, module],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGINT
    assert not done.stderr
