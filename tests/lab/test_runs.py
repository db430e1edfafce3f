"""
Whole runs by the command behind the sessions: what goes wrong, and that nothing is lost.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from analysis.__main__ import main as report
from experiments.declare.reading import VARIANTS_FILE
from experiments.lab.cgroups import hierarchies
from experiments.machines.lock import RunLock
from experiments.paths import PROJECT
from experiments.processes import Process, first_child
from experiments.records.files import RAW, latest_run
from experiments.records.manifest import FAILED, INTERRUPTED
from experiments.records.store import read_manifest, read_trials
from experiments.records.trials import ERROR, OK, STOPPED
from tests.lab.conftest import residue, settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TINY = ["--requests", "20", "--warmup-requests", "0", "--workload", "fixed", "--rounds", "2"]


def measure(*arguments: str) -> subprocess.Popen[str]:
    """
    The measuring command, started; it does not outlive the tests.
    """
    own = ("--owner", str(Process.of(os.getpid())))
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "experiments", *own, "measure", *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout_s: float = 120) -> str:
    """
    Everything that it printed until its end.
    """
    with process:
        return process.communicate(timeout=timeout_s)[0]


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """
    Read lines until one holds the text.
    """
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"it ended without saying {text!r}")


def variants_file(tmp_path: Path, runtime: str, overlay: str) -> Path:
    """
    A user's own variants file with one variant, which has an override file.
    """
    (tmp_path / "own.yaml").write_text(overlay)
    file = tmp_path / "own.toml"
    file.write_text(
        f'[variants.own]\nabout = "own"\nruntime = "{runtime}"\nnetwork = "bridge"\n'
        'entry = "direct"\ndiscovery = "addresses"\noverlays = ["own.yaml"]\n'
    )
    return file


@pytest.mark.usefixtures("built")
def test_a_run_is_recorded_as_it_was_planned(tmp_path: Path) -> None:
    """
    Trials in the planned order, raw output beside them, the environment in the manifest.
    """
    before = residue()
    process = measure(
        "--results", str(tmp_path), *TINY, "--blocks", "2", "--variants", "netns,docker"
    )
    text = finish(process)
    assert process.returncode == 0, text
    assert "machine: this host's kernel, in the sealed lab" in text
    run = latest_run(tmp_path)
    manifest, trials = read_manifest(run), read_trials(run)
    assert manifest.state == "complete"
    assert [trial.variant for trial in trials] == [
        name for parts in manifest.order for part in parts for name in part
    ]
    for trial in trials:
        raw = run / RAW / f"{trial.number:03}-{trial.variant}"
        assert "Complete requests:      20" in (raw / "round-02" / "ab.txt").read_text()
        phases = {"deploy", "check", "load", "prove", "teardown"}
        assert trial.phases_s.keys() - {"at_once"} == phases
        assert [(load.requests_ok, load.others) for load in trial.loads] == [(20, 2), (20, 2)]
        assert trial.load is not None
        assert trial.load.requests_ok == 40
        # The first block has the longer load too, and not each one after it.
        assert (trial.at_once is None) == (trial.block == 2)
        assert trial.placement.pinned
    assert manifest.environment.sysctls["net/core/somaxconn"]
    assert manifest.userland.packages["docker.io"]
    assert manifest.userland.wheels["flask"]
    assert any("DOCKER" in rule for rule in manifest.network_state["docker"].firewall)
    assert manifest.network_state["netns"].firewall == []
    assert residue() == before


@pytest.mark.usefixtures("built", "deaf")
def test_ctrl_c_stops_cleanly_and_keeps_what_is_done(tmp_path: Path) -> None:
    """
    Status 130, every whole load kept, a report that says it was interrupted, nothing left.

    This holds where Ctrl-C was ignored at the start, too.
    """
    before = residue()
    process = measure("--results", str(tmp_path), *TINY, "--blocks", "50", "--variants", "docker")
    wait_for_line(process, "block 2 ")
    wait_until_something_is_deployed()
    process.send_signal(signal.SIGINT)
    text = finish(process)
    assert process.returncode == 130, text
    run = latest_run(tmp_path)
    assert read_manifest(run).state == INTERRUPTED
    first, second = read_trials(run)
    assert (first.status, len(first.loads)) == (OK, 2)
    assert "stopped by the user" in second.error
    assert "trials succeeded" in text
    assert report([str(run)]) == 0
    assert "**This run is interrupted**" in (run / "report.md").read_text()
    assert residue() == before


SIDE_BY_SIDE = ["netns", "docker", "docker-as-published", "bridge-beside-dockerd"]


def frozen() -> list[bool]:
    """
    Of every deployment that there is in a lab, as the host sees it, whether it is frozen.
    """
    (base,) = (each.base for each in hierarchies(inside_lab=False) if each.version == 2)
    found = []
    for events in base.glob("bridgetoll-*/stack-*/cgroup.events"):
        try:
            found.append("frozen 1" in events.read_text().splitlines())
        except OSError:
            continue
    return found


def wait_until_something_is_deployed() -> None:
    """
    Wait for the first deployment of a block; before, a stop would find nothing to record.
    """
    deadline = time.monotonic() + 60
    while not frozen():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def wait_until_most_is_frozen(run: Path) -> None:
    """
    Wait for the second of a run's rounds, and then for a moment in which all but one are frozen.
    """
    deadline = time.monotonic() + 60
    while not list(run.glob(f"{RAW}/*/round-02")) or frozen().count(False) != 1:
        assert time.monotonic() < deadline, frozen()
        time.sleep(0.002)
    assert frozen().count(True) >= len(SIDE_BY_SIDE) - 1


def keeper(process: subprocess.Popen[str]) -> int:
    """
    The process between the measuring one and the lab.
    """
    return first_child(process.pid)


def first_process(process: subprocess.Popen[str]) -> int:
    """
    The lab's first process, as the host numbers it: a child of what made its PID namespace.
    """
    return first_child(first_child(keeper(process)))


def runner(process: subprocess.Popen[str]) -> int:
    """
    The process that runs the blocks inside the lab.
    """
    return first_child(first_process(process))


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("target", [keeper, first_process, runner])
def test_no_signal_leaves_anything_frozen(
    tmp_path: Path, target: Callable[[subprocess.Popen[str]], int], number: signal.Signals
) -> None:
    """
    In the lab or before it, while all but one of some deployments are frozen, daemons among them.

    What was asked to stop keeps its whole loads; the run that the next of these tests begins, as
    every next run, finds a machine on which nothing is left.
    """
    before = residue()
    process = measure(
        *("--results", str(tmp_path), *TINY[:-1], "500", "--blocks", "1"),
        *("--variants", ",".join(SIDE_BY_SIDE)),
    )
    wait_for_line(process, "block 1 ")
    run = latest_run(tmp_path)
    wait_until_most_is_frozen(run)
    os.kill(target(process), number)
    text = finish(process, 60)
    assert settled(before) == before, text
    manifest, trials = read_manifest(run), read_trials(run)
    if number == signal.SIGKILL:
        assert process.returncode not in {0, 130}, text
        assert manifest.state == FAILED
        # What the tools printed is there all the same.
        assert trials == []
        assert len(list(run.glob(f"{RAW}/*/round-01/ab.txt"))) >= len(SIDE_BY_SIDE)
    else:
        assert (process.returncode, manifest.state) == (130, INTERRUPTED), text
        assert {trial.variant for trial in trials} >= set(SIDE_BY_SIDE)
        for trial in trials:
            assert (trial.status, trial.failed_phase) == (OK, STOPPED), trial.error
            assert trial.loads
            assert trial.path
    assert report([str(run)]) == 0
    with RunLock():
        pass


@pytest.mark.usefixtures("built")
def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    """
    With the holder's process; nothing is made.
    """
    with RunLock():
        process = measure("--results", str(tmp_path), *TINY)
        text = finish(process)
    assert process.returncode == 1
    assert f"another run holds this machine: process {os.getpid()} (" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("runtime", ["process", "container"])
def test_a_service_that_fails_is_an_error_with_its_last_lines(tmp_path: Path, runtime: str) -> None:
    """
    The run ends after the third failure in a row, because nothing is left to measure.
    """
    broken = "services: {gateway: {command: [sh, -c, 'echo out of paper; exit 1']}}"
    file = variants_file(tmp_path, runtime, broken)
    process = measure("--results", str(tmp_path / "results"), *TINY, "--variants-file", str(file))
    text = finish(process)
    assert process.returncode == 1
    assert "every variant failed 3 times in a row" in text
    # Another session would set it aside again at once.
    assert "--resume" not in text
    run = latest_run(tmp_path / "results")
    trials = read_trials(run)
    assert [trial.status for trial in trials] == [ERROR] * 3
    assert trials[0].error.startswith("process ended: service gateway ended with status 1")
    assert "out of paper" in trials[0].error
    assert (run / "overlays").is_dir()
    assert report([str(run)]) == 0
    written = (run / "report.md").read_text()
    assert "out of paper" in written
    assert "own was set aside" in written


@pytest.mark.usefixtures("built")
def test_loads_that_break_off_are_counted_and_do_not_end_the_run(tmp_path: Path) -> None:
    """
    A gateway that dies under load: every trial is an error, none is passed over, all are tried.
    """
    code = (
        "import itertools, os; from services.gateway import app; from services.web import serve; "
        "n = itertools.count(); app.before_request(lambda: next(n) > 30 and os._exit(0) or None); "
        "serve(app)"
    )
    overlay = f'services: {{gateway: {{command: [python3, -c, "{code}"]}}}}'
    file = variants_file(tmp_path, "process", overlay)
    load = ["--requests", "200", "--warmup-requests", "0", "--workload", "fixed", "--blocks", "3"]
    process = measure("--results", str(tmp_path / "r"), *load, "--variants-file", str(file))
    text = finish(process)
    assert process.returncode == 1, text
    run = latest_run(tmp_path / "r")
    trials = read_trials(run)
    assert [(trial.status, trial.failed_phase) for trial in trials] == [(ERROR, "load")] * 3
    assert read_manifest(run).state == "complete"
    assert (run / "raw" / "001-own" / "round-01" / "ab.txt").read_text()
    assert (run / "raw" / "001-own" / "gateway.log").exists()


@pytest.mark.usefixtures("built")
def test_a_key_that_cannot_be_honoured_ends_the_run_before_any_trial(tmp_path: Path) -> None:
    """
    By its name, and the manifest says that the run failed.
    """
    file = variants_file(tmp_path, "process", "services: {gateway: {tty: true}}")
    process = measure("--results", str(tmp_path / "results"), *TINY, "--variants-file", str(file))
    text = finish(process)
    assert process.returncode == 1
    assert (
        "variant own (compose.yaml, own-1-own.yaml): services.gateway.tty is refused (its value "
        "is True): a terminal would change how the program prints; remove it" in text
    )
    run = latest_run(tmp_path / "results")
    manifest = read_manifest(run)
    assert manifest.state == "failed"
    assert "services.gateway.tty" in manifest.note
    assert read_trials(run) == []
    assert report([str(run)]) == 0
    text = (run / "report.md").read_text()
    assert "services.gateway.tty" in text
    assert "unknown" in text


@pytest.mark.usefixtures("built")
def test_a_user_s_own_variants_are_kept_so_that_they_can_be_run_again(tmp_path: Path) -> None:
    """
    From the run's folder alone, by the words that its report gives.
    """
    file = variants_file(tmp_path, "process", 'services: {gateway: {environment: {OWN: "1"}}}')
    process = measure(
        "--results", str(tmp_path / "a"), *TINY, "--blocks", "1", "--variants-file", str(file)
    )
    text = finish(process)
    assert process.returncode == 0, text
    first = latest_run(tmp_path / "a")
    assert report([str(first)]) == 0
    kept = first / read_manifest(first).variants_file
    assert f"--variants-file results/{first.name}/{kept.name}" in (first / "report.md").read_text()
    file.unlink()
    (tmp_path / "own.yaml").unlink()
    again = measure(
        "--results", str(tmp_path / "b"), *TINY, "--blocks", "1", "--variants-file", str(kept)
    )
    text = finish(again)
    assert again.returncode == 0, text
    levels = [table.levels for table in read_manifest(first).variants]
    second = latest_run(tmp_path / "b")
    assert [table.levels for table in read_manifest(second).variants] == levels
    assert "OWN" in next((second / "overlays").iterdir()).read_text()


def test_the_lab_is_not_opened_while_something_measures() -> None:
    """
    A command in it would be measured too.
    """
    with RunLock():
        done = subprocess.run(
            [sys.executable, "-m", "experiments", "lab", "true"],
            cwd=PROJECT,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "another run holds this machine" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variants", "netsn"], "unknown variant 'netsn'; known variants"),
        (["--profile", "slow"], "invalid choice: 'slow'"),
        (["--workload", "none"], "unknown workload 'none'"),
        (["--variants-file", "/dev/null"], "declares no variant"),
    ],
)
def test_a_wrong_word_is_status_2_and_one_line(arguments: list[str], message: str) -> None:
    """
    Without a traceback.
    """
    process = measure(*arguments)
    text = finish(process)
    assert process.returncode == 2
    assert text.startswith("error: ")
    assert message in text
    assert "Traceback" not in text


@pytest.mark.usefixtures("built")
def test_a_results_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """
    Before anything runs.
    """
    (tmp_path / "file").write_text("")
    process = measure("--results", str(tmp_path / "file"), *TINY)
    text = finish(process)
    assert process.returncode == 1
    assert re.search(rf"{tmp_path / 'file'}/\S+ cannot be written: Not a directory", text)


def test_the_project_s_own_variants_are_the_default() -> None:
    """
    The file that the sessions read is the committed one.
    """
    assert VARIANTS_FILE == PROJECT / "experiments" / "declare" / "variants.toml"
