"""
What each version of ab computes and prints: one table, with the source of every rule.

The sources are ``support/ab.c`` of the tags of Apache HTTP Server (``src/support/ab.c`` for 1.3).
The rules are those of ``output_results`` where nothing else is named. ``as_measured`` reads numbers
that a version prints in another form; all other rules are fields of ``Version``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from analysis.audit.ranges import Range
from experiments.records.ab.numbers import Printed

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.records.ab.output import AbOutput


class Cut(NamedTuple):
    """
    How far a time may lie below and above the whole milliseconds that are printed of it.
    """

    below: float
    above: float

    def range(self, printed: Printed) -> Range:
        """
        The times that are printed so; a number with decimals was not printed by ab, but rounded.
        """
        if printed.half_unit < 0.5:
            return Range.of(printed)
        return Range(max(0.0, printed.value - self.below), printed.value + self.above)


@dataclass(frozen=True)
class Version:
    """
    The rules of one version, or of several that print alike.

    ``headlines`` fits what follows "This is ApacheBench, Version". ``seconds`` reads the printed
    duration; the printed time per request, times ``mean_factor``, is in milliseconds.
    ``transfer_rate`` computes the printed number from bytes and seconds. Rates are computed with
    ``relative_error``. ``request`` and ``mean`` say which times are printed as whole milliseconds,
    ``prints_latency`` whether there is a line "Time per request". ``averages`` is whether the table
    without deviations (-S) has the mean in its middle, ``processing_in_order`` whether the smallest
    value of the row "Processing" is one. One request may be counted under ``kinds_per_failure``
    kinds of failures, or under none. If ``lengths_fail``, every answer of another length is a
    failure. ``wraps`` is whether sums of bytes may have begun again at zero after 32 bits.
    ``adds_up`` is whether a request's time may count from the beginning of its kept connection.
    ``index`` is the place of a percentile among the sorted requests.
    """

    name: str
    headlines: str
    source: str
    transfer_rate: Callable[[int, Range], Range]
    request: Cut
    mean: Cut
    relative_error: float = 0.0
    seconds: Callable[[Printed], Printed] = lambda printed: printed
    mean_factor: int = 1
    averages: bool = True
    prints_latency: bool = True
    processing_in_order: bool = True
    kinds_per_failure: int = 2
    lengths_fail: bool = True
    wraps: bool = True
    adds_up: bool = False
    index: Callable[[int, int], int] = lambda requests, percent: requests * percent // 100

    def measured(self, output: AbOutput) -> AbOutput:
        """
        The output with its duration in seconds and its mean latency in milliseconds.
        """
        seconds, mean = output.duration_s, output.latency_mean_ms
        across, factor = output.latency_mean_across_ms, self.mean_factor
        return dataclasses.replace(
            output,
            duration_s=seconds and self.seconds(seconds),
            latency_mean_ms=mean and Printed(*(factor * part for part in mean)),
            latency_mean_across_ms=across and Printed(*(factor * part for part in across)),
        )


SINGLE_PRECISION = 4e-7
"""Relative error of a rate that is computed by some operations on C's float."""

ADDED_UP = (
    "before 2.0.51, ab counts times on a kept connection (-k) from the connection's beginning"
)

ROUNDED = Cut(0.5, 0.5)


def _fraction(printed: Printed) -> tuple[int, int]:
    """
    The whole part of a number, and the digits after its point as a number of their own.
    """
    digits = round(-math.log10(2 * printed.half_unit))
    whole = math.floor(printed.value)
    return whole, round((printed.value - whole) * 10**digits)


def _microseconds(printed: Printed) -> Printed:
    """
    Seconds and microseconds, each as a number of its own (``%ld.%03ld``): 17.28184 is 17.028184 s.
    """
    whole, microseconds = _fraction(printed)
    return Printed(whole + microseconds / 1e6, 0.5e-6) if microseconds < 10**6 else printed


def _thousands_of_seconds(printed: Printed) -> Printed:
    """
    Milliseconds, divided by the microseconds of a second (``%qd.%03qd``): 0.17028 is 17.028 s.
    """
    whole, milliseconds = _fraction(printed)
    return Printed(whole * 1e3 + milliseconds / 1e3, 0.5e-3)


def _kilobytes(transferred: int, seconds: Range) -> Range:
    return Range.of(transferred) / 1000 / seconds


def _whole_kibibytes(transferred: int, seconds: Range) -> Range:
    return Range.of(transferred // 1024) / seconds


def _kibibytes(transferred: int, seconds: Range) -> Range:
    return Range.of(transferred) / 1024 / seconds


V2_3 = Version(
    name="2.2.9 to 2.4",
    headlines=r"2\.3",
    source="2.2.9 (r655654) to 2.4.62 (r1913912); ap_round_ms, close_connection, read_connection",
    transfer_rate=_kibibytes,
    request=ROUNDED,
    mean=ROUNDED,
    # A reset is counted as Receive, by its length, and as an exception (read_connection,
    # close_connection, test).
    kinds_per_failure=3,
    wraps=False,
)
TRUNK = dataclasses.replace(
    V2_3,
    name="trunk",
    source="trunk (2.5); finalize_connection, consolidate_metrics",
    # A failed request is counted once, and a complete one is none, whatever its length.
    kinds_per_failure=1,
    lengths_fail=False,
)
V2_0 = Version(
    name="2.0.37 to 2.2.8",
    headlines=r"2\.0\.(?:37|40|41)-dev",
    source="2.0.37 (1.105) to 2.0.65 (1.121.2.12), 2.1.1 to 2.2.8 (1.146); close_connection",
    # totalread / 1024 of whole numbers, and float everywhere.
    transfer_rate=_whole_kibibytes,
    request=Cut(0, 1),
    mean=Cut(0, 2),
    relative_error=SINGLE_PRECISION,
    seconds=_microseconds,
    # 2.0.30 to 2.0.50 divide the middle column of -S by the requests twice.
    averages=False,
    # Up to 2.0.50 a kept connection's "start = connect" is of its opening (read_connection).
    adds_up=True,
)
V2_0_17 = dataclasses.replace(
    V2_0,
    name="2.0.17 to 2.0.36",
    headlines=r"1\.3e|2\.0\.(?:2[4-9]|3[0-6])",
    source="2.0.17 (1.70) to 2.0.36 (1.97)",
    # Up to 2.0.29 the mean is rounded; seconds per request are labelled [ms].
    mean=Cut(0.5, 2),
    mean_factor=1000,
)
V1_3D = Version(
    name="1.3.20 to 1.3.42",
    headlines=r"1\.3d",
    source="1.3.20 to 1.3.42 (1.73); timedif, _rnd, ap_min",
    transfer_rate=_kilobytes,
    request=Cut(1, 1),
    mean=Cut(1.5, 1.5),
    relative_error=SINGLE_PRECISION,
    # ap_min takes the least total or the last time of processing.
    processing_in_order=False,
    index=lambda requests, percent: int(requests * (percent / 100)),
)
V2_0_16 = dataclasses.replace(
    V1_3D,
    name="2.0.16",
    headlines=r"1\.3e",
    source="2.0.16 (1.69)",
    seconds=_thousands_of_seconds,
    averages=False,
    adds_up=True,
    index=V2_0.index,
)
V1_3 = dataclasses.replace(
    V1_3D,
    name="1.3 to 1.3.19 and 2.0.1 to 2.0.15",
    headlines=r"1\.3[a-c]?",
    source="1.3.9, 2.0.1 (1.6) to 2.0.15 (1.57); timedif",
    mean=Cut(1, 2),
    prints_latency=False,
    processing_in_order=True,
)
VERSIONS = (V2_3, V2_0, V2_0_17, V1_3, V1_3D, V2_0_16)
"""Every version that prints no "Number of workers", the most frequent first."""


def by_headline(output: AbOutput) -> tuple[Version, ...]:
    """
    The versions that print such a headline; none if it is missing or unknown.
    """
    if output.workers is not None:
        return (TRUNK,)
    headline = output.version or ""
    return tuple(version for version in VERSIONS if re.fullmatch(version.headlines, headline))


def candidates(output: AbOutput) -> tuple[Version, ...]:
    """
    The versions that may have printed the output: those of its headline, else all.
    """
    return by_headline(output) or VERSIONS


def adds_up(output: AbOutput, version: Version) -> bool:
    """
    Whether the times may be sums over a kept connection; the headline 2.0.41-dev is of 2.0.51 on.
    """
    return version.adds_up and bool(output.keep_alive_requests) and output.version != "2.0.41-dev"


def as_measured(output: AbOutput) -> AbOutput:
    """
    The output with its duration in seconds and its mean latency in milliseconds, as they were.

    What the headline leaves open is decided by the other numbers: requests = rate × time, and mean
    = concurrency × time / requests. Reading an output twice changes nothing.
    """
    versions = candidates(output)
    readings = [version.measured(output) for version in versions]
    # Microseconds are certain by the headline alone, but for a text that was corrected.
    readings.insert(1 if versions == (V2_0,) else 0, output)
    return next(filter(fits, readings), readings[0])


def fits(output: AbOutput) -> bool:
    """
    Whether rate and mean latency, as far as they are there, agree with the duration.

    Without either of them, a duration agrees that shows milliseconds or microseconds in full.
    """
    if output.duration_s is None or not output.requests_completed:
        return True
    seconds, requests = Range.of(output.duration_s), output.requests_completed
    checks = []
    if output.requests_per_second is not None:
        rate = (Range.of(requests) / seconds).widened(SINGLE_PRECISION)
        checks.append(rate.overlaps(Range.of(output.requests_per_second)))
    if output.latency_mean_ms is not None and output.concurrency:
        mean = (seconds * (1e3 * output.concurrency / requests)).widened(SINGLE_PRECISION)
        checks.append(mean.overlaps(Range.of(output.latency_mean_ms)))
    decimals = round(-math.log10(2 * output.duration_s.half_unit))
    return all(checks) if checks else decimals not in {4, 5}
