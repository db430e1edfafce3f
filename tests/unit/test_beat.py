"""
The program that takes the pulse of a load.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.probes.beat import READY, active_opens, fixed_work_us
from experiments.records import Pulse

PROJECT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the counters are Linux's")
def test_it_beats_until_its_input_ends_and_counts_what_is_opened() -> None:
    """
    As many connections as were opened meanwhile, or more, because others may open some too.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.probes.beat"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == READY
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(5):
            socket.create_connection(server.getsockname()).close()
        text, _ = process.communicate(timeout=20)
    pulse = Pulse(**json.loads(text))
    assert len(pulse.at_s) == len(pulse.opened) == len(pulse.work_us) >= 1
    assert pulse.at_s == sorted(pulse.at_s)
    assert pulse.opened[-1] >= 5
    assert min(pulse.work_us) > 0


def test_the_counter_is_found_by_its_name() -> None:
    """
    Kernels add columns.
    """
    text = "Ip: A B\nIp: 1 2\nTcp: RtoMin ActiveOpens PassiveOpens\nTcp: 200 17 4\nUdp: A\nUdp: 1\n"
    assert active_opens(text) == 17


def test_the_work_takes_cpu_time() -> None:
    """
    More than none.
    """
    assert fixed_work_us() > 0
