"""
Failures of trials: of which kind they are, whose process ended and by what, and what comes next.
"""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from msgspec import structs

from experiments.deployments import Part
from experiments.deployments.ended import EndedProcess, ended_error
from experiments.errors import (
    DeployError,
    Failure,
    LoadError,
    NoAnswerError,
    OutOfMemoryError,
    ProofError,
    TooSlowError,
    WrongAnswerError,
)
from experiments.lab.cgroups import ControlGroup, Hierarchy
from experiments.load.ab_output import parse
from experiments.probes import facts
from experiments.probes.alive import Watch, born
from experiments.probes.facts import facts_of
from experiments.records.cpu import LOG_READER
from experiments.records.failures import Failures
from experiments.records.trials import STOPPED
from experiments.run.faults import describe, of_system
from tests.unit.samples import facts as sample_facts
from tests.unit.samples import failed_trial, trial

if TYPE_CHECKING:
    from experiments.deployments import Deployment
    from experiments.records.trials import Answer

SAVED = Path(__file__).parent / "ab"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "service gateway ended with status 0 under load"),
        (1, "service gateway ended with status 1 under load"),
        (-11, "service gateway was ended by signal SIGSEGV under load"),
        # As a shell, tini and Docker report it.
        (139, "service gateway was ended by signal SIGSEGV under load"),
        (255, "service gateway ended with status 255 under load"),
        (None, "service gateway ended (nobody reports its status) under load"),
    ],
)
def test_what_ended_a_process_is_told_alike_in_both_runtimes(
    status: int | None, words: str
) -> None:
    """
    With its last words, or that there are none.
    """
    told = EndedProcess("gateway", status, "out of paper").how("under load")
    assert told == f"{words}; its last lines:\nout of paper"
    silent = EndedProcess("gateway", status).how("under load")
    assert silent.endswith("(nothing was printed)")


@pytest.mark.parametrize(("status", "may_be_a_daemon"), [(0, True), (None, True), (1, False)])
def test_a_service_that_goes_into_the_background_is_told_to_stay(
    status: int | None, *, may_be_a_daemon: bool
) -> None:
    """
    Unless it failed, or is a part of Docker.
    """
    told = EndedProcess("web", status).how("before it was healthy")
    assert ("it has to stay in the foreground" in told) == may_be_a_daemon
    assert "foreground" not in EndedProcess("dockerd", status).how("before it was healthy")


def test_a_kill_for_memory_comes_before_what_ended_because_of_it() -> None:
    """
    It is a kind of its own.
    """
    ended = [
        EndedProcess("gateway", 1),
        EndedProcess("product-1", -9, out_of_memory=True),
    ]
    error = ended_error(ended, "under load")
    assert isinstance(error, OutOfMemoryError)
    assert str(error).startswith(
        "service product-1 was ended by signal SIGKILL by the kernel for memory (its limit, or all "
        "of the machine's) under load"
    )
    assert describe(error).startswith("out of memory: ")


def test_an_error_begins_with_its_kind() -> None:
    """
    That of the first cause.
    """
    try:
        try:
            msg = "status 500"
            raise WrongAnswerError(msg)
        finally:
            msg = "nor did it go"
            raise DeployError(msg)
    except DeployError as error:
        told = describe(error)
    assert told == "wrong answer: status 500; and then: nor did it go"


def test_a_full_disk_is_told_in_the_user_s_terms() -> None:
    """
    Without the lab's name of the run's folder.
    """
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/run/raw/001-netns/ab.txt")
    assert describe(full) == (
        "machine: raw/001-netns/ab.txt: No space left on device; free some space"
    )
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert of_system(full) == "No space left on device; free some space"
    assert of_system(KeyError("x")) == "KeyError('x')"


def test_every_kind_of_failure_has_words_of_its_own() -> None:
    """
    None begins with another one.
    """
    for one in Failure:
        assert [other for other in Failure if other.startswith(one)] == [one]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ((SAVED / "aborted.txt").read_text(), NoAnswerError),
        ((SAVED / "refused.txt").read_text(), NoAnswerError),
        (
            (SAVED / "refused.txt")
            .read_text()
            .replace(
                "apr_socket_recv: Connection refused (111)",
                "apr_pollset_poll: The timeout specified has expired (70007)",
            ),
            TooSlowError,
        ),
    ],
)
def test_what_ab_gives_up_on_is_of_the_service_s_kind(text: str, kind: type[LoadError]) -> None:
    """
    No answer, or one that comes too late.
    """
    with pytest.raises(kind, match="ab gave up"):
        parse(text)


def test_a_watch_names_the_processes_that_have_ended() -> None:
    """
    Also before its parent has waited for it; a reader of output ends with its service.
    """
    with (
        subprocess.Popen(["sleep", "60"]) as sleeping,
        subprocess.Popen(["sleep", "60"]) as reading,
    ):
        watch = Watch(
            {
                "gateway": Part(sleeping.pid, None),
                f"{LOG_READER} of gateway": Part(reading.pid, None),
            }
        )
        assert watch.gone() == []
        for process in (sleeping, reading):
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert watch.gone() == ["gateway"]
    assert born(sleeping.pid) is None


def test_another_process_with_the_same_number_is_not_taken_for_it(
    tmp_path: Path,
) -> None:
    """
    By when it was started.
    """
    (tmp_path / "7").mkdir()
    fields = ["S", *["0"] * 18, "4711", "0"]
    (tmp_path / "7" / "stat").write_text(f"7 (a) b) {' '.join(fields)}\n")
    assert born(7, tmp_path) == 4711


@pytest.mark.parametrize("changes", [{"command": []}, {"processes": 0}, {"sysctls": {}}])
def test_incomplete_facts_are_an_error(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    """
    Those of a process that has just ended are no facts.
    """
    whole = sample_facts()
    (name, own) = next(iter(whole.services.items()))
    own = structs.replace(own, command=["python3"], processes=1, sysctls={"a": "1"})
    deployment = cast(
        "Deployment",
        SimpleNamespace(services=lambda: {name: Part(1, None)}, helpers=dict),
    )
    monkeypatch.setattr(facts, "service_facts", lambda _: own)
    assert facts_of(deployment, cast("Answer", None)).services == {name: own}
    cut = structs.replace(own, **changes)
    monkeypatch.setattr(facts, "service_facts", lambda _: cut)
    with pytest.raises(ProofError, match=f"service {name} are incomplete"):
        facts_of(deployment, cast("Answer", None))


@pytest.mark.parametrize("error", [StopIteration(), KeyError("Seccomp"), FileNotFoundError()])
def test_facts_that_are_cut_off_while_they_are_read_are_an_error_of_the_trial(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """
    And no fault of the project.
    """

    def cut(_part: Part) -> None:
        raise error

    monkeypatch.setattr(facts, "service_facts", cut)
    deployment = cast("Deployment", SimpleNamespace(services=lambda: {"gateway": Part(1, None)}))
    with pytest.raises(ProofError, match="facts about service gateway"):
        facts_of(deployment, cast("Answer", None))


@pytest.mark.parametrize(
    ("version", "file", "text"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        (2, "memory.events", "low 0\noom 5\noom_kill 2\noom_group_kill 0\n"),
    ],
)
def test_kills_for_memory_are_counted_by_the_kernel(
    tmp_path: Path, version: int, file: str, text: str
) -> None:
    """
    In either version of control groups; without a controller there are none.
    """
    (tmp_path / "stack").mkdir()
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    controllers = ("memory",) if version == 1 else ()
    group = ControlGroup("stack", [Hierarchy(version, tmp_path, tmp_path, controllers)])
    assert group.memory_kills() == 0
    (tmp_path / "stack" / file).write_text(text)
    assert group.memory_kills() == 2


def test_a_variant_is_set_aside_after_three_failures_in_a_row() -> None:
    """
    With the last reason; a trial with a result begins the count anew, and a stop is none.
    """
    trials = [failed_trial(number, number, "docker") for number in (1, 2)]
    assert Failures(trials).set_aside() == {}
    stopped = structs.replace(failed_trial(3, 3, "docker"), failed_phase=STOPPED)
    assert Failures([*trials, stopped]).set_aside() == {}
    third = structs.replace(failed_trial(4, 3, "docker"), error="process ended: gateway")
    assert Failures([*trials, stopped, third]).set_aside() == {"docker": "process ended: gateway"}
    assert Failures([*trials, trial(5, 3, "docker", 250), third]).set_aside() == {}
    assert Failures([*trials, failed_trial(6, 3, "netns")]).set_aside() == {}
