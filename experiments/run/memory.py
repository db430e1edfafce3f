"""
How many deployments fit into the memory side by side: from what they take, and what there is.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from experiments.probes.environment import available_bytes
from experiments.records.manifest import MemoryRecord

if TYPE_CHECKING:
    from experiments.declare.variants import Variant
    from experiments.run.block import Block
    from experiments.run.stage import Stage

SHARE = 0.8
"""So much of the memory that is available at first may be taken by deployments."""

LEAST_BYTES = 30 * 2**20
"""A deployment takes no less, whatever the kernel's estimate says of a single one."""

ROOMY_BYTES = 500 * 2**20
"""Where there is so much for each deployment, nobody asks what one takes."""


class Memory:
    """
    What deployments take, as far as it was measured.
    """

    def __init__(self, stage: Stage) -> None:
        """
        Nothing is up yet, so that what is available now is there for deployments.
        """
        self._stage = stage
        self._available_bytes = available_bytes()
        self._deployment_bytes: int | None = None
        self._docker_bytes = 0

    def is_roomy(self, deployments: int) -> bool:
        """
        Whether so many fit in any case.
        """
        return deployments * ROOMY_BYTES <= self._available_bytes * SHARE

    def take(self, block: Block) -> None:
        """
        Take in what the deployments of a block took.
        """
        taken = block.taken_bytes // len(block.trials)
        self._deployment_bytes = max(LEAST_BYTES, taken)

    def rehearse(self, variant: Variant) -> None:
        """
        Bring a deployment up and take it down, only to see what it takes.
        """
        conditions = dataclasses.replace(
            self._stage.conditions,
            rounds=0,
            warmup_requests=0,
            at_once=frozenset(),
            open_requests=0,
        )
        block = self._stage.side_by_side([variant], conditions, kind="rehearsal")
        block.run()
        if block.stopped:
            raise KeyboardInterrupt
        self.take(block)

    def start_docker_once(self) -> None:
        """
        Start Docker before any trial that needs it, and see what it takes.
        """
        self._docker_bytes = self._stage.start_docker_once()

    def fits(self, deployments: int) -> int:
        """
        How many of so many deployments fit side by side, if each takes as much as the largest kind.
        """
        if self._deployment_bytes is None:
            return deployments
        each = self._deployment_bytes + self._docker_bytes
        return min(deployments, int(self._available_bytes * SHARE / each))

    def as_record(self, fits: int) -> MemoryRecord:
        """
        As a manifest holds it, with how many deployments fit side by side.
        """
        taken = self._deployment_bytes
        return MemoryRecord(
            available_bytes=self._available_bytes,
            process_bytes=taken,
            container_bytes=taken and taken + self._docker_bytes,
            fits=fits,
        )
