"""
What a user sees of a run: what is running, what it measured, and the time left.

On a terminal the last line is rewritten; in a pipe every line stands. Nothing is drawn while a
load is under way, because drawing takes CPU time from the client.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from rich.console import Console

from experiments.records import CLIENT_BOUND, OK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.records import TrialRecord

GUESS_S = 15.0
"""What a trial is taken to last before any has ended."""

ERASE_LINE = "\r\x1b[2K"


class Progress:
    """
    Reports the trials of a run as they go by.

    ``order`` is the plan, block by block; ``deadline`` is when the budget ends, on the monotonic
    clock.
    """

    deadline = float("inf")

    def __init__(self, order: list[list[str]], console: Console | None = None) -> None:
        """
        Nothing is printed before the first call.
        """
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._left = [variant for block in order for variant in block]
        self._total = len(self._left)
        self._width = max((len(variant) for variant in self._left), default=0)
        self._blocks = len(order)
        self._took_s: dict[str, list[float]] = defaultdict(list)
        self._log_us: dict[str, dict[int, float]] = defaultdict(dict)

    def say(self, text: str) -> None:
        """
        Print a line that stays.
        """
        self._erase()
        self._console.print(text, markup=False)

    def phase(self, number: int, block: int, variant: str, phase: str) -> None:
        """
        Show what is being done now; only on a terminal.
        """
        if self._console.is_terminal:
            self._erase()
            left = format_seconds(self.seconds_left())
            where = f"[{number}/{self._total}] block {block}/{self._blocks}" if block else "search"
            text = f"{where}  {variant}: {phase} … about {left} left"
            self._console.file.write(text[: self._console.width - 1])
            self._console.file.flush()

    def finished(self, record: TrialRecord) -> None:
        """
        Print what a trial measured, and how long the rest may take.
        """
        self._left = self._left[1:]
        self._took_s[record.variant].append(sum(record.phases_s.values()))
        if record.status == OK and record.load is not None:
            self._log_us[record.variant][record.block] = -math.log(record.load.requests_per_second)
        where = f"[{record.number}/{self._total}] block {record.block}/{self._blocks}"
        what = result_of(record)
        left = format_seconds(self.seconds_left()) if self._left else "no time"
        self.say(f"{where}  {record.variant:<{self._width}}  {what}   {left} left")

    def interim(self, block: int, comparisons: Sequence[Mapping[str, str]]) -> None:
        """
        Print what the comparisons look like after so many blocks; the report adds the intervals.
        """
        parts = []
        for pair in comparisons:
            before, after = (self._log_us[pair[role]] for role in ("baseline", "treatment"))
            logs = [after[each] - before[each] for each in before.keys() & after.keys()]
            if logs:
                relative = math.expm1(sum(logs) / len(logs)) * 100
                parts.append(f"{pair['name']} {relative:+.1f} %")
        if parts:
            self.say(f"so far, time per request after block {block}: {', '.join(parts)}")

    def searched(self, record: TrialRecord) -> None:
        """
        Print what a trial of the search measured.
        """
        self.say(f"  search {record.number:>3}  {record.variant}  {result_of(record)}")

    def seconds_left(self) -> float:
        """
        An estimate from the trials so far: each variant's own mean, or the mean of all.
        """
        rest = self.deadline - time.monotonic()
        return max(0.0, min(self.expected_s(self._left), rest))

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

    def skip(self, variants: Sequence[str]) -> None:
        """
        These trials, which were next, will not be.
        """
        self._left = self._left[len(variants) :]

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


def format_seconds(seconds: float) -> str:
    """
    A duration for people: ``42 s`` or ``3 min 05 s``.
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
