"""
Run these tests inside the lab: ``python -m tests.inside DIRECTORY``, on the host, as root.

The directory holds pytest for the userland's interpreter; it is put at the end of the path, so
that the userland's own packages are the ones tested.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from experiments.lab.mounts import bind
from experiments.machines.local import LocalMachine, cache_directory
from experiments.machines.lock import RunLock
from experiments.paths import PROJECT_IN_LAB
from experiments.processes import Process, hear_stops, stop_without

PYTEST = "/srv/pytest"

command = ["env", f"PYTHONPATH={PROJECT_IN_LAB}:{PYTEST}", "python3", "-m", "pytest"]
command += [
    "-p",
    "no:cacheprovider",
    "-c",
    f"{PROJECT_IN_LAB}/pyproject.toml",
    f"{PROJECT_IN_LAB}/tests/inside",
]
hear_stops()
stop_without(Process.of(os.getppid()))
with RunLock():
    machine = LocalMachine(cache_directory())
    machine.up()
    pytest = bind(Path(sys.argv[1]).resolve(), PYTEST)
    status = machine.enter([*command, *sys.argv[2:]], [pytest])
sys.exit(status)
