"""
Who a process is, whose end ends it, and what it hears.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from experiments.paths import PROJECT
from experiments.processes import Process, first_child

if TYPE_CHECKING:
    from pathlib import Path

STARTED = 4711


def stub(proc: Path, pid: int, started: int, state: str = "S") -> None:
    """
    A process in a /proc of its own, with a name that looks like fields.
    """
    (proc / str(pid)).mkdir(exist_ok=True)
    fields = [state, *("0" for _ in range(18)), str(started), "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} (a) R 1 (b) {' '.join(fields)}\n")


def test_a_process_is_known_by_its_id_and_its_start(tmp_path: Path) -> None:
    """
    A later one with the same id is another one.
    """
    stub(tmp_path, 7, STARTED)
    owner = Process.of(7, tmp_path)
    assert owner == Process(7, STARTED)
    assert owner.is_alive(tmp_path)
    stub(tmp_path, 7, STARTED + 1)
    assert not owner.is_alive(tmp_path)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_nobody_waited_for_is_not_alive(tmp_path: Path, state: str) -> None:
    """
    A zombie still has its id and its start.
    """
    stub(tmp_path, 7, STARTED, state)
    assert not Process(7, STARTED).is_alive(tmp_path)


def test_a_process_that_does_not_exist_is_not_alive(tmp_path: Path) -> None:
    """
    And it has no identity.
    """
    assert not Process(7, STARTED).is_alive(tmp_path)
    with pytest.raises(ProcessLookupError):
        Process.of(7, tmp_path)


def test_what_is_written_down_of_a_process_is_read_again() -> None:
    """
    In a note or on a command line; a bare id is none.
    """
    own = Process.of(os.getpid())
    assert Process.parse(str(own)) == own
    assert own.is_alive()
    with pytest.raises(ValueError, match="not enough values"):
        Process.parse(str(own.pid))


def test_a_handle_is_of_that_process_only() -> None:
    """
    Of none that has its id by now.
    """
    own = Process.of(os.getpid())
    handle = own.handle()
    assert handle is not None
    os.close(handle)
    assert Process(own.pid, own.started - 1).handle() is None


WAITING = """
import sys, time
from experiments.processes import Process, hear_stops, stop_without
hear_stops()
try:
    stop_without(Process.parse(sys.argv[1]))
    print("waiting", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def waiting_for(owner: Process) -> subprocess.Popen[str]:
    """
    A process that stops without its owner.
    """
    return subprocess.Popen(
        [sys.executable, "-c", WAITING, str(owner)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_process_is_interrupted_when_its_owner_is_killed() -> None:
    """
    And not before.
    """
    with (
        subprocess.Popen(["sleep", "60"]) as owner,
        waiting_for(Process.of(owner.pid)) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.2)
        assert process.poll() is None
        # It stays a zombie, as in a container without an init.
        owner.kill()
        assert process.communicate(timeout=30)[0] == "interrupted\n"


def test_a_successor_with_the_owner_s_id_is_not_taken_for_the_owner() -> None:
    """
    Whoever has the id now: the owner is gone.
    """
    own = Process.of(os.getpid())
    with waiting_for(Process(own.pid, own.started - 1)) as process:
        assert "interrupted\n" in process.communicate(timeout=30)[0]


@pytest.mark.parametrize(
    ("number", "heard"),
    [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)],
)
def test_what_was_ignored_or_blocked_at_the_start_is_heard(
    number: signal.Signals, *, heard: bool
) -> None:
    """
    Only the end of the terminal goes unheard where it was ignored: that is what nohup is for.
    """
    code = "import os; from experiments.processes import hear_stops; hear_stops(); "
    code += f"os.kill(os.getpid(), {int(number)}); print('unheard')"

    def deafen() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])
        signal.signal(number, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=deafen,
    )
    assert ("KeyboardInterrupt" in done.stderr, done.stdout) == (
        heard,
        "" if heard else "unheard\n",
    )


def test_only_the_first_stop_interrupts() -> None:
    """
    A second one would interrupt the clean-up.
    """
    code = """
import os, signal
from experiments.processes import hear_stops
hear_stops()
try:
    os.kill(os.getpid(), signal.SIGTERM)
except KeyboardInterrupt:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    print("cleaned up")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "cleaned up\n"


def test_a_process_without_a_child_has_no_first_one() -> None:
    """
    Nor has one that has ended.
    """
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        child = int(shell.stdout.readline())
        assert first_child(shell.pid) == child
        with pytest.raises(ProcessLookupError):
            first_child(child)
        os.kill(child, signal.SIGKILL)
        shell.kill()


def test_an_output_that_nobody_reads_ends_nothing(tmp_path: Path) -> None:
    """
    A pipe without a reader; what was printed before has arrived.
    """
    code = """
import sys
from pathlib import Path
from experiments.output import outlive_readers
outlive_readers()
print("read")
sys.stdin.readline()
for stream in (sys.stdout, sys.stderr):
    print("lost", file=stream, flush=True)
Path(sys.argv[1]).write_text("done")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "done")],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"read\n"
    process.stdout.close()
    process.stdin.close()
    assert process.wait(30) == 0
    assert (tmp_path / "done").read_text() == "done"
