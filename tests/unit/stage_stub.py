"""
A stage without a lab: blocks whose trials come to what a test says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.records.trials import TrialRecord
    from experiments.run.stage import Stage


@dataclass(frozen=True)
class StubConditions:
    """
    The conditions that are changed for trials that are no part of the results.
    """

    requests: int = 250
    rounds: int = 6
    warmup_requests: int = 200
    at_once: frozenset[str] = frozenset({"netns"})
    open_requests: int = 10


@dataclass
class StubBlock:
    """
    A block that has been measured before it is run.
    """

    trials: Sequence[Variant]
    records: list[TrialRecord]
    stopped: bool
    taken_bytes: int
    took_s: dict[str, float] = field(
        default_factory=lambda: {"up": 2.0, "rounds": 16.0, "down": 2.0}
    )

    def run(self) -> list[TrialRecord]:
        """
        What its trials came to.
        """
        return self.records


class StubStage:
    """
    Remembers in ``begun`` the variants, the conditions and the kind of each block.
    """

    def __init__(
        self,
        run: Path,
        measured: Callable[[int, Variant, StubConditions], TrialRecord],
        *,
        stopped: bool = False,
        taken_bytes: int = 0,
        docker_bytes: int = 0,
    ) -> None:
        """
        ``measured`` says what the trial of a number comes to; a deployment takes so many bytes.
        """
        self.run = run
        self.conditions = StubConditions()
        self.begun: list[tuple[list[Variant], StubConditions, str]] = []
        self._measured = measured
        self._stopped = stopped
        self._taken_bytes = taken_bytes
        self._docker_bytes = docker_bytes
        self._number = 0

    def side_by_side(
        self,
        variants: Sequence[Variant],
        conditions: StubConditions,
        *,
        kind: str,
        pairs: Sequence[Sequence[str]] = (),
    ) -> StubBlock:
        """
        A block of these variants.
        """
        del pairs
        self.begun.append((list(variants), conditions, kind))
        records = []
        for variant in variants:
            self._number += 1
            records.append(self._measured(self._number, variant, conditions))
        return StubBlock(variants, records, self._stopped, self._taken_bytes * len(variants))

    def start_docker_once(self) -> int:
        """
        What Docker takes.
        """
        return self._docker_bytes


def as_stage(stub: StubStage) -> Stage:
    """
    The stub, where a stage is asked for.
    """
    return cast("Stage", stub)
