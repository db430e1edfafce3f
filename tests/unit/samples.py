"""
Small records for the tests.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec import structs

from analysis.findings import Findings
from analysis.report.markdown import render
from analysis.run import Run
from analysis.statistics.estimates import Differences
from analysis.statistics.places import at_equal_place
from experiments.declare.variants import MATCHED, Comparison, Variant
from experiments.declare.workloads import Workload
from experiments.records.ab.report import AbReport
from experiments.records.cpu import STAT_FIELDS
from experiments.records.manifest import (
    Environment,
    MachineRecord,
    Manifest,
    Source,
    UserlandRecord,
)
from experiments.records.store import append_trial, write_manifest
from experiments.records.trials import (
    ERROR,
    OK,
    Answer,
    Check,
    CpuSpent,
    CpuTime,
    Facts,
    LoadResult,
    RoundLoad,
    ServiceFacts,
    TrialPlacement,
    TrialRecord,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.statistics.estimates import Difference

REQUESTS = 250
"""Of a short load."""

CHECK = Check("198.18.0.11:3000", 4, "Werkzeug", Answer(200, 574, "a" * 64))
PLACEMENT = TrialPlacement([0], [1], apart=True, pinned=True)

COMPOSE: dict[str, Any] = {
    "name": "bridgetoll",
    "x-health": {"anything": 1},
    "networks": {
        "stack": {
            "name": "bridgetoll_stack",
            "driver_opts": {"com.docker.network.bridge.name": "stack"},
            "ipam": {"config": [{"subnet": "198.18.0.0/24", "gateway": "198.18.0.1"}]},
        }
    },
    "services": {
        "web": {
            "image": "bridgetoll/userland",
            "pull_policy": "never",
            "entrypoint": None,
            "command": ["python3", "-m", "web"],
            "environment": {"PORT": "80", "EMPTY": None},
            "depends_on": {"store": {"condition": "service_healthy", "required": True}},
            "healthcheck": {
                "test": ["CMD", "check", "80"],
                "interval": "1h0m0s",
                "timeout": "5s",
                "retries": 2,
                "start_period": "1m0s",
                "start_interval": "100ms",
            },
            "deploy": {
                "replicas": 2,
                "resources": {"limits": {"cpus": 0.5, "memory": "67108864"}},
                "placement": {},
            },
            "networks": {"stack": None},
            "stop_grace_period": "1s",
            "volumes": [
                {"type": "bind", "source": "/srv", "target": "/srv", "read_only": True, "bind": {}}
            ],
            "working_dir": "/srv",
        },
        "store": {
            "image": "bridgetoll/userland:latest",
            "command": ["store"],
            "user": "redis",
            "tmpfs": ["/data", "/more:size=1m"],
            "networks": {"stack": {"ipv4_address": "198.18.0.2"}},
        },
    },
}
"""What Docker Compose prints for a project that raw namespaces honour."""


RUNNING = ServiceFacts(
    interpreter="1" * 64,
    placement="1",
    stdout="pipe",
    stderr="pipe",
    open_files=["1024", "1048576"],
    namespaces=["pid", "mnt", "uts", "ipc"],
    root="overlay",
    capabilities="00000000a80425fb",
    seccomp="2",
    user="0",
    packages="2" * 64,
    command=["python3", "-m", "services.gateway"],
    gunicorn=False,
    processes=1,
    others=[],
    environment={"PORT": "3000"},
    stdin="null",
    cpu_limit=None,
    memory_limit_bytes=None,
    own_group=True,
    sysctls={"net/core/somaxconn": "4096"},
)
"""A service as it runs in the matched container."""


def facts(**changes: object) -> Facts:
    """
    Facts about a gateway that runs so but for the changes.
    """
    gateway = structs.replace(RUNNING, **changes)
    return Facts(CHECK.answer, ["dockerd, containerd, shims"], {"gateway": gateway})


def cpu_spent(parts: dict[str, CpuTime], **changes: object) -> CpuSpent:
    """
    What these parts spent in ten seconds in which every column of /proc/stat grew by one.
    """
    usual = CpuSpent(
        duration_s=10.0,
        parts=parts,
        machine_s=dict.fromkeys(STAT_FIELDS, 1.0),
        interrupts_apart=False,
        unaccounted_s=0.0,
        context_switches=1,
        throttled_s={},
        client_share=0.1,
    )
    return structs.replace(usual, **changes)


def load(requests_per_second: float, failed: int = 0, non_2xx: int = 0) -> LoadResult:
    """
    A load of 1000 requests at this rate.
    """
    seconds = 1000 / requests_per_second
    return LoadResult(
        tool="ab",
        command=["ab"],
        requests=1000,
        concurrency=50,
        requests_completed=1000,
        requests_failed=failed,
        requests_ok=1000 - non_2xx,
        responses_non_2xx=non_2xx,
        duration_s=seconds,
        requests_per_second=requests_per_second,
        latency_mean_us=50 * seconds * 1e3,
        latency_p50_us=45 * seconds * 1e3,
        latency_p90_us=60 * seconds * 1e3,
        latency_p99_us=90 * seconds * 1e3,
        latency_max_us=95 * seconds * 1e3,
    )


def details(**changes: object) -> AbReport:
    """
    What ab prints of a load of 1000 requests, but for the changes.
    """
    usual = AbReport(50, 4.0, 1000, 0, 250.0)
    return structs.replace(usual, **changes)


def trial(number: int, block: int, variant: str, requests_per_second: float) -> TrialRecord:
    """
    A trial that went well.
    """
    return TrialRecord(
        number=number,
        block=block,
        position=1,
        variant=variant,
        status=OK,
        started_at=1e9 + number,
        phases_s={"deploy": 1.0, "load": 4.0, "teardown": 0.1},
        check=CHECK,
        placement=PLACEMENT,
        load=load(requests_per_second),
    )


def round_load(number: int, us_per_request: float, non_2xx: int = 0) -> RoundLoad:
    """
    The short load of one round; ``non_2xx`` of its answers were errors.
    """
    return RoundLoad(
        round=number,
        turn=1,
        started_at=1e9 + number,
        requests=REQUESTS,
        requests_completed=REQUESTS,
        requests_failed=0,
        requests_ok=REQUESTS - non_2xx,
        responses_non_2xx=non_2xx,
        us_per_request=us_per_request,
        others=1,
        others_ran_us=0,
    )


def whole_of(loads: Sequence[RoundLoad]) -> LoadResult:
    """
    All loads of a trial as one.
    """
    completed = sum(each.requests_completed for each in loads)
    us = sum(each.us_per_request * each.requests_completed for each in loads)
    return structs.replace(
        load(1e6 * completed / us),
        requests=sum(each.requests for each in loads),
        requests_completed=completed,
        requests_failed=sum(each.requests_failed for each in loads),
        requests_ok=sum(each.requests_ok for each in loads),
        responses_non_2xx=sum(each.responses_non_2xx for each in loads),
        duration_s=us / 1e6,
    )


def side_by_side(
    number: int,
    block: int,
    variant: str,
    rounds_us: Sequence[float],
    *,
    position: int = 1,
    part: int = 1,
    non_2xx: int = 0,
) -> TrialRecord:
    """
    A trial of one short load a round, by their microseconds per request, in this place of its part.

    In each load ``non_2xx`` answers were errors.
    """
    loads = [round_load(at, us, non_2xx) for at, us in enumerate(rounds_us, start=1)]
    whole = whole_of(loads)
    return structs.replace(
        trial(number, block, variant, whole.requests_per_second),
        position=position,
        part=part,
        loads=loads,
        load=whole,
    )


def failed_trial(number: int, block: int, variant: str) -> TrialRecord:
    """
    A trial that failed, with a reason that would break a table.
    """
    return TrialRecord(
        number=number,
        block=block,
        position=2,
        variant=variant,
        status=ERROR,
        started_at=1e9 + number,
        phases_s={"deploy": 60.0},
        check=None,
        placement=PLACEMENT,
        load=None,
        failed_phase="deploy",
        error="gateway did not become healthy\nits last line: a | b",
    )


def manifest(state: str = "complete", blocks: int = 2) -> Manifest:
    """
    The manifest of a run of one pair.
    """
    names = ["netns", "docker"]
    return Manifest(
        run="20260101T000000Z",
        state=state,
        seed=1,
        profile="quick",
        blocks=blocks,
        minutes=5,
        requests=1000,
        concurrency=50,
        warmup_requests=200,
        any_length=True,
        workload=Workload(
            name="products",
            about="gateway to product",
            services=("gateway", "product-1"),
            path="/api/products",
            expect_status=200,
            expect_json={},
        ),
        variants=[Variant(name, f"about {name}", {"runtime": name}) for name in names],
        comparisons=[Comparison("matched", "a pair", "netns", "docker", role=MATCHED)],
        order=[[names]] * blocks,
        ending=f"{blocks} blocks are enough",
        variants_file="",
        machine=MachineRecord("local", "this host"),
        userland=UserlandRecord(digest="0" * 16, packages={"runc": "1.1"}, wheels={"flask": "3.1"}),
        git=Source("f" * 40, changed=False),
        created_at=1.7e9,
        environment=Environment(kernel="6.12", cpus=[0, 1], memory_bytes=2**34),
        note="Ctrl-C" if state == "interrupted" else "",
    )


def stored(folder: Path, made: Manifest, trials: Sequence[TrialRecord]) -> Manifest:
    """
    Write a run as it is on the disk: its trials in their places of the manifest's order.

    A block's trials are in one part, in the given order.
    """
    order: dict[int, list[str]] = {}
    placed = []
    for each in trials:
        names = order.setdefault(each.block, [])
        names.append(each.variant)
        placed.append(structs.replace(each, position=len(names)))
    rounds = max((load.round for each in trials for load in each.loads), default=made.rounds)
    whole = dataclasses.replace(
        made, order=[[names] for _, names in sorted(order.items())], rounds=rounds
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, whole)
    for each in placed:
        append_trial(folder, each)
    return whole


def findings(
    made: Manifest,
    trials: Sequence[TrialRecord],
    folder: Path | None = None,
    **more: Any,  # noqa: ANN401 - whatever else a run has
) -> Findings:
    """
    What is found in a run of these records.
    """
    return Findings.of(Run(made, trials, folder, **more))


def report(made: Manifest, trials: Sequence[TrialRecord], **more: Any) -> str:  # noqa: ANN401
    """
    The report of a run of these records, without figures.
    """
    return render(findings(made, trials, **more), [], "figures")


def compare(baseline: str, treatment: str, trials: Sequence[TrialRecord]) -> Difference | None:
    """
    The paired difference of two variants.
    """
    return Differences(at_equal_place(trials)).between(baseline, treatment)
