"""
Faults of the machine and of the lab's own processes in a trial: each costs its own trial.
"""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from experiments.lab.cgroups import ControlGroup
from experiments.load.ab import ApacheBench
from experiments.probes.alive import named
from experiments.probes.steady import Steady
from experiments.records.cpu import CLIENT
from experiments.records.trials import ERROR, OK
from experiments.run import deployed
from experiments.run.deployed import Deployed
from tests.inside.conftest import REQUESTS, ROUNDS
from tests.inside.test_faults import ARMS, VARIANTS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from experiments.load import Client, LoadPlan
    from experiments.records.trials import LoadResult, TrialRecord
    from experiments.run.stage import Stage

    Disturb = Callable[[ControlGroup, Client], None]

WAIT_S = 10.0
"""The time in which a process that is to be killed appears."""

LONGER = 10
"""A disturbed load has so many times the requests, so that it lasts until it is disturbed."""

LOADS = ("cold", "round-01", "round-02")


class Disturbed:
    """
    ab, and what happens meanwhile to the deployments of these variants in these loads.
    """

    name = ApacheBench.name

    def __init__(self, disturbances: dict[tuple[str, str], Disturb]) -> None:
        """
        Each by the names of its variant and its load.
        """
        self._ab = ApacheBench()
        self._disturbances = disturbances

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Run ab, beside the disturbance if there is one.
        """
        number, _, variant = directory.parent.name.partition("-")
        disturb = self._disturbances.get((variant, directory.name))
        if disturb is None:
            return self._ab.run(plan, client, directory)
        stack = ControlGroup(f"stack-{int(number)}", client.group.hierarchies)
        thread = threading.Thread(target=disturb, args=(stack, client))
        thread.start()
        longer = dataclasses.replace(plan, requests=LONGER * plan.requests)
        try:
            return self._ab.run(longer, client, directory)
        finally:
            thread.join()

    def times_ms(self, directory: Path) -> Counter[int]:
        """
        As ab.
        """
        return self._ab.times_ms(directory)


def kill_named(group: ControlGroup, name: str) -> None:
    """
    Kill the process of this name in a control group as soon as there is one.
    """
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for pid in group.process_ids():
            if named(pid) == name:
                os.kill(pid, signal.SIGKILL)
                return
        time.sleep(0.001)


def kill(name: str) -> Disturb:
    """
    Kill a process of the daemon.
    """
    return lambda stack, _client: kill_named(stack.child("daemon"), name)


def kill_ab(_stack: ControlGroup, client: Client) -> None:
    """
    Kill the load generator.
    """
    kill_named(client.group, "ab")


def measured(stage: Stage, disturbances: dict[tuple[str, str], Disturb]) -> dict[str, TrialRecord]:
    """
    The trials of a block with these disturbances; those of a variant of each arm without are whole.
    """
    names = dict.fromkeys(variant for variant, _ in disturbances)
    # Only a published port has a docker-proxy.
    likes = ["docker-published" if "proxy" in name else name.partition("-")[0] for name in names]
    variants = [
        dataclasses.replace(VARIANTS[like], name=name)
        for like, name in zip(likes, names, strict=True)
    ]
    conditions = dataclasses.replace(stage.conditions, load=Disturbed(disturbances))
    sound = [VARIANTS[arm] for arm in ARMS]
    records = stage.side_by_side([*variants, *sound], conditions).run()
    for record in records[-len(sound) :]:
        assert (record.status, record.error) == (OK, "")
        assert [load.requests_ok for load in record.loads] == [REQUESTS] * ROUNDS
    return {record.variant: record for record in records}


def test_a_killed_process_of_docker_or_of_the_client_costs_its_own_trial(stage: Stage) -> None:
    """
    In each phase, and it is named.
    """
    disturbances = {(f"docker-dockerd-{load}", load): kill("dockerd") for load in LOADS}
    for name in ("containerd", "containerd-shim", "docker-proxy"):
        disturbances |= {(f"docker-{name}-{load}", load): kill(name) for load in LOADS[::2]}
    disturbances |= {(f"{arm}-ab-round-02", "round-02"): kill_ab for arm in ARMS}
    found = measured(stage, disturbances)
    wrong = []
    for name, load in disturbances:
        record = found[name]
        target = re.sub(r"^[a-z]+-|-(cold|round-0\d)$", "", name)
        if target == "ab":
            # Its trial keeps the load before.
            as_wanted = record.error.startswith("load failed: ab was ended by signal SIGKILL")
            as_wanted &= (record.status, len(record.loads)) == (OK, 1)
        else:
            as_wanted = record.error.startswith("process ended: ") and target in record.error
            as_wanted &= (record.status, record.load) == (ERROR, None)
        if not as_wanted or record.failed_phase != re.sub(r"round-.*", "load", load):
            wrong.append(f"{name}: {record.status}: {record.failed_phase}: {record.error}")
    assert not wrong, "\n\n".join(wrong)


def test_a_dockerd_killed_while_it_brings_services_up_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With its last lines.
    """
    deploy = Deployed.deploy

    def kill_dockerd(daemon: ControlGroup) -> None:
        # A shim is there when the services are being started.
        kill_named(daemon, "containerd-shim")
        kill_named(daemon, "dockerd")

    def kill_meanwhile(self: Deployed) -> None:
        daemon = self.identity.site.group.child("daemon")
        if self.variant.name == "docker-killed":
            thread = threading.Thread(target=kill_dockerd, args=[daemon])
            thread.start()
            try:
                deploy(self)
            finally:
                thread.join()
        else:
            deploy(self)

    monkeypatch.setattr(Deployed, "deploy", kill_meanwhile)
    record = measured(stage, {("docker-killed", ""): kill_ab})["docker-killed"]
    assert (record.status, record.failed_phase) == (ERROR, "deploy")
    assert record.error.startswith("process ended: dockerd was ended by signal SIGKILL")


def test_a_dockerd_that_the_kernel_kills_for_memory_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    At its start; the next one has more.
    """
    create = ControlGroup.create
    starved: list[str] = []

    def create_small(self: ControlGroup) -> None:
        create(self)
        if self.path.endswith("/daemon") and not starved:
            starved.append(self.path)
            self.set_limits(None, 2**24)

    monkeypatch.setattr(ControlGroup, "create", create_small)
    found = stage.side_by_side([VARIANTS["docker"]]).run()
    found += stage.side_by_side([VARIANTS["docker"]]).run()
    assert [(each.status, each.failed_phase) for each in found] == [(ERROR, "deploy"), (OK, "")]
    assert found[0].error.startswith("out of memory: dockerd was ended by signal SIGKILL")


def test_an_ab_that_the_kernel_kills_for_memory_is_named(stage: Stage) -> None:
    """
    It is no fault of the service.
    """
    client = stage.groups[CLIENT]
    client.set_limits(None, 2**20)
    try:
        found = stage.side_by_side([VARIANTS[arm] for arm in ARMS]).run()
    finally:
        directory = client.directory("memory")
        assert directory is not None
        unlimited = {
            "memory.memsw.limit_in_bytes": "-1",
            "memory.limit_in_bytes": "-1",
            "memory.swap.max": "max",
            "memory.max": "max",
        }
        for name, none in unlimited.items():
            if (directory / name).exists():
                (directory / name).write_text(none)
    for record in found:
        assert (record.status, record.failed_phase) == (ERROR, "cold")
        assert record.error.startswith("load failed: ab was ended by signal SIGKILL")
        assert "the kernel killed it for memory" in record.error


def test_a_machine_that_changes_under_load_costs_that_load_only(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its clock is stepped, or somebody changes the CPUs of the stack.
    """
    stepped_s = 0.0

    def step(_stack: ControlGroup, _client: Client) -> None:
        nonlocal stepped_s
        stepped_s += 2.0

    def widen(stack: ControlGroup, _client: Client) -> None:
        stack.set_cpuset(stage.cpus)

    # The real clock belongs to the whole machine.
    clock = partial(Steady, wall=lambda: time.time() + stepped_s)
    monkeypatch.setattr(deployed, "Steady", clock)
    changes = {"clock": (step, "stepped by +2"), "cpus": (widen, "the CPUs of stack-")}
    found = measured(
        stage,
        {
            (f"{arm}-{name}", "round-02"): disturb
            for arm in ARMS
            for name, (disturb, _) in changes.items()
        },
    )
    for arm in ARMS:
        for name, (_, words) in changes.items():
            record = found[f"{arm}-{name}"]
            assert (record.status, len(record.loads), record.failed_phase) == (OK, 1, "load")
            assert record.error.startswith("machine: "), record.error
            assert words in record.error
