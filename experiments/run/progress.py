"""
The live progress of a run: the current phase, the results so far, and the remaining time.

On a terminal the last line is rewritten; a pipe gets plain lines. Nothing is drawn during a load,
because drawing takes CPU time from the client.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

from experiments.plan.stopping import MOST_BLOCKS, Estimates
from experiments.records.trials import CLIENT_BOUND, OK, good_answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from experiments.declare.variants import Comparison
    from experiments.plan.stopping import Estimate, Rule
    from experiments.records.trials import TrialRecord

GUESS_S = 6.0
"""The assumed duration of a deployment with its loads, before a block has ended."""

ERASE_LINE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
"""Rich omits this if the output is not a terminal."""


class Progress:
    """
    Prints the progress of a run.

    ``rule`` is the stopping rule. ``deadline`` is the end of the time budget on the monotonic
    clock; ``under_load_s`` is the total duration of all loads that count, in seconds.
    """

    deadline = float("inf")

    def __init__(self, rule: Rule, names: Iterable[str], console: Console | None = None) -> None:
        """
        Nothing is printed before the first call.
        """
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._rule = rule
        self._width = max(map(len, names), default=0)
        self._block = 0
        self._deployments = 0
        self._began = 0.0
        self._took_s = 0.0
        self._ended = 0
        self.under_load_s = 0.0
        self.estimates = Estimates()

    def follow(self, rule: Rule) -> None:
        """
        Take over another stopping rule, because the plan has changed.
        """
        self._rule = rule

    def say(self, text: str) -> None:
        """
        Print a line that stays.
        """
        self._console.control(ERASE_LINE)
        self._console.print(text, markup=False)

    def begin(self, block: int, parts: Sequence[Sequence[str]]) -> None:
        """
        Announce a block with these parts.
        """
        self._block = block
        self._deployments = sum(map(len, parts))
        self._began = time.monotonic()
        blocks = self._blocks_in_time(block - 1, self._deployments)
        of = f" of about {blocks}" if blocks < MOST_BLOCKS else ""
        cut = f" in {len(parts)} parts that fit in memory" if len(parts) > 1 else ""
        left = format_seconds(self.seconds_left())
        self.say(f"block {block}{of}: {self._deployments} deployments{cut}; about {left} left")

    def phase(self, text: str) -> None:
        """
        Show the current phase; only on a terminal.
        """
        if self._console.is_terminal:
            self._console.control(ERASE_LINE)
            where = f"block {self._block}: " if self._block else ""
            left = f" … about {format_seconds(self.seconds_left())} left" if self._block else ""
            self._console.print(
                f"{where}{text}{left}",
                end="",
                markup=False,
                highlight=False,
                no_wrap=True,
                overflow="ellipsis",
                soft_wrap=False,
                width=self._console.width - 1,
            )

    def finished(self, record: TrialRecord) -> None:
        """
        Add a trial and print its result.
        """
        self._add(record)
        self.say(f"  {record.number:>3}  {record.variant:<{self._width}}  {outcome_of(record)}")

    def _add(self, record: TrialRecord) -> None:
        self.estimates.add(record)
        self.under_load_s += sum(
            load.requests_completed * load.us_per_request / 1e6 for load in record.loads
        )

    def recall(self, trials: Iterable[TrialRecord]) -> None:
        """
        Add the trials of earlier sessions without printing them.
        """
        spans: dict[int, list[float]] = defaultdict(list)
        for record in trials:
            self._add(record)
            self._ended += 1
            last = [load.started_at for load in record.loads]
            spans[record.block] += [record.started_at, *last]
        self._took_s += sum(max(span) - min(span) for span in spans.values())

    def ended(self) -> None:
        """
        Note the end of a block.
        """
        self._took_s += time.monotonic() - self._began
        self._ended += self._deployments
        self._deployments = 0

    def interim(self, block: int, comparisons: Sequence[Comparison]) -> None:
        """
        Print the comparisons after a block, and the distance to the target.
        """
        parts = []
        for pair in comparisons:
            estimate = self.estimates.of(pair.baseline, pair.treatment)
            if estimate is not None:
                parts.append(f"{pair.name} {in_percent(estimate)}")
        if parts:
            self.say(f"so far, time per request after block {block}: {', '.join(parts)}")
        standing = self._rule.standing(self.estimates)
        if standing:
            blocks = self._rule.expected_blocks(block, self.estimates)
            left = (
                "enough" if blocks <= block else f"about {blocks} blocks in total, if time permits"
            )
            self.say(standing + (f": {left}" if blocks < MOST_BLOCKS else ""))

    def rehearsed(self, what: str, record: TrialRecord) -> None:
        """
        Print the result of a trial that does not count, such as one of a pilot or a search.
        """
        self.say(f"  {what} {record.number:>3}  {record.variant}  {outcome_of(record)}")

    def fits(self, parts: Sequence[Sequence[str]]) -> bool:
        """
        Whether a block with these parts would end within the time budget.
        """
        return time.monotonic() + self.expected_s(sum(map(len, parts))) <= self.deadline

    def seconds_left(self) -> float:
        """
        The estimated remaining time, at most the rest of the time budget.
        """
        rest = max(0.0, self.deadline - time.monotonic())
        deployments = self._deployments or (self._ended // self._block if self._block else 0)
        own_s = self.expected_s(self._deployments)
        if self._deployments:
            own_s = max(0.0, own_s - (time.monotonic() - self._began))
        blocks = self._rule.expected_blocks(self._block, self.estimates)
        return min(rest, own_s + (blocks - self._block) * self.expected_s(deployments))

    def _blocks_in_time(self, begun: int, deployments: int) -> int:
        """
        The expected number of blocks within the time budget.
        """
        wanted = self._rule.expected_blocks(begun, self.estimates)
        rest = max(0.0, self.deadline - time.monotonic())
        if not deployments or math.isinf(rest) or wanted == MOST_BLOCKS:
            return wanted
        block_s = max(1.0, self.expected_s(deployments))
        return min(wanted, begun + max(1, int(rest / block_s)))

    def expected_s(self, deployments: int) -> float:
        """
        The expected duration of a block, from the blocks that have ended.
        """
        return deployments * (self._took_s / self._ended if self._ended else GUESS_S)


def outcome_of(record: TrialRecord) -> str:
    """
    The result of a trial, or the reason why it has none.
    """
    if record.status != OK or record.load is None:
        return f"ERROR: {record.error}"
    load = record.load
    what = (
        f"{load.requests_per_second:8.2f} requests/s   "
        f"median {load.latency_p50_us / 1e3:7.1f} ms   "
        f"p99 {load.latency_p99_us / 1e3:7.1f} ms"
    )
    bad = load.requests - load.requests_ok
    what += f"   {bad} not OK" if bad else ""
    bound = record.cpu is not None and record.cpu.client_share > CLIENT_BOUND
    what += "   client-bound" if bound else ""
    return what + (f"   {record.error}" if record.error else "")


def in_percent(estimate: Estimate) -> str:
    """
    A relative difference with its confidence interval.
    """
    # As in a report, whose code the lab cannot import.
    if not estimate.comparable:
        return f"not comparable: {good_answers(estimate.good_shares, estimate.requests)}"
    centre = f"{estimate.relative * 100:+.1f} %"
    if estimate.low is None or estimate.high is None:
        return centre
    return f"{centre} [{estimate.low * 100:+.1f}, {estimate.high * 100:+.1f}]"


def format_seconds(seconds: float) -> str:
    """
    A duration in words: ``42 s`` or ``3 min 05 s``.
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
