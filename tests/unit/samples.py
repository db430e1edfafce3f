"""
Small records for the tests.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from experiments.records import ERROR, OK, LoadResult, Manifest, RoundLoad, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUESTS = 250
"""Of a short load."""


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
        check={"status": 200},
        placement={"client": [0], "stack": [1], "apart": True, "pinned": True},
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
    return dataclasses.replace(
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
    return dataclasses.replace(
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
        check={},
        placement={"client": [0], "stack": [1], "apart": True, "pinned": True},
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
        workload={
            "name": "products",
            "about": "gateway to product",
            "services": ["gateway", "product-1"],
            "path": "/api/products",
            "post_json": None,
        },
        variants=[
            {"name": name, "about": f"about {name}", "levels": {"runtime": name}, "overlays": []}
            for name in names
        ],
        comparisons=[
            {"name": "matched", "about": "a pair", "baseline": "netns", "treatment": "docker"}
        ],
        order=[[names]] * blocks,
        ending=f"{blocks} blocks are enough",
        variants_file="",
        machine={"name": "local", "reason": "this host"},
        userland={"digest": "0" * 16, "packages": {"runc": "1.1"}, "wheels": {"flask": "3.1"}},
        git={"commit": "f" * 40, "changed": False},
        created_at=1.7e9,
        environment={"kernel": "6.12", "cpus": [0, 1], "memory_bytes": 2**34},
        note="Ctrl-C" if state == "interrupted" else "",
    )
