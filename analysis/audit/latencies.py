"""
What the printed latencies support: their rounding, their percentiles, their tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, listed, not_made
from analysis.audit.ranges import plain
from analysis.formatting import count

if TYPE_CHECKING:
    from analysis.audit.versions import Version
    from experiments.records.ab.output import AbOutput

TABLE = "Percentage of the requests"

COARSE_BELOW_MS = 20.0
COARSEST_BELOW_MS = 5.0
"""Below this, half a millisecond is more than 10 %."""

BEYOND = 10
"""Requests that must lie beyond a percentile; with fewer, single requests decide it."""


def rounding(output: AbOutput, version: Version) -> Finding:
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
    below, above = version.request
    errors = {
        percent: 100 * above / value.value if value.value else None
        for percent, value in coarse.items()
    }
    sign = "±" if below else "+"
    shown = ", ".join(
        f"{percent} % is {plain(coarse[percent].value)} ms "
        + ("(no significant digit)" if error is None else f"({sign}{error:.0f} %)")
        for percent, error in errors.items()
        if percent in {min(errors), 90, 99}
    )
    text = f"Percentiles are whole milliseconds ({sign}{above:g} ms): {shown}."
    if above < 1:
        text += " The percentile file (-e) has microseconds."
    worst = next(iter(coarse.values())).value
    severity = Severity.WARNING if worst < COARSEST_BELOW_MS else Severity.NOTE
    values = {"error_percent": {str(percent): error for percent, error in errors.items()}}
    return Finding("rounding", severity, text, values)


def percentiles(output: AbOutput, version: Version) -> Finding:
    """
    Which percentiles have enough requests beyond them.

    ab prints the sorted request at ``version.index``. For the percentile file (``-e``) it adds a
    half before rounding down, so that the index may lie beyond the last one.
    """
    requests = output.requests_completed
    printed = [percent for percent in sorted(output.percentiles_ms) if percent < 100]
    if not printed or not requests:
        missing = output.lacking(TABLE, "Complete requests")
        return not_made("percentiles", missing or ["50%"])
    supported = [p for p in printed if requests * (100 - p) >= BEYOND * 100]
    unsupported = [p for p in printed if p not in supported]
    longest = [p for p in printed if version.index(requests, p) >= requests - 1]
    values = {"supported": supported, "unsupported": unsupported, "longest_request": longest}
    if not unsupported:
        text = (
            f"{requests} requests support {_named(supported)} (at least {BEYOND} requests at "
            "or beyond each); 100 % is a single request, the longest."
        )
        return Finding("percentiles", Severity.OK, text, values)
    enough = -(-BEYOND * 100 // (100 - unsupported[-1]))
    supports = (
        f"{_named(supported)}, but not {_named(unsupported)}"
        if supported
        else "none of the percentiles"
    )
    text = (
        f"{count(requests, 'request')} {'supports' if requests == 1 else 'support'} {supports}: "
        f"fewer than {BEYOND} lie beyond. {unsupported[-1]} % needs {enough} requests."
    )
    if longest:
        text += f" By ab's index, the longest request itself is {_named(longest)}."
    if int(0.5 + requests * 0.99) >= requests:
        text += " The percentile file (-e) reads 99 % beyond ab's table: that is no latency."
    return Finding("percentiles", Severity.WARNING, text, values)


def _named(percents: list[int]) -> str:
    return listed([f"{percent} %" for percent in percents])
