"""
What a trial is given: the conditions that its whole block shares, and its own identity.
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

LOAD_BASE_S = 60.0

LOAD_PER_REQUEST_S = 0.5
"""A load is ended after the base plus this much for every request: two requests a second."""


@dataclass(frozen=True)
class Conditions:
    """
    What is the same for every trial of a block.

    A deployment is loaded with ``requests`` requests in each of ``rounds`` rounds, then, where its
    variant is in ``at_once``, with ``requests_at_once`` at once, and then by schedule, with each of
    ``open_fractions`` of its own capacity and with the common rate. ``groups`` are the control
    groups of the client and of this process, by name. ``probing`` says for each trial, by its
    number, whether parity, path and CPU cost are looked at.
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

    def load_plan(self, address: str, requests: int) -> LoadPlan:
        """
        A load of so many requests.
        """
        return LoadPlan(
            address=address,
            workload=self.workload,
            requests=requests,
            concurrency=min(self.concurrency, requests),
            limit_s=LOAD_BASE_S + LOAD_PER_REQUEST_S * requests,
            any_length=self.any_length,
        )


@dataclass(frozen=True)
class Identity:
    """
    Which trial it is: its number, its place, and where it leaves what it sees.
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
