"""
Processes that others wait for: whether they have ended, whenever they do so.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.deployments.starters import RuncContainer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """
    A process that does nothing, and is gone afterwards.
    """
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_it_runs_until_it_has_ended(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """
    Also before anybody has waited for it.
    """
    container = RuncContainer("one", sleeper.pid, tmp_path)
    assert container.poll() is None
    container.send_signal(signal.SIGTERM)
    assert container.wait(10) == 0
    assert container.poll() == 0


def test_it_may_end_while_it_is_looked_at(
    sleeper: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The kernel says so by an error that is none.
    """
    container = RuncContainer("one", sleeper.pid, tmp_path)

    def gone(_path: Path) -> str:
        raise ProcessLookupError

    monkeypatch.setattr(Path, "read_text", gone)
    assert container.poll() == 0


def test_it_may_end_before_a_signal_reaches_it(
    sleeper: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Then nobody needs the signal.
    """
    container = RuncContainer("one", sleeper.pid, tmp_path)
    sleeper.kill()
    sleeper.wait()
    monkeypatch.setattr(container, "poll", lambda: None)
    container.send_signal(signal.SIGTERM)


def test_it_may_end_before_anybody_knows_of_it(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """
    As a service does that goes into the background, or fails at once.
    """
    sleeper.kill()
    sleeper.wait()
    container = RuncContainer("one", sleeper.pid, tmp_path)
    assert container.wait(0) == 0
    container.kill()
    container.delete()
