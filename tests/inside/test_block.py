"""
Blocks side by side, for real: only one runs, each fault is one trial's own, and nothing is left.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.declare.reading import load_variants
from experiments.declare.workloads import choose_workload
from experiments.lab.freezer import FREEZING_US
from experiments.lab.launch import launch_command
from experiments.lab.network import NetworkNamespace
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.records.cpu import CLIENT
from experiments.records.trials import ERROR, OK, STOPPED
from experiments.run.stage import Stage
from experiments.run.stop import StopRequest
from tests.inside.conftest import own_process_as_it_was

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.declare.variants import Variant
    from experiments.records.trials import TrialRecord
    from experiments.run.block import Block
    from experiments.run.trial import Trial

VARIANTS = load_variants().variants

ROUNDS, REQUESTS, AT_ONCE = 3, 40, 60
SIDE_BY_SIDE = 8
"""Deployments of five services each that a small machine has room for."""


@contextmanager
def prepared(run: Path, workload: str) -> Iterator[Stage]:
    """
    A stage on which Docker has been started once, as before the first block of a run.
    """
    options = ["--variants", "netns,docker", "--workload", workload, "--warmup-requests", "20"]
    options += ["--blocks", "1", "--rounds", str(ROUNDS), "--requests", str(REQUESTS)]
    with own_process_as_it_was():
        stage = Stage(run, choose_workload(workload), StopRequest(), lambda _: None)
        stage.prepare(draft_manifest(measure_parser().parse_args(options), None), [])
        stage.start_docker_once()
        stage.conditions = dataclasses.replace(stage.conditions, requests_at_once=AT_ONCE)
        yield stage
        stage.groups[CLIENT].remove()


@pytest.fixture(scope="module")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """
    The constant answer, which needs one service.
    """
    with prepared(tmp_path_factory.mktemp("run"), "fixed") as stage:
        yield stage


@pytest.fixture
def stage(prepared_once: Stage) -> Iterator[Stage]:
    """
    A stage that nobody has asked to stop, and on which nothing is left, whatever happened.
    """
    prepared_once.stop = StopRequest()
    yield prepared_once
    prepared_once.check_residue()


def variants(*names: str) -> list[Variant]:
    """
    Variants by their names.
    """
    return [VARIANTS[name] for name in names]


def with_every_level() -> list[Variant]:
    """
    Variants that between them have each level of each factor; of doses one will do.
    """
    levels: dict[str, set[tuple[str, str]]] = {}
    for variant in VARIANTS.values():
        own = {*variant.levels.items()}
        doses = {
            dose
            for factor, dose in own
            if (factor in {"cpus", "memory"} and dose not in {"unlimited", "0.5", "256m"})
            or (factor in {"burn_us", "sleep_us"} and dose not in {"none", "0", "500"})
            # Several calls are for the workload of the products; see refuse_calls.
            or (factor == "calls" and dose != "1")
        }
        if not doses:
            levels[variant.name] = own
    found: list[Variant] = []
    while missing := set.union(*levels.values()).difference(*(levels[each.name] for each in found)):
        found.append(VARIANTS[max(levels, key=lambda name: len(levels[name] & missing))])
    return found


def by_variant(records: list[TrialRecord]) -> dict[str, TrialRecord]:
    """
    Records of different variants by their names.
    """
    return {record.variant: record for record in records}


def whole_with(record: TrialRecord, others: int, rounds: int = ROUNDS) -> None:
    """
    Assert that a trial is good, with a whole load in each round while so many others stood still.
    """
    assert (record.status, record.error) == (OK, "")
    assert [load.round for load in record.loads] == list(range(1, rounds + 1))
    assert {load.others for load in record.loads} == {others}
    assert all(load.others_ran_us <= FREEZING_US for load in record.loads)
    assert all(load.requests_ok == load.requests for load in record.loads)
    assert record.path is not None
    assert record.path.links
    assert record.cpu is not None
    assert record.cpu.parts["gateway"].user_s > 0


def test_of_deployments_side_by_side_only_the_one_under_load_runs(stage: Stage) -> None:
    """
    In each round each is loaded once; then the longer load, the paths, and the end of all.
    """
    names = ("netns", "docker", "docker-as-published", "bridge-beside-dockerd")
    block = stage.side_by_side(variants(*names))
    records = block.run()
    assert not block.stopped
    assert [(record.variant, record.position) for record in records] == [
        (name, place) for place, name in enumerate(names, start=1)
    ]
    for record in records:
        whole_with(record, others=len(names) - 1)
        assert record.load is not None
        assert record.load.requests_ok == ROUNDS * REQUESTS
        assert record.placement.processes or not record.placement.pinned
    for number in range(ROUNDS):
        assert sorted(record.loads[number].turn for record in records) == [1, 2, 3, 4]
    found = by_variant(records)
    assert found["docker"].at_once is not None
    assert found["docker"].at_once.requests_ok == AT_ONCE
    assert found["bridge-beside-dockerd"].at_once is None
    assert any("DOCKER" in rule for rule in stage.states["docker"].firewall)


@contextmanager
def busy(trial: Trial) -> Iterator[None]:
    """
    Meanwhile a deployment that should be frozen is not, and a process of it computes.
    """
    site = trial.identity.site
    host = NetworkNamespace(site.network_namespace).path
    spin = launch_command(site.group.child("shared"), host, ["sh", "-c", "while :; do :; done"])
    trial.freezer.thaw()
    with subprocess.Popen(spin) as process:
        yield
        process.kill()
    trial.freezer.freeze()


def test_a_load_beside_which_another_deployment_ran_is_no_number(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its trial ends there and says what ran how long, with the loads before it; the others' go on.
    """
    block = stage.side_by_side(variants("docker", "netns"))
    loaded, other = block.trials
    load = loaded.load

    def beside(number: int, turn: int, others: list[Trial]) -> None:
        if number < 2:
            load(number, turn, others)
            return
        with busy(other):
            load(number, turn, others)

    monkeypatch.setattr(loaded, "load", beside)
    spoilt, good = block.run()
    assert (spoilt.status, spoilt.failed_phase) == (OK, "load")
    assert [each.round for each in spoilt.loads] == [1]
    ran = re.fullmatch(
        r"not proved: frozen deployments took CPU time while another one was under load: "
        r"netns (\d+) µs",
        spoilt.error,
    )
    assert ran is not None
    assert int(ran[1]) > 10_000
    whole_with(good, others=1)


def test_deployments_that_do_not_come_up_cost_their_own_trials(
    stage: Stage, tmp_path: Path
) -> None:
    """
    And are gone before any of the others is loaded.
    """
    overlay = tmp_path / "broken.yaml"
    overlay.write_text("services: {gateway: {command: [sh, -c, 'echo out of paper; exit 1']}}")
    broken = [
        dataclasses.replace(VARIANTS[name], name=f"{name}-broken", overlays=(overlay,))
        for name in ("docker", "netns")
    ]
    found = by_variant(stage.side_by_side([*broken, *variants("netns", "docker")]).run())
    for variant in broken:
        record = found[variant.name]
        assert (record.status, record.failed_phase, record.loads) == (ERROR, "deploy", [])
        assert "out of paper" in record.error
    whole_with(found["netns"], others=1)
    whole_with(found["docker"], others=1)


def kill_dockerd(trial: Trial) -> None:
    """
    SIGKILL to a deployment's dockerd, which has then ended, with everything that dies of it.
    """
    group = trial.identity.site.group.child("daemon")
    (pid,) = (
        pid
        for pid in group.process_ids()
        if Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    )
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    ran_us = -1
    # What dies takes CPU time, and the next load begins when it takes none.
    while pid in group.process_ids() or trial.freezer.ran_us() != ran_us:
        assert time.monotonic() < killed + 2
        ran_us = trial.freezer.ran_us()
        time.sleep(0.05)


def at(block: Block, text: str, delay_s: float, what: signal.Signals | Trial) -> None:
    """
    When the block shows this, send this process a signal after a while, or kill a dockerd at once.
    """

    def show(shown: str) -> None:
        if shown.startswith(text):
            if isinstance(what, signal.Signals):
                threading.Timer(delay_s, os.kill, (os.getpid(), what)).start()
            else:
                kill_dockerd(what)

    block.show = show


def test_a_dockerd_that_is_killed_while_it_is_frozen_costs_its_own_trial(stage: Stage) -> None:
    """
    The block goes on, and nobody waits for the dead one.
    """
    block = stage.side_by_side(variants("netns", "docker", "docker-as-published"))
    at(block, "round 2", 0, block.trials[1])
    started = time.monotonic()
    good, dead, also_good = block.run()
    assert time.monotonic() - started < 60
    assert (dead.status, dead.failed_phase, dead.load) == (ERROR, "load", None)
    assert [load.round for load in dead.loads] == [1]
    for record in (good, also_good):
        whole_with(record, others=2)


# An exception out of a signal strikes anywhere, also where pyroute2 has just opened something.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("phase", "delay_s", "least", "most"),
    [
        ("bringing up 1", 0.3, 0, 0),
        ("bringing up 1", 1.5, 0, 0),
        ("warming up", 0.05, 0, 0),
        ("round 2", 0.1, 1, 2),
        ("taking down", 0.05, ROUNDS, ROUNDS),
    ],
)
def test_a_signal_leaves_nothing_and_takes_no_whole_load_away(
    stage: Stage, phase: str, delay_s: float, least: int, most: int
) -> None:
    """
    In each phase of a block: what was whole is kept with its path proved, and soon all is gone.
    """
    conditions = dataclasses.replace(stage.conditions, at_once=frozenset())
    block = stage.side_by_side(variants("netns", "docker"), conditions)
    at(block, phase, delay_s, signal.SIGINT)
    started = time.monotonic()
    records = block.run()
    # Now, while it is ignored, and not in a later test.
    gc.collect()
    assert block.stopped
    assert time.monotonic() - started < 30
    stage.check_residue()
    for record in records:
        assert least <= len(record.loads) <= most
        assert record.status == (OK if least else ERROR)
        assert bool(record.path) == bool(least)
        if phase != "taking down":
            assert "stopped by the user" in record.error
        if least:
            assert record.failed_phase in {STOPPED, ""}
            assert all(load.others_ran_us <= FREEZING_US for load in record.loads)


def test_at_every_level_of_every_factor_the_stack_with_its_stores_works(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """
    Up, checked, loaded and proved; the end-to-end tests have every variant, but without stores.
    """
    with prepared(tmp_path_factory.mktemp("run"), "orders") as stage:
        conditions = dataclasses.replace(
            stage.conditions, rounds=1, requests=60, warmup_requests=0, at_once=frozenset()
        )
        for some in batched(with_every_level(), SIDE_BY_SIDE, strict=False):
            records = stage.side_by_side(some, conditions).run()
            assert {record.variant: record.error for record in records if record.error} == {}
            for record in records:
                whole_with(record, others=len(some) - 1, rounds=1)
                assert record.facts is not None
                assert set(record.facts.services) >= {"gateway", "orders"}
