"""
What a user sees of a run: what is running, what it measured, and the time left.

On a terminal the last line is rewritten; in a pipe every line stands. Nothing is drawn while a
load is under way, because drawing takes CPU time from the client.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from rich.console import Console

from experiments.records import CLIENT_BOUND, OK
from experiments.stopping import MOST_BLOCKS, Widths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.records import TrialRecord
    from experiments.stopping import Rule, Width

GUESS_S = 15.0
"""What a trial is taken to last before any has ended."""

ERASE_LINE = "\r\x1b[2K"


class Progress:
    """
    Reports the trials of a run as they go by.

    ``rule`` says when there are enough blocks, and ``variants_of`` which variants a block has.
    ``deadline`` is when the budget ends, on the monotonic clock.
    """

    deadline = float("inf")

    def __init__(
        self,
        rule: Rule,
        variants_of: Callable[[int], list[str]],
        console: Console | None = None,
    ) -> None:
        """
        Nothing is printed before the first call.
        """
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._rule = rule
        self._variants_of = variants_of
        self._block = 0
        self._left: list[str] = []
        self._width = max(map(len, variants_of(1)), default=0)
        self._took_s: dict[str, list[float]] = defaultdict(list)
        self.widths = Widths()

    def say(self, text: str) -> None:
        """
        Print a line that stays.
        """
        self._erase()
        self._console.print(text, markup=False)

    def begin(self, block: int, variants: Sequence[str]) -> None:
        """
        A block with these variants begins.
        """
        self._block = block
        self._left = list(variants)

    def phase(self, number: int, variant: str, phase: str) -> None:
        """
        Show what is being done now; only on a terminal.
        """
        if self._console.is_terminal:
            self._erase()
            left = format_seconds(self.seconds_left())
            text = f"{self._where(number)}  {variant}: {phase} … about {left} left"
            self._console.file.write(text[: self._console.width - 1])
            self._console.file.flush()

    def finished(self, record: TrialRecord) -> None:
        """
        Print what a trial measured, and how long the rest may take.
        """
        self._left = self._left[1:]
        self._took_s[record.variant].append(sum(record.phases_s.values()))
        self.widths.add(record)
        left = format_seconds(self.seconds_left())
        name = f"{record.variant:<{self._width}}"
        self.say(f"{self._where(record.number)}  {name}  {result_of(record)}   {left} left")

    def interim(self, block: int, comparisons: Sequence[Mapping[str, str]]) -> None:
        """
        Print what the comparisons look like after so many blocks, and how far it is to the target.
        """
        parts = []
        for pair in comparisons:
            width = self.widths.of(pair["baseline"], pair["treatment"])
            if width is not None:
                parts.append(f"{pair['name']} {in_percent(width)}")
        if parts:
            self.say(f"so far, time per request after block {block}: {', '.join(parts)}")
        standing = self._rule.standing(self.widths)
        if standing:
            blocks = self._rule.expected_blocks(block, self.widths)
            left = (
                "enough" if blocks <= block else f"about {blocks} blocks in all, if there is time"
            )
            self.say(standing + (f": {left}" if blocks < MOST_BLOCKS else ""))

    def rehearsed(self, what: str, record: TrialRecord) -> None:
        """
        Print what a trial measured that is no part of the results, of a search or a pilot.
        """
        self.say(f"  {what} {record.number:>3}  {record.variant}  {result_of(record)}")

    def seconds_left(self) -> float:
        """
        An estimate from the trials and intervals so far, within the budget.
        """
        rest = max(0.0, self.deadline - time.monotonic())
        left_s = self.expected_s(self._left)
        for block in range(
            self._block + 1, self._rule.expected_blocks(self._block, self.widths) + 1
        ):
            if left_s >= rest:
                break
            left_s += self.expected_s(self._variants_of(block))
        return min(left_s, rest)

    def expected_s(self, variants: Sequence[str]) -> float:
        """
        How many seconds trials of these variants may take, by those that have ended.
        """
        every = [seconds for took in self._took_s.values() for seconds in took] or [GUESS_S]
        overall = sum(every) / len(every)
        return sum(
            sum(took) / len(took) if (took := self._took_s.get(variant)) else overall
            for variant in variants
        )

    def _where(self, number: int) -> str:
        """
        The trial and the block, and of how many, as far as that can be known.
        """
        if not self._block:
            return "before the first block"
        blocks = self._rule.expected_blocks(self._block, self.widths)
        if self._rule.half_width is None:
            total = sum(len(self._variants_of(block)) for block in range(1, blocks + 1))
            return f"[{number}/{total}] block {self._block}/{blocks}"
        return f"[{number}] block {self._block}" + (f"/~{blocks}" if blocks < MOST_BLOCKS else "")

    def _erase(self) -> None:
        if self._console.is_terminal:
            self._console.file.write(ERASE_LINE)
            self._console.file.flush()


def result_of(record: TrialRecord) -> str:
    """
    What a trial measured, or why it has no result.
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
    bound = record.cpu.get("client_share", 0.0) > CLIENT_BOUND
    return what + ("   client-bound" if bound else "")


def in_percent(width: Width) -> str:
    """
    A relative difference with its limits.
    """
    centre = f"{width.relative * 100:+.1f} %"
    if width.low is None or width.high is None:
        return centre
    return f"{centre} [{width.low * 100:+.1f}, {width.high * 100:+.1f}]"


def format_seconds(seconds: float) -> str:
    """
    A duration for people: ``42 s`` or ``3 min 05 s``.
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
