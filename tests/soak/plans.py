"""
What is planned, from a seed, and what came of it: kills in every phase, of every process.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tests.soak.processes import BUILD_STEP, IN_A_TRIAL, OWNERS, REPORT

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Phase:
    """
    A phase in which a kill falls, up to ``within_s`` seconds after its beginning.

    ``own`` says that a run has it once, so that each kill in it needs a run of its own. ``command``
    is what runs then, and ``role`` a target that only this phase has. ``weight`` is its share of
    the kills: one in a build takes as long as several others.
    """

    within_s: float
    own: bool = False
    command: str = "measure"
    role: str = ""
    weight: int = 4


PHASES = {
    "start": Phase(4.0, own=True),
    "pilot": Phase(8.0, own=True),
    "search": Phase(6.0, own=True),
    "report": Phase(1.5, own=True, role=REPORT),
    "userland": Phase(25.0, own=True, command="userland", role=BUILD_STEP, weight=1),
    "image": Phase(12.0, own=True, command="userland", role=BUILD_STEP, weight=1),
    "box": Phase(35.0, own=True, command="box", role=BUILD_STEP, weight=1),
    "bring up": Phase(4.0),
    "warm-up": Phase(0.6),
    "loading": Phase(0.6),
    "frozen": Phase(0.6),
    "taking down": Phase(0.6),
}
"""A build is of nothing but downloaded wheels; it is struck anywhere in its length."""

IN_THE_VM = tuple(name for name, phase in PHASES.items() if not phase.role)
"""The phases that need no network."""

SIGNALS = ("SIGKILL",) * 7 + ("SIGTERM", "SIGINT", "SIGHUP")

PAIR_S = 2.0
"""The longest time between the two kills of a pair; half of the pairs fall within a tenth of it."""


@dataclass(frozen=True)
class Plan:
    """
    One kill or a pair of kills: the phase, the delay in it, and the targets in order of preference.

    A target that does not live at that moment is replaced by the next one.
    """

    seed: str
    phase: str
    delay_s: float
    targets: tuple[tuple[str, ...], ...]
    signals: tuple[str, ...]
    pair_s: float
    nox: bool
    pick: int

    @classmethod
    def of(cls, seed: str, phases: Sequence[str] = tuple(PHASES), *, cheap: bool = False) -> Plan:
        """
        The plan of a seed in one of these phases; ``cheap`` ones mostly leave their run alive.
        """
        drawn = random.Random(seed)  # noqa: S311 - no secret
        names = [name for name in phases if not (cheap and PHASES[name].own)]
        (phase,) = drawn.choices(names, [PHASES[name].weight for name in names])
        own = [PHASES[phase].role] if PHASES[phase].role else []
        # Of a pair, the second often finds that its run has ended.
        count = drawn.choice((1, 1, 2, 2, 2))
        targets = []
        for _ in range(count):
            owners, others = (drawn.sample(each, len(each)) for each in (OWNERS, IN_A_TRIAL))
            ending = drawn.random() < (0.12 if cheap else 0.5)
            targets.append((*owners, *others, *own) if ending else (*others, *own, *owners))
        return cls(
            seed=seed,
            phase=phase,
            delay_s=drawn.uniform(0, PHASES[phase].within_s),
            targets=tuple(targets),
            signals=tuple(drawn.choice(SIGNALS) for _ in range(count)),
            pair_s=drawn.uniform(0, drawn.choice((PAIR_S, PAIR_S / 10))) if count == 2 else 0.0,
            nox=drawn.random() < 0.5,
            pick=drawn.randrange(1000),
        )


@dataclass
class Outcome:
    """
    What one kill did; ``faults`` is empty if every promise held.

    ``ended_s`` are the seconds from the kill to the end of the run, if it ended by it, and
    ``clean_s`` from then on until nothing of it was left.
    """

    seed: str
    phase: str
    roles: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    pair_s: float = 0.0
    went_on: bool = False
    ended_s: float | None = None
    clean_s: float | None = None
    status: int | None = None
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """
        One line of the results.
        """
        return asdict(self)


def kills(role: str, signal_name: str) -> bool:
    """
    Whether this signal ends a process of this role at once, without an order.

    The process that made the PID namespace only waits in it; it ignores SIGINT and SIGTERM.
    """
    return signal_name == "SIGKILL" or (role == "unshare" and signal_name == "SIGHUP")


def ends(role: str, signal_name: str) -> bool:
    """
    Whether this signal to a process of this role has to end the run.

    A build may survive a request to one of its steps.
    """
    if role == "unshare":
        return kills(role, signal_name)
    return role not in {*IN_A_TRIAL, BUILD_STEP}
