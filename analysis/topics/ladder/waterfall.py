"""
The bars of the ladder's figure: their order, starting points and labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from analysis.formatting import plus_minus, short_verdict
from analysis.statistics.verdicts import Kind

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.statistics.intervals import Interval
    from analysis.topics.ladder.findings import Climb, Step


class Told(Enum):
    """
    Whether a cost differs from zero; the value is the bar's label.
    """

    APART = "differs from zero"
    UNCORRECTED = "not clear after Holm"
    HOLDS_ZERO = "interval includes zero"
    ONE_BLOCK = "one block is no result"
    MISSING = "no block has both"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Bar:
    """
    One step, or one part of a whole, in microseconds per request.

    ``start_us`` is the bar's start above the foot; ``cost_us`` is its length, None if unknown.
    ``verdict`` is the verdict on the step, empty for a part of a whole.
    """

    name: str
    about: str
    start_us: float
    cost_us: Interval | None
    told: Told
    blocks: int
    verdict: str = ""

    @property
    def end_us(self) -> float:
        """
        The bar's end above the foot.
        """
        return self.start_us + (self.cost_us.estimate if self.cost_us else 0.0)


@dataclass(frozen=True)
class Flight:
    """
    The bars of one ladder or whole; ``level`` is the time per request at its foot.
    """

    name: str
    foot: str
    level: str
    bars: list[Bar]


def flights(findings: Findings) -> list[Flight]:
    """
    The ladders of each whole, then the whole if measured; the other ladders come last.
    """
    ladders = {each.ladder.name: _of_steps(each, findings) for each in findings.ladders}
    remainders = {rest.declared.name: rest for rest in findings.remainders}
    in_order: list[Flight] = []
    for whole in findings.manifest.wholes:
        in_order += [ladders.pop(name) for name in whole.ladders if name in ladders]
        rest = remainders.get(whole.name)
        if rest is not None:
            names = " + ".join(whole.ladders)
            bars = [
                _part("the whole, as measured", whole.treatment, 0.0, rest.whole, rest.blocks),
                _part("the sum of the steps", names, 0.0, rest.steps, rest.blocks),
                _part(
                    "what they leave unexplained",
                    "the whole less that sum",
                    rest.steps.estimate,
                    rest.unexplained,
                    rest.blocks,
                ),
            ]
            foot = whole.baseline
            in_order.append(Flight(whole.name, foot, _level(foot, findings), bars))
    return [*in_order, *ladders.values()]


def _of_steps(climbed: Climb, findings: Findings) -> Flight:
    bars: list[Bar] = []
    for step in climbed.steps:
        difference = step.difference
        cost_us = difference.us_per_request if difference and difference.comparable else None
        bars.append(
            Bar(
                name=step.upper,
                about=f"{step.factor}: {step.change}",
                start_us=bars[-1].end_us if bars else 0.0,
                cost_us=cost_us,
                told=told(cost_us, step),
                blocks=difference.blocks if difference else 0,
                verdict=short_verdict(step.verdict),
            )
        )
    ladder = climbed.ladder
    foot = ladder.steps[0]
    return Flight(ladder.name, foot, _level(foot, findings), bars)


def _part(name: str, about: str, start_us: float, cost_us: Interval, blocks: int) -> Bar:
    return Bar(name, about, start_us, cost_us, told(cost_us), blocks)


def told(cost_us: Interval | None, step: Step | None = None) -> Told:
    """
    Whether a cost differs from zero; the cost of a step also needs Holm's correction.
    """
    if step is not None and step.verdict.kind is Kind.NOT_COMPARABLE:
        return Told.NOT_COMPARABLE
    if cost_us is None:
        return Told.MISSING
    if cost_us.half_width is None:
        return Told.ONE_BLOCK
    if not cost_us.excludes_zero:
        return Told.HOLDS_ZERO
    if step is not None and step.verdict.kind is Kind.CANNOT_TELL:
        return Told.UNCORRECTED
    return Told.APART


def _level(foot: str, findings: Findings) -> str:
    cost = findings.costs.get(foot)
    return f"{plus_minus(cost[0])} µs" if cost else "not measured"
