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
    What frozen deployments did while another was loaded: ``ran_us`` of CPU time in all.
    """

    def __init__(self, others: Sequence[Deployed]) -> None:
        """
        Looks at those of them that are frozen.
        """
        self.others = [other for other in others if other.is_frozen]
        self.ran_us = 0
        self._before_us = [other.freezer.ran_us() for other in self.others]

    def prove(self) -> None:
        """
        Raise ProofError that names what ran.
        """
        ran_us = {
            other.variant.name: other.freezer.ran_us() - before
            for other, before in zip(self.others, self._before_us, strict=True)
        }
        self.ran_us = sum(ran_us.values())
        if any(us > FREEZING_US for us in ran_us.values()):
            names = ", ".join(f"{name} {us} µs" for name, us in ran_us.items() if us)
            msg = f"while one was loaded, frozen deployments took CPU time: {names}"
            raise ProofError(msg)


@contextmanager
def in_silence(others: Sequence[Deployed]) -> Iterator[Silence]:
    """
    Prove that what is frozen of these takes no CPU time meanwhile.

    Raises ProofError when one takes more than it takes to be frozen (FREEZING_US).
    """
    silence = Silence(others)
    yield silence
    silence.prove()
