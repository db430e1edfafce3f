"""
The conditions that all trials of a block share, and the identity of one trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.load import LoadPlan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.declare.workloads import Workload
    from experiments.deployments import Site
    from experiments.deployments.compose import ComposeProject
    from experiments.lab.cgroups import ControlGroup
    from experiments.lab.placement import Placement
    from experiments.load import LoadGenerator
    from experiments.probes.parity import Parity
    from experiments.records.trials import Answer

LOAD_BASE_S = 60.0

LOAD_PER_REQUEST_S = 0.5
"""A load is ended after LOAD_BASE_S plus this time per request: two requests per second."""


@dataclass(frozen=True)
class Conditions:
    """
    The conditions that are the same for all trials of a block.

    A deployment gets ``rounds`` loads of ``requests`` requests, then one load of
    ``requests_at_once`` requests if its variant is in ``at_once``, and then the open loop at
    ``open_fractions`` of its capacity and at the common rate. ``groups`` maps the client and the
    runner to their control groups. ``probing`` maps a trial's number to whether it is probed.
    """

    workload: Workload
    requests: int
    rounds: int
    warmup_requests: int
    concurrency: int
    any_length: bool
    placement: Placement
    pinned: bool
    groups: dict[str, ControlGroup]
    load: LoadGenerator
    parity: Parity
    probing: Callable[[int], bool]
    seed: int
    at_once: frozenset[str] = frozenset()
    requests_at_once: int = 0
    open_fractions: tuple[float, ...] = ()
    open_requests: int = 0
    common_rate_per_s: float | None = None

    def load_plan(
        self,
        address: str,
        requests: int,
        reference: Answer | None = None,
        *,
        seed: str = "",
        expected_s: float = 0.0,
    ) -> LoadPlan:
        """
        The plan of a load of this number of requests; the rest is as in LoadPlan.
        """
        return LoadPlan(
            address=address,
            workload=self.workload,
            requests=requests,
            concurrency=min(self.concurrency, requests),
            limit_s=LOAD_BASE_S + LOAD_PER_REQUEST_S * requests,
            any_length=self.any_length,
            reference=reference,
            seed=f"{self.seed} {seed}",
            expected_s=expected_s,
        )


@dataclass(frozen=True)
class Identity:
    """
    The identity of a trial: its number, its place in the run, and its folders.
    """

    number: int
    block: int
    part: int
    position: int
    variant: Variant
    project: ComposeProject
    site: Site
    run_folder: Path
    raw: Path
