"""
The number of deployments that fit in memory side by side.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from experiments.errors import DeployError
from experiments.hardware import available_bytes
from experiments.records.manifest import MemoryRecord

if TYPE_CHECKING:
    from experiments.declare.variants import Variant
    from experiments.run.block import Block
    from experiments.run.stage import Stage

SHARE = 0.8
"""The share of the available memory that deployments may take."""

SHARE_AGAIN = 0.9
"""The same in a later session: a little more, because what is available is never quite the same."""

LEAST_BYTES = 30 * 2**20
"""The least memory of a deployment; the kernel's estimate for a single one can be too low."""

ROOMY_BYTES = 500 * 2**20
"""With this much memory per deployment, no rehearsal is needed."""


class Memory:
    """
    The memory that deployments take, as far as it is measured.
    """

    def __init__(self, stage: Stage, known: MemoryRecord | None = None) -> None:
        """
        No deployment is up yet, so the available memory is free for deployments.

        ``known`` is what an earlier session of the run measured; its blocks have parts by that.
        """
        self._stage = stage
        self._available_bytes = known.available_bytes if known else available_bytes()
        self._deployment_bytes = known.process_bytes if known else None
        self._docker_bytes = (
            known.container_bytes - known.process_bytes
            if known and known.container_bytes and known.process_bytes
            else 0
        )

    def refuse_less(self, deployments: int) -> None:
        """
        Raise DeployError if memory no longer holds as many of these deployments as before.
        """
        if self._deployment_bytes is None:
            return
        needed = self.fits(deployments) * (self._deployment_bytes + self._docker_bytes)
        available = available_bytes()
        if needed > available * SHARE_AGAIN:
            msg = (
                f"the deployments of a block take {needed / 1e6:.0f} MB, and {available / 1e6:.0f} "
                "MB of memory are available now; free some, and resume the run again"
            )
            raise DeployError(msg)

    def is_roomy(self, deployments: int) -> bool:
        """
        Whether this many fit in any case.
        """
        return deployments * ROOMY_BYTES <= self._available_bytes * SHARE

    def take(self, block: Block) -> None:
        """
        Note the memory that the deployments of a block took.
        """
        taken = block.taken_bytes // len(block.trials)
        self._deployment_bytes = max(LEAST_BYTES, taken)

    def rehearse(self, variant: Variant) -> None:
        """
        Bring a deployment up and take it down again, to measure its memory.
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
        Start Docker before the first trial that needs it, and measure its memory.
        """
        taken = self._stage.start_docker_once()
        self._docker_bytes = self._docker_bytes or taken

    def fits(self, deployments: int) -> int:
        """
        How many of these deployments fit side by side, if all take as much as a container one.
        """
        if self._deployment_bytes is None:
            return deployments
        each = self._deployment_bytes + self._docker_bytes
        return min(deployments, int(self._available_bytes * SHARE / each))

    def as_record(self, fits: int) -> MemoryRecord:
        """
        The record for the manifest.
        """
        taken = self._deployment_bytes
        return MemoryRecord(
            available_bytes=self._available_bytes,
            process_bytes=taken,
            container_bytes=taken and taken + self._docker_bytes,
            fits=fits,
        )
