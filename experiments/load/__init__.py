"""
Load generators: adapters behind one protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.declare.workloads import Workload
    from experiments.lab.cgroups import ControlGroup
    from experiments.records.trials import LoadResult


@dataclass(frozen=True)
class Client:
    """
    The origin of load: a network namespace (a path), and a control group with its own CPUs.
    """

    network_namespace: str
    group: ControlGroup


@dataclass(frozen=True)
class LoadPlan:
    """
    One load: ``requests`` requests, ``concurrency`` of them concurrent, within ``limit_s`` seconds.

    Without ``any_length``, ab counts answers whose length differs from the first one as failed.
    """

    address: str
    workload: Workload
    requests: int
    concurrency: int
    limit_s: float
    any_length: bool = True


class LoadGenerator(Protocol):
    """
    A load tool.

    ``run`` stores the tool's output in ``directory`` before parsing it. It raises LoadError if the
    tool is missing, hangs, gives up, or prints something unknown.
    """

    name: str

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Run one load.
        """
