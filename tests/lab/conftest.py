"""
The userland that the session built, and a snapshot of everything that a lab could leave behind.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.lab import userland
from experiments.machines.local import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.lab.userland import Userland


@pytest.fixture
def deaf() -> Iterator[None]:
    """
    Ignored signals, which child processes inherit: as under ``nohup`` or after a shell's ``&``.
    """
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def built() -> Userland:
    """
    The userland from the cache; the `tests` session builds it before.
    """
    found = userland.find(cache_directory())
    assert found is not None, "run `nox -s userland` first"
    return found


def residue() -> dict[str, object]:
    """
    The host's current mounts, interfaces, control groups, namespaces and forwarding setting.
    """
    namespaces = set()
    for link in Path("/proc").glob("[0-9]*/ns/*"):
        try:
            namespaces.add(str(link.readlink()))
        except OSError:
            continue
    groups = {
        directory for directory, _, _ in os.walk("/sys/fs/cgroup") if "bridgetoll" in directory
    }
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "groups": groups,
        "namespaces": namespaces,
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }


def settled(before: dict[str, object]) -> dict[str, object]:
    """
    What is there once the kernel has finished tearing down, or after ten seconds.
    """
    deadline = time.monotonic() + 10
    while (after := residue()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    return after
