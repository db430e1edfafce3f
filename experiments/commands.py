"""
External commands: with a time limit, and with an error that says what was run and how it ended.

Processes that last as long as the work (the lab, dockerd, services, a command under sudo or in the
VM) have no limit: ``subprocess.Popen`` starts them.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from experiments.errors import BridgetollError

LAST_LINES = 20
"""Lines of an output or a log that an error quotes."""

LAST_LINE_CHARACTERS = 400
"""The part of a line that an error quotes."""

TAIL_BYTES = 2**16
"""The part of a log that is looked at: a log may be larger than the memory."""

NOT_FOUND = 127
"""The status of a command whose program is missing, as shells have it."""


@dataclass(frozen=True)
class Ended:
    """
    A command that has ended, or was ended at its time limit; its status is then None.

    ``output`` and ``errors`` are what it wrote to its standard streams, in bytes.
    """

    command: Sequence[str]
    limit_s: float
    status: int | None
    output: bytes = b""
    errors: bytes = b""

    @property
    def ok(self) -> bool:
        """
        Whether it succeeded.
        """
        return self.status == 0

    @property
    def text(self) -> str:
        """
        Its output as text; bytes that are not UTF-8 are replaced.
        """
        return self.output.decode(errors="replace")

    @property
    def last_words(self) -> str:
        """
        The last lines of its standard error, or of its output if standard error is empty.
        """
        return last_lines(self.errors) or last_lines(self.output)

    def failure(self, name: str = "") -> str:
        """
        What was run, how it ended, and its last words; ``name`` stands for the command line.
        """
        subject = name or f"`{shlex.join(self.command)}`"
        if self.status is None:
            how = f"did not end within {self.limit_s:g} s"
        elif self.status < 0:
            how = f"was ended by signal {signal_name(-self.status)}"
        else:
            how = f"failed with status {self.status}"
        words = self.last_words
        separator = ":\n" if "\n" in words else ": "
        return f"{subject} {how}" + (f"{separator}{words}" if words else "")


BY_SIGNAL = 128
"""A shell, tini and Docker report the end by a signal as this number plus the signal's."""


def how_ended(status: int) -> str:
    """
    How a process ended, by its exit status, or minus the number of the signal that ended it.
    """
    number = -status if status < 0 else status - BY_SIGNAL
    if 0 < number < signal.NSIG:
        return f"was ended by signal {signal_name(number)}"
    return f"ended with status {status}"


def signal_name(number: int) -> str:
    """
    The name of a signal, such as SIGKILL.
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        # A real-time signal has no name.
        return str(number)


def last_lines(said: bytes, count: int = LAST_LINES) -> str:
    """
    The last lines of an output or a log, without the empty space around them.

    What a terminal would obey or cannot show is replaced, and long lines are cut.
    """
    lines = said[-TAIL_BYTES:].decode(errors="replace").strip().splitlines()[-count:]
    return "\n".join(map(_shown, lines))


def _shown(line: str) -> str:
    cut = line[:LAST_LINE_CHARACTERS] + "…" * (len(line) > LAST_LINE_CHARACTERS)
    return "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in cut)


def tail(path: Path) -> bytes:
    """
    The end of a file.
    """
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return file.read(TAIL_BYTES)


def run_command(
    command: Sequence[str],
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    merge: bool = False,
    output: int | IO[bytes] = subprocess.PIPE,
    own_session: bool = False,
) -> Ended:
    """
    Run a command and return how it ended, whatever that was; it is killed after ``limit_s``.

    ``environment`` replaces this process's environment. With ``merge`` standard error is part of
    the output. Output that goes elsewhere than into a pipe is not in the result. With
    ``own_session`` the command cannot signal this process by way of their process group.
    """
    if output != subprocess.PIPE:
        merge = True
    try:
        done = subprocess.run(
            command,
            check=False,
            env=environment,
            cwd=directory,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            timeout=limit_s,
            start_new_session=own_session,
        )
    except subprocess.TimeoutExpired as error:
        return Ended(command, limit_s, None, error.stdout or b"", error.stderr or b"")
    except OSError as error:
        words = f"{command[0]} cannot be started: {error.strerror}".encode()
        return Ended(command, limit_s, NOT_FOUND, errors=words)
    return Ended(command, limit_s, done.returncode, done.stdout or b"", done.stderr or b"")


def output_of(
    command: Sequence[str],
    *,
    limit_s: float,
    error: type[BridgetollError],
    name: str = "",
    environment: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
) -> str:
    """
    The text that a command prints to standard output.

    Raises ``error`` if the command fails, is missing, or does not end within ``limit_s``; the
    message uses ``name`` instead of the command line.
    """
    ended = run_command(command, limit_s=limit_s, environment=environment, stdin=stdin)
    if not ended.ok:
        raise error(ended.failure(name))
    return ended.text
