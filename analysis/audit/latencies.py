"""
What the latencies of one output can support: their rounding, their percentiles, their tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made, share
from analysis.audit.reading import LABELS

if TYPE_CHECKING:
    from analysis.audit.reading import Reading
    from analysis.audit.rounding import Printed

TABLE = "Percentage of the requests"

COARSE_BELOW_MS = 20.0
COARSEST_BELOW_MS = 5.0
"""Below this, half a millisecond is more than ten per cent."""

BEYOND = 10
"""How many requests must lie beyond a percentile for it to be more than a few odd ones."""

SKEWED = 1.2
BIMODAL = 1.5
"""How far a mean may lie above the median before a tail makes much of it."""


def rounding(reading: Reading) -> Finding:
    """
    How much of the printed percentiles is rounding to whole milliseconds.
    """
    lines = reading.percentiles_ms
    coarse = {
        percent: value
        for percent, value in sorted(lines.items())
        if value.value < COARSE_BELOW_MS and value.half_unit >= 0.5
    }
    if not lines:
        return not_made("rounding", {TABLE: lines})
    if not coarse:
        text = f"No printed percentile is below {COARSE_BELOW_MS:g} ms: rounding matters little."
        return Finding("rounding", Severity.OK, text, {"error_percent": {}})
    errors = {
        percent: 100 * value.half_unit / value.value if value.value else None
        for percent, value in coarse.items()
    }
    shown = ", ".join(
        f"{percent} % is {coarse[percent].value:g} ms "
        + ("(no digit)" if error is None else f"(±{error:.0f} %)")
        for percent, error in errors.items()
        if percent in {min(errors), 90, 99}
    )
    text = (
        f"Printed in whole milliseconds, so up to ±0.5 ms off: {shown}. The file that ab writes "
        "with -e has microseconds."
    )
    worst = next(iter(coarse.values())).value
    severity = Severity.WARNING if worst < COARSEST_BELOW_MS else Severity.NOTE
    values = {"error_percent": {str(percent): error for percent, error in errors.items()}}
    return Finding("rounding", severity, text, values)


def percentiles(reading: Reading) -> Finding:
    """
    Which of the table's percentiles have enough requests beyond them.

    ab prints request ``requests * percent / 100`` (rounded down, counted from zero) of the sorted
    ones; for its file of ``-e`` it adds a half before, which may lie beyond the last.
    """
    requests = reading.requests_complete
    printed = [percent for percent in sorted(reading.percentiles_ms) if percent < 100]
    if not printed or not requests:
        needed = {TABLE: printed, LABELS["requests_complete"]: requests}
        return not_made("percentiles", needed)
    supported = [p for p in printed if requests * (100 - p) >= BEYOND * 100]
    unsupported = [p for p in printed if p not in supported]
    longest = [p for p in printed if requests * p // 100 >= requests - 1]
    values = {"supported": supported, "unsupported": unsupported, "longest_request": longest}
    if not unsupported:
        text = (
            f"{requests} requests support {_named(supported)} (at least {BEYOND} beyond each); "
            "100 % is one request, the longest."
        )
        return Finding("percentiles", Severity.OK, text, values)
    enough = -(-BEYOND * 100 // (100 - unsupported[-1]))
    supports = _named(supported) if supported else "no percentile"
    text = (
        f"{requests} requests support {supports}, but not {_named(unsupported)}: fewer than "
        f"{BEYOND} lie beyond. {unsupported[-1]} % needs {enough} requests."
    )
    if longest:
        text += f" As ab looks them up, here the longest request itself is {_named(longest)}."
    if int(0.5 + requests * 0.99) >= requests:
        text += " Its file of -e then takes 99 % from beyond its table: that is no latency."
    return Finding("percentiles", Severity.WARNING, text, values)


def _named(percents: list[int]) -> str:
    return ", ".join(f"{percent} %" for percent in percents)


def _median_ms(reading: Reading) -> Printed | None:
    return reading.percentiles_ms.get(50) or reading.time_ms("total", "median")


def tail(reading: Reading) -> Finding:
    """
    Whether the mean is made by a tail, and how little would make such a tail.
    """
    median, mean = _median_ms(reading), reading.latency_mean_ms
    if mean is None:
        mean = reading.time_ms("total", "mean")
    if median is None or mean is None:
        return not_made("tail", {"50%": median, LABELS["latency_mean_ms"]: mean})
    values = {"median_ms": median.value, "mean_ms": mean.value, "share_in_tail": 0.0}
    if mean.range.low <= SKEWED * median.range.high:
        text = f"Mean ({mean.value:g} ms) and median ({median.value:g} ms) tell the same."
        return Finding("tail", Severity.OK, text, values)
    excess_ms = mean.value - median.value
    values["share_in_tail"] = excess_ms / mean.value
    text = (
        f"The median is {median.value:g} ms, the mean {mean.value:g} ms: "
        f"{share(excess_ms, mean.value)} of the time is what a part of the requests took beyond "
        f"the median.{_stall(reading, excess_ms, values)}"
    )
    severity = Severity.WARNING if mean.value > BIMODAL * median.value else Severity.NOTE
    return Finding("tail", severity, text, values)


def _stall(reading: Reading, excess_ms: float, values: dict[str, float]) -> str:
    requests, concurrency = reading.requests_complete, reading.concurrency
    if not requests or not concurrency:
        return ""
    total_s = excess_ms * requests / 1e3
    stall_s = total_s / concurrency
    values["stall_s"] = stall_s
    text = (
        f" A single stall of some {stall_s:.3g} s, at the start say, of all {concurrency} "
        "connections would be enough to make it, and that is no steady cost per request."
    )
    longest = reading.percentiles_ms.get(100)
    median = _median_ms(reading)
    if longest is None or median is None or longest.value <= median.value:
        return text
    fewest = total_s * 1e3 / (longest.value - median.value)
    values["at_least_slow_requests"] = fewest
    return (
        f"{text} The longest request took {longest.value:g} ms, so at least "
        f"{fewest:.0f} of {requests} were slow."
    )
