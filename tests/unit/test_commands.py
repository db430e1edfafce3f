"""
External commands: what is known of one that has ended, and the errors of those that failed.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from experiments.commands import (
    LAST_LINE_CHARACTERS,
    NOT_FOUND,
    last_lines,
    output_of,
    run_command,
    tail,
)
from experiments.errors import DeployError, HostError

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str) -> list[str]:
    """
    A command that runs some Python.
    """
    return [sys.executable, "-c", code]


def test_the_output_of_a_command_that_succeeds_is_returned() -> None:
    """
    Standard output alone: what a command says on standard error is no part of its answer.
    """
    command = ["sh", "-c", "echo answer; echo warning >&2"]
    assert output_of(command, limit_s=10, error=HostError) == "answer\n"


def test_a_failure_says_what_was_run_how_it_ended_and_its_last_words() -> None:
    """
    The error has the type that the caller names.
    """
    with pytest.raises(
        DeployError, match=r"^`sh -c 'echo no room >&2; exit 3'` failed with status 3: no room$"
    ):
        output_of(["sh", "-c", "echo no room >&2; exit 3"], limit_s=10, error=DeployError)


def test_a_failure_quotes_the_output_of_a_command_that_writes_no_standard_error() -> None:
    """
    Some programs explain themselves on standard output.
    """
    assert run_command(["sh", "-c", "echo no room; exit 3"], limit_s=10).last_words == "no room"


def test_a_failure_quotes_only_the_last_lines_of_a_long_output() -> None:
    """
    The reason usually stands at the end.
    """
    ended = run_command(["sh", "-c", "seq 100; exit 1"], limit_s=10)
    assert ended.failure("counting").startswith("counting failed with status 1:\n81\n")
    assert ended.failure("counting").endswith("\n100")


def test_what_a_terminal_would_obey_is_not_quoted() -> None:
    """
    Nor a line without an end.
    """
    assert last_lines(b"\x1b[2Jout of\tpaper\0\xff\n" + b"x" * 9999) == (
        "\ufffd[2Jout of\tpaper\ufffd\ufffd\n" + "x" * LAST_LINE_CHARACTERS + "…"
    )


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    """
    It may be larger than the memory.
    """
    log = tmp_path / "service.log"
    with log.open("wb") as file:
        file.truncate(2**40)
        file.seek(0, os.SEEK_END)
        file.write(b"\nout of paper\n")
    assert last_lines(tail(log), 1) == "out of paper"
    log.write_bytes(b"short")
    assert tail(log) == b"short"


def test_a_command_that_does_not_end_is_killed_at_its_time_limit() -> None:
    """
    What it printed until then is kept.
    """
    began = time.monotonic()
    ended = run_command(["sh", "-c", "echo begun; exec sleep 60"], limit_s=0.5)
    assert time.monotonic() - began < 30
    assert ended.status is None
    assert not ended.ok
    assert ended.failure("waiting") == "waiting did not end within 0.5 s: begun"


def test_a_missing_program_is_a_failure_that_names_it() -> None:
    """
    It has the status that a shell would give it, and needs no handling of its own.
    """
    assert run_command(["no-such-program"], limit_s=10).status == NOT_FOUND
    with pytest.raises(HostError, match=r"no-such-program cannot be started: No such file"):
        output_of(["no-such-program"], limit_s=10, error=HostError)


def test_a_command_that_a_signal_ended_says_which() -> None:
    """
    A negative status would tell the reader nothing.
    """
    ended = run_command(python("import os; os.kill(os.getpid(), 9)"), limit_s=10)
    assert ended.failure("it") == "it was ended by signal SIGKILL"


def test_output_that_is_not_utf_8_is_read_all_the_same() -> None:
    """
    An error in the words of a program must not become an error about their encoding.
    """
    ended = run_command(python(r"import os; os.write(1, b'caf\xe9'); os._exit(1)"), limit_s=10)
    assert ended.text == "caf\ufffd"
    assert ended.failure("it") == "it failed with status 1: caf\ufffd"


def test_standard_error_can_be_part_of_the_output() -> None:
    """
    In the order in which both were written.
    """
    ended = run_command(["sh", "-c", "echo one; echo two >&2; echo three"], limit_s=10, merge=True)
    assert ended.text == "one\ntwo\nthree\n"


def test_output_can_go_to_a_file_instead(tmp_path: Path) -> None:
    """
    Standard error goes there too.
    """
    with (tmp_path / "log").open("wb") as log:
        ended = run_command(["sh", "-c", "echo one; echo two >&2"], limit_s=10, output=log)
    assert ended.output == b""
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_command_reads_nothing_unless_it_is_given_something(tmp_path: Path) -> None:
    """
    A program that asks a question ends, and does not wait for a terminal.
    """
    assert run_command(["cat"], limit_s=10).output == b""
    (tmp_path / "words").write_text("given")
    with (tmp_path / "words").open("rb") as words:
        assert run_command(["cat"], limit_s=10, stdin=words).output == b"given"


def test_an_environment_replaces_the_one_of_this_process() -> None:
    """
    So that what a command sees can be known.
    """
    environment = {"PATH": os.environ["PATH"], "ONLY": "this"}
    text = output_of(["env"], limit_s=10, error=HostError, environment=environment)
    assert "ONLY=this" in text.splitlines()
    assert "HOME=" not in text
