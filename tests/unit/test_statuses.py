"""
An answer is no failure, and a failure is no answer: exit statuses, and outputs of any encoding.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import statuses
from experiments.errors import INTERRUPTED_STATUS, HostError, UsageError
from experiments.paths import PROJECT
from tests.unit.test_audit import NETNS, PUBLISHED
from tests.unit.verify_samples import CLEAR, NONE, OPEN, run, written

ANSWERS = {statuses.ANSWERED, statuses.FOUND_SOMETHING}
ANSWERS |= {statuses.NOT_REPRODUCED, statuses.CANNOT_TELL}


def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """
    Run Python with these arguments.
    """
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )


def session(name: str, *arguments: str | Path, **environment: str) -> tuple[int, str]:
    """
    Run a session in this environment; the exit status of nox and everything printed.
    """
    nox = ("-m", "nox", "--no-venv", "--session", name, "--", *arguments)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = command(*nox, PATH=path, **environment)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_no_failure_has_the_status_of_an_answer() -> None:
    """
    A traceback, wrong options, a lost output, a signal, an error of ours.
    """
    full = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); print('x')"
    failures = [
        command("-c", "raise ValueError").returncode,
        command("-m", "analysis", "--no-such-option").returncode,
        command("-m", "analysis.no_such_module").returncode,
        command("-c", full).returncode,
        128 - command("-c", "import os; os.abort()").returncode,
        INTERRUPTED_STATUS,
        HostError.exit_status,
        UsageError.exit_status,
    ]
    assert 0 not in failures
    assert ANSWERS.isdisjoint(failures)
    assert len(ANSWERS) == 4


@pytest.mark.parametrize(
    ("name", "argument", "reason"),
    [
        ("audit", "missing", "No such file"),
        ("verify", "missing", "missing"),
        ("verify", "--no-such-option", "unrecognized arguments"),
    ],
)
def test_a_session_without_an_answer_fails(name: str, argument: str, reason: str) -> None:
    """
    A run or a file that is missing, and wrong options.
    """
    status, said = session(name, argument)
    assert status == 1
    assert reason in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "module"), [("audit", "analysis.audit.result"), ("verify", "analysis.verify.rule")]
)
def test_a_crash_fails_the_session(name: str, module: str, tmp_path: Path) -> None:
    """
    Here of a module that cannot be imported.
    """
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    status, said = session(name, PYTHONPATH=str(tmp_path))
    assert status == 1
    assert "Traceback" in said
    assert f"Session {name} failed" in said


@pytest.mark.parametrize(
    ("effect", "words"),
    [(CLEAR, "reproduced"), (NONE, "not reproduced"), (OPEN, "cannot tell")],
)
def test_every_answer_of_verify_is_accepted(
    effect: tuple[float, float], words: str, tmp_path: Path
) -> None:
    """
    "Not reproduced" is one.
    """
    written(run(tmp_path / "reference"))
    written(run(tmp_path / "here", effect))
    status, said = session("verify", tmp_path / "here", "--reference", tmp_path / "reference")
    assert f"Overall: {words}." in said
    assert status == 0


def test_findings_are_accepted(tmp_path: Path) -> None:
    """
    An output with warnings is an answer of the audit.
    """
    (tmp_path / "ab.txt").write_text(PUBLISHED)
    assert session("audit", tmp_path / "ab.txt")[0] == 0


def test_a_session_runs_although_python_is_told_not_to_look_here() -> None:
    """
    PYTHONSAFEPATH keeps the working directory, in which the packages are, off the path.
    """
    status, said = session("audit", "--help", PYTHONSAFEPATH="1")
    assert status == 0
    assert "exit status" in said


def test_no_encoding_of_the_output_breaks_an_answer(tmp_path: Path) -> None:
    """
    A character that it lacks is a question mark.
    """
    (tmp_path / "ab.txt").write_text(NETNS.replace("/api/", "/\N{SNOWMAN}/"))
    written(run(tmp_path / "reference"))
    here = written(run(tmp_path / "here")).folder
    assert here is not None
    reference = ("--reference", tmp_path / "reference")
    for arguments in (
        ("analysis.audit", tmp_path / "ab.txt"),
        ("analysis", here),
        ("analysis.verify", here, *reference),
    ):
        done = command("-m", *arguments, PYTHONIOENCODING="ascii")
        assert done.returncode in ANSWERS, done.stderr
        assert done.stdout.isascii()
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_a_stream_that_was_closed_before_the_start_breaks_no_answer(
    closed: str, tmp_path: Path
) -> None:
    """
    As some schedulers start their jobs.
    """
    (tmp_path / "ab.txt").write_text(PUBLISHED)
    line = f'exec "$@" {closed}'
    started = ("sh", "-c", line, "sh", sys.executable, "-m", "analysis.audit", tmp_path / "ab.txt")
    done = subprocess.run(started, cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode == statuses.FOUND_SOMETHING
    assert done.stderr == b""
