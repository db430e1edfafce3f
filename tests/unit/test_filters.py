"""
Asking a process for its filter leaves the process as it was.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from experiments.probes.filters import UNKNOWN, filter_of


def state_of(pid: int) -> str:
    """
    The state of a process, and who traces it.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return " ".join(line for line in lines if line.startswith(("State", "TracerPid")))


def test_a_process_without_a_filter_goes_on_as_before() -> None:
    """
    And its status is for whoever waits for it.
    """
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        before = state_of(process.pid)
        assert filter_of(process.pid) == UNKNOWN
        assert process.poll() is None
        deadline = time.monotonic() + 10
        while state_of(process.pid) != before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state_of(process.pid) == before
        assert process.communicate(b"still there")[0] == b"still there"
    assert process.returncode == 0


def test_a_process_that_has_ended_has_none_and_keeps_its_status() -> None:
    """
    It is the evidence of a fault.
    """
    with subprocess.Popen(["sh", "-c", "exit 7"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        assert filter_of(process.pid) == UNKNOWN
        assert process.wait() == 7
