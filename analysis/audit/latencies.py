"""
What the printed latencies support: their rounding, their percentiles, their tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made, share
from analysis.audit.ranges import Range

if TYPE_CHECKING:
    from experiments.records.ab.numbers import Printed
    from experiments.records.ab.output import AbOutput

TABLE = "Percentage of the requests"

COARSE_BELOW_MS = 20.0
COARSEST_BELOW_MS = 5.0
"""Below this, half a millisecond is more than 10 %."""

BEYOND = 10
"""Requests that must lie beyond a percentile; with fewer, single requests decide it."""

SKEWED = 1.2
BIMODAL = 1.5
"""Ratio of mean to median above which a tail is a note, and a warning."""


def rounding(output: AbOutput) -> Finding:
    """
    How large the rounding to whole milliseconds is against the percentiles.
    """
    lines = output.percentiles_ms
    coarse = {
        percent: value
        for percent, value in sorted(lines.items())
        if value.value < COARSE_BELOW_MS and value.half_unit >= 0.5
    }
    if not lines:
        return not_made("rounding", [TABLE])
    if not coarse:
        text = f"No percentile is below {COARSE_BELOW_MS:g} ms, so rounding is negligible."
        return Finding("rounding", Severity.OK, text, {"error_percent": {}})
    errors = {
        percent: 100 * value.half_unit / value.value if value.value else None
        for percent, value in coarse.items()
    }
    shown = ", ".join(
        f"{percent} % is {coarse[percent].value:g} ms "
        + ("(no significant digit)" if error is None else f"(±{error:.0f} %)")
        for percent, error in errors.items()
        if percent in {min(errors), 90, 99}
    )
    text = (
        f"Percentiles are rounded to whole milliseconds (±0.5 ms): {shown}. The percentile file "
        "(-e) has microseconds."
    )
    worst = next(iter(coarse.values())).value
    severity = Severity.WARNING if worst < COARSEST_BELOW_MS else Severity.NOTE
    values = {"error_percent": {str(percent): error for percent, error in errors.items()}}
    return Finding("rounding", severity, text, values)


def percentiles(output: AbOutput) -> Finding:
    """
    Which percentiles have enough requests beyond them.

    ab prints the sorted request of index ``requests * percent / 100``, rounded down. For the
    percentile file (``-e``) it adds a half first, so that the index may lie beyond the last one.
    """
    requests = output.requests_completed
    printed = [percent for percent in sorted(output.percentiles_ms) if percent < 100]
    if not printed or not requests:
        return not_made("percentiles", output.lacking(TABLE, "Complete requests"))
    supported = [p for p in printed if requests * (100 - p) >= BEYOND * 100]
    unsupported = [p for p in printed if p not in supported]
    longest = [p for p in printed if requests * p // 100 >= requests - 1]
    values = {"supported": supported, "unsupported": unsupported, "longest_request": longest}
    if not unsupported:
        text = (
            f"{requests} requests support {_named(supported)} (at least {BEYOND} requests beyond "
            "each); 100 % is a single request, the longest."
        )
        return Finding("percentiles", Severity.OK, text, values)
    enough = -(-BEYOND * 100 // (100 - unsupported[-1]))
    supports = _named(supported) if supported else "no percentile"
    text = (
        f"{requests} requests support {supports}, but not {_named(unsupported)}: fewer than "
        f"{BEYOND} lie beyond. {unsupported[-1]} % needs {enough} requests."
    )
    if longest:
        text += f" By ab's index, the longest request itself is {_named(longest)}."
    if int(0.5 + requests * 0.99) >= requests:
        text += " The percentile file (-e) reads 99 % beyond ab's table: that is no latency."
    return Finding("percentiles", Severity.WARNING, text, values)


def _named(percents: list[int]) -> str:
    return ", ".join(f"{percent} %" for percent in percents)


def _median_ms(output: AbOutput) -> Printed | None:
    return output.percentiles_ms.get(50) or output.time_ms("total", "median")


def tail(output: AbOutput) -> Finding:
    """
    How much of the mean is a tail, and the single stall that would explain it.
    """
    median, mean = _median_ms(output), output.latency_mean_ms
    if mean is None:
        mean = output.time_ms("total", "mean")
    if median is None or mean is None:
        needed = {"50%": median, "Time per request": mean}
        return not_made("tail", [label for label, number in needed.items() if number is None])
    values = {"median_ms": median.value, "mean_ms": mean.value, "share_in_tail": 0.0}
    if Range.of(mean).low <= SKEWED * Range.of(median).high:
        text = f"Mean ({mean.value:g} ms) and median ({median.value:g} ms) agree."
        return Finding("tail", Severity.OK, text, values)
    excess_ms = mean.value - median.value
    values["share_in_tail"] = excess_ms / mean.value
    text = (
        f"The median is {median.value:g} ms, the mean {mean.value:g} ms: "
        f"{share(excess_ms, mean.value)} of the mean is a tail above the median."
        f"{_stall(output, excess_ms, values)}"
    )
    severity = Severity.WARNING if mean.value > BIMODAL * median.value else Severity.NOTE
    return Finding("tail", severity, text, values)


def _stall(output: AbOutput, excess_ms: float, values: dict[str, float]) -> str:
    requests, concurrency = output.requests_completed, output.concurrency
    if not requests or not concurrency:
        return ""
    total_s = excess_ms * requests / 1e3
    stall_s = total_s / concurrency
    values["stall_s"] = stall_s
    text = (
        f" A single stall of {stall_s:.3g} s of all {concurrency} connections, at the start for "
        "example, would explain the tail; a stall is no steady cost per request."
    )
    longest = output.percentiles_ms.get(100)
    median = _median_ms(output)
    if longest is None or median is None or longest.value <= median.value:
        return text
    fewest = total_s * 1e3 / (longest.value - median.value)
    values["at_least_slow_requests"] = fewest
    return (
        f"{text} The longest request took {longest.value:g} ms, so at least "
        f"{fewest:.0f} of {requests} requests were slow."
    )
