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

if TYPE_CHECKING:
    from experiments.records import TrialRecord

ERASE_LINE = "\r\x1b[2K"


class Progress:
    """
    Reports the trials of a run as they go by.

    ``order`` is the plan, block by block; ``minutes`` the budget.
    """

    def __init__(
        self, order: list[list[str]], minutes: float, console: Console | None = None
    ) -> None:
        """
        Nothing is printed before the first call.
        """
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._left = [variant for block in order for variant in block]
        self._total = len(self._left)
        self._width = max((len(variant) for variant in self._left), default=0)
        self._blocks = len(order)
        self._deadline = time.monotonic() + minutes * 60
        self._took_s: dict[str, list[float]] = defaultdict(list)

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
        where = f"[{record.number}/{self._total}] block {record.block}/{self._blocks}"
        what = result_of(record)
        left = format_seconds(self.seconds_left()) if self._left else "no time"
        self.say(f"{where}  {record.variant:<{self._width}}  {what}   {left} left")

    def searched(self, record: TrialRecord) -> None:
        """
        Print what a trial of the search measured.
        """
        self.say(f"  search {record.number:>3}  {record.variant}  {result_of(record)}")

    def seconds_left(self) -> float:
        """
        An estimate from the trials so far: each variant's own mean, or the mean of all.
        """
        every = [seconds for took in self._took_s.values() for seconds in took] or [15.0]
        overall = sum(every) / len(every)
        estimate = sum(
            sum(took) / len(took) if (took := self._took_s.get(variant)) else overall
            for variant in self._left
        )
        return max(0.0, min(estimate, self._deadline + overall - time.monotonic()))

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
