"""
Load generators: closed loops behind one protocol, and an open loop with its own interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from experiments.commands import Ended
    from experiments.declare.workloads import Workload
    from experiments.lab.cgroups import ControlGroup
    from experiments.records.trials import Answer, LoadResult


@dataclass(frozen=True)
class Client:
    """
    The origin of load: a network namespace, and a control group with its own CPUs.
    """

    network_namespace_path: str
    group: ControlGroup


@dataclass(frozen=True)
class LoadPlan:
    """
    One load: ``requests`` requests, ``concurrency`` of them concurrent, within ``limit_s`` seconds.

    Without ``any_length``, answers whose length differs from the first one count as failed, as ab
    has it. ``reference`` is the checked answer that all others must equal in length and content;
    None if only the status counts. Samples beside the load are drawn from ``seed``, in the
    ``expected_s`` seconds that it will probably take.
    """

    address: str
    workload: Workload
    requests: int
    concurrency: int
    limit_s: float
    any_length: bool = True
    reference: Answer | None = None
    seed: str = ""
    expected_s: float = 0.0

    @property
    def length(self) -> int | None:
        """
        See length_of.
        """
        return length_of(self.workload, self.reference)


def length_of(workload: Workload, reference: Answer | None) -> int | None:
    """
    The length in bytes of every good answer's body; None if it is unknown or varies.
    """
    return None if reference is None or workload.length_varies else reference.body_bytes


def killed(tool: str, ended: Ended, memory_kills: int) -> str:
    """
    That a signal ended a load generator, for an error message.
    """
    memory = "; the kernel killed it for memory: free some" if memory_kills else ""
    return f"{ended.failure(tool)}{memory}; the service had no part in it"


class LoadGenerator(Protocol):
    """
    A load tool in a closed loop.

    ``run`` stores the tool's output in ``directory`` before parsing it; ``times_ms`` reads there.
    Both raise LoadError: ``run`` if the tool is missing, hangs, gives up, or prints something
    unknown.
    """

    name: str

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Run one load.
        """

    def times_ms(self, directory: Path) -> Counter[int]:
        """
        The number of requests of a load by their time in whole milliseconds.
        """
