"""
Proof that frozen deployments take no CPU time while another is loaded.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from experiments.errors import ProofError
from experiments.lab.freezer import FREEZING_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from experiments.run.deployed import Deployed


class Silence:
    """
    The CPU time of frozen deployments while another one is under load: ``ran_us`` in total.
    """

    def __init__(self, others: Sequence[Deployed]) -> None:
        """
        Reads the CPU time of the frozen ones.
        """
        self.others = [other for other in others if other.is_frozen]
        self.ran_us = 0
        self._before_us = [other.freezer.ran_us() for other in self.others]

    def prove(self) -> None:
        """
        Raise ProofError with the deployments that ran.
        """
        ran_us = [
            (other.variant.name, other.freezer.ran_us() - before)
            for other, before in zip(self.others, self._before_us, strict=True)
        ]
        self.ran_us = sum(us for _, us in ran_us)
        if self.ran_us > FREEZING_US:
            names = ", ".join(f"{name} {us} µs" for name, us in ran_us if us)
            msg = f"frozen deployments took CPU time while another one was under load: {names}"
            raise ProofError(msg)


@contextmanager
def in_silence(others: Sequence[Deployed]) -> Iterator[Silence]:
    """
    Prove that the frozen ones of these deployments take no CPU time meanwhile.

    Raises ProofError if they take more in total than freezing itself (FREEZING_US).
    """
    silence = Silence(others)
    yield silence
    silence.prove()
