"""
Load generators: one adapter each, all behind the same protocol.
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
    Where load comes from: a network namespace (a path) and a control group with its own CPUs.
    """

    network_namespace: str
    group: ControlGroup


@dataclass(frozen=True)
class LoadPlan:
    """
    One load: ``requests`` requests, ``concurrency`` at a time, within ``limit_s`` seconds.

    Without ``any_length`` a tool that can do so counts an answer as failed when its length is not
    that of the first.
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

    ``run`` stores everything that the tool printed in ``directory`` before it parses any of it.
    It raises LoadError when the tool is missing, hangs, gives up, or prints what it never prints.
    """

    name: str

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Load the address once.
        """
