"""
The audit of tails: which explanations fit, and that none contradicts the true times.
"""

from __future__ import annotations

import dataclasses
import heapq
import re
import statistics
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.audit.findings import Severity
from analysis.audit.identities import explained
from analysis.audit.order_statistics import Levels
from analysis.audit.ranges import Range
from analysis.audit.tail import tail as finding_on_tail
from experiments.records.ab.numbers import Printed
from experiments.records.ab.output import AbOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.audit.findings import Finding

PERCENTS = (50, 66, 75, 80, 90, 95, 98, 99)


def printed(value: float, decimals: int = 0) -> Printed:
    """
    A number as ab prints it.
    """
    return Printed(round(value, decimals), 0.5 * 10.0**-decimals)


def output(
    times_ms: Sequence[float], concurrency: int, run_ms: float, *, cut: bool = False
) -> AbOutput:
    """
    What ab prints of such times: rounded to milliseconds, or cut as in 2.0.4x.
    """
    ordered = sorted(float(int(time)) if cut else time for time in times_ms)
    requests = len(ordered)
    mean = statistics.fmean(ordered)

    def whole(time: float) -> Printed:
        return Printed(float(int(time)), 0.5) if cut else printed(time)

    odd = requests % 2
    return AbOutput(
        version="2.0.41-dev" if cut else "2.3",
        concurrency=concurrency,
        requests_completed=requests,
        requests_failed=0,
        duration_s=printed(run_ms / 1e3, 6 if cut else 3),
        requests_per_second=printed(requests / run_ms * 1e3, 2),
        latency_mean_ms=printed(concurrency * run_ms / requests, 3),
        connection_times_ms={
            "total": {
                "min": whole(ordered[0]),
                "mean": whole(mean),
                "sd": printed(statistics.stdev(ordered), 1),
                "median": whole(statistics.fmean(ordered[requests // 2 :][: 1 + odd])),
                "max": whole(ordered[-1]),
            }
        },
        percentiles_ms={
            **{percent: whole(ordered[requests * percent // 100]) for percent in PERCENTS},
            100: whole(ordered[-1]),
        },
    )


def tail(of: AbOutput) -> Finding:
    """
    The finding on the tail.
    """
    return finding_on_tail(of, explained(of).version)


def test_one_stall_of_all_connections_is_told_by_its_length() -> None:
    """
    Fifty requests that each last longer than half of the run were all under way at its middle.
    """
    finding = tail(output([800.0] * 950 + [18000.0] * 50, 50, 34_000))
    assert finding.values["reading"] == "stall"
    assert finding.text.startswith(
        "One stall of at most 18000 ms fits the tail: 50 of 1000 requests took 17999 ms or more, "
        "longer than half of the run, so that all of them were under way at one moment. If each "
        "was slow by itself, all of them began in the first 16.1 s."
    )
    short = tail(output([1.0] * 190 + [43.0] * 10, 10, 71)).text
    assert "all of them began in the first 29 ms." in short


def test_how_many_a_stall_delayed_is_a_range_where_the_numbers_leave_it_open() -> None:
    """
    Of 150 requests, the 90 % line proves 15, and the mean has room for more; there were 20.
    """
    finding = tail(output([1.0] * 100 + [3.0] * 30 + [306.0] * 20, 20, 313))
    assert "15 to 20 of 150 requests took 305 ms or more, longer than half" in finding.text


def test_slow_requests_are_found_below_a_median_of_nothing() -> None:
    """
    The rest may have a little tail of its own, where 25 of 500 requests carry nearly all of it.
    """
    rest = [0.1] * 300 + [1.5] * 100 + [4.0] * 75
    finding = tail(output([*rest, *[803.0] * 25], 5, 4160))
    assert finding.text.startswith("The tail is not one stall, which delays at most 5 requests: 25")
    rest = [0.4] * 2000 + [2.0] * 700 + [4.0] * 240 + [14.0] * 50
    stalled = tail(output([*rest, *[700.0] * 10], 10, 1160))
    assert stalled.values["reading"] == "open"


def test_a_printed_lower_limit_holds_for_no_other_request() -> None:
    """
    A request of 51.2 ms, printed as 51, is none of those above the 95 % line of 51 ms.
    """
    rest = [12.0] * 120 + [20.0] * 15 + [30.0] * 7
    finding = tail(output([*rest, *[51.2] * 4, 99.0, 99.0, 120.0, 165.0], 10, 297))
    assert "3 to 7 of 150 requests took 52 ms or more" in finding.text


def test_more_slow_requests_than_connections_are_no_single_stall() -> None:
    """
    Whether they were slow one by one, in pauses or in a phase is not known.
    """
    finding = tail(output([1.0] * 9000 + [2001.0] * 1000, 100, 20_200))
    assert finding.values["reading"] == "several"
    assert finding.text.startswith(
        "The tail is not one stall, which delays at most 100 requests: 1000 to 1004 of 10000 were "
        "slow (2000 ms or more), about one in 10. Either single ones were slow all over the run, "
        "or there were 10 or more stalls, or a slow phase. The start times in a gnuplot file (-g), "
        "in whole seconds, can tell."
    )


def test_few_slow_requests_may_be_either() -> None:
    """
    Two hundred may be one stall of 300 connections, or one request in 50 all the time.
    """
    finding = tail(output([100.0] * 9800 + [8000.0] * 200, 300, 20_000))
    assert finding.values["reading"] == "both"
    assert finding.text.startswith(
        "One stall of at most 8000 ms that delayed at most 300 requests fits, and so do slow "
        "requests now and then (about one in 50), several stalls or a slow phase. 200 of 10000 "
        "requests took 7999 ms or more. The "
        "start times in a gnuplot file (-g), in whole seconds, can tell."
    )
    together = tail(output([100.0] * 90 + [8000.0] * 10, 100, 17_000))
    assert "All requests began together" in together.text
    short = tail(output([10.0] * 990 + [800.0] * 10, 10, 1800))
    assert "only a longer run has enough of them" in short.text


def test_what_lies_beyond_the_last_percentile_is_left_open() -> None:
    """
    Fifty of 10000 slow requests, and a distribution with a long tail, may look alike.
    """
    finding = tail(output([100.0] * 9950 + [8000.0] * 50, 100, 17_000))
    assert finding.values["reading"] == "open"
    assert finding.text.startswith("One stall of at most 8000 ms that delayed")
    assert "a broad distribution fits, too" in finding.text
    long_tailed = [20.0] * 4950 + [50.0 + 40 * place for place in range(50)]
    finding = tail(output(long_tailed, 10, 40_000))
    assert finding.values["reading"] == "open"
    assert "fit; one stall does not, because it delays at most 10" in finding.text


def test_one_slow_request_is_a_single_event() -> None:
    """
    The deviation leaves no room for a second one, whatever the mean is rounded to.
    """
    finding = tail(output([1.4] * 50_000 + [31829.0], 1, 102_000))
    assert finding.values["reading"] == "single"
    assert finding.values["slow_at_most"] == 1
    assert "One request alone (31828 ms or more)" in finding.text


def test_a_broad_distribution_is_neither() -> None:
    """
    Times that rise by and by have no class of slow requests.
    """
    finding = tail(output([10 * 1.004**place for place in range(1000)], 10, 14_000))
    assert finding.values["reading"] == "broad"
    slow_and_skewed = [10 * 1.004**place for place in range(990)] + [9000.0] * 10
    assert tail(output(slow_and_skewed, 10, 23_000)).values["reading"] == "broad"


def test_equal_mean_and_median_are_no_tail() -> None:
    """
    A longest request that carries nothing of the mean is none either.
    """
    finding = tail(output([100.0] * 10_000 + [400.0], 10, 100_100))
    assert finding.text == (
        "Mean and median agree: median 100 ms, mean 100 ms; 99 % 100 ms and the longest 400 ms."
    )


@pytest.mark.parametrize(
    ("fast", "severity", "at_least"),
    [([10.0] * 500, Severity.WARNING, 385), ([70.0] * 450, Severity.OK, None)],
)
def test_a_mean_far_below_the_median_is_no_agreement(
    fast: list[float], severity: Severity, at_least: int | None
) -> None:
    """
    The half that is faster may be much faster.
    """
    finding = tail(output(fast + [100.0] * (1000 - len(fast)), 10, 1000 * 10))
    assert finding.severity is severity
    assert finding.values.get("faster_than_half_at_least") == at_least
    assert finding.text.startswith("The mean is far below the median") is (at_least is not None)


@pytest.mark.parametrize(
    ("slow", "severity"), [([210.0] * 19, Severity.NOTE), ([420.0] * 11, Severity.WARNING)]
)
def test_a_mean_near_the_median_hides_slow_requests(slow: list[float], severity: Severity) -> None:
    """
    One or two in a hundred, ten times as long, hardly move the mean.
    """
    finding = tail(output([20.0] * (1000 - len(slow)) + slow, 10, 2400))
    assert finding.severity is severity
    assert finding.text.startswith("Mean and median hide slow requests. ")
    assert "agree" not in finding.text


def test_what_milliseconds_hide_is_not_called_equal() -> None:
    """
    A median of 1 ms may be a half of the mean.
    """
    assert tail(output([1.4] * 1000, 10, 140)).text.startswith("As far as the printed numbers tell")


def connected(connect_ms: int, processing_ms: int, *, deviation: bool = True) -> AbOutput:
    """
    Twenty of 1000 requests took a second or more, as such rows.
    """
    whole = output([10.0] * 980 + [1011.0] * 20, 100, 1060)
    sd = {"sd": printed(1, 1)} if deviation else {}
    rows = {"connect": connect_ms, "processing": processing_ms}
    more = {row: {"max": printed(most), **sd} for row, most in rows.items()}
    times = whole.connection_times_ms | more
    return dataclasses.replace(whole, connection_times_ms=times)


def test_a_tail_of_connecting_is_no_stall_of_the_service() -> None:
    """
    Where processing is short, the rest of each slow request was connecting.
    """
    finding = tail(connected(1001, 15))
    assert finding.values["reading"] == "connecting"
    assert finding.text.startswith(
        "The slow time is in connecting: 20 of 1000 requests took 1010 ms or more, and processing "
        "at most 15 ms of it. The longest time to connect, 1001 ms, fits a SYN"
    )
    assert "SYN" not in tail(connected(1300, 15)).text
    secured = dataclasses.replace(connected(1001, 15), tls_protocol="TLSv1.3")
    assert "connecting or the TLS handshake:" in tail(secured).text


@pytest.mark.parametrize("of", [connected(1001, 900), connected(1001, 15, deviation=False)])
def test_what_the_rows_do_not_tell_is_not_said(of: AbOutput) -> None:
    """
    Processing may be slow, too; and without deviations the row of it may be another one.
    """
    assert tail(of).values["reading"] == "stall"
    assert "in connecting" not in tail(of).text
    assert "At least one of the slow took 1001 ms to connect." in tail(of).text


def test_times_of_what_is_no_good_answer_are_named() -> None:
    """
    Error pages are often faster than good answers, or slower.
    """
    slow = output([10.0] * 980 + [1011.0] * 20, 100, 1060)
    errors = dataclasses.replace(slow, responses_non_2xx=20)
    assert tail(errors).text.endswith("Times of error answers are among them.")
    both = dataclasses.replace(errors, failed_receive=1)
    assert tail(both).text.endswith("Times of failed requests and error answers are among them.")
    assert "among them" not in tail(slow).text


def test_the_mean_is_that_of_the_line_total() -> None:
    """
    Concurrency × time / requests has the time of requests that were never complete, too.
    """
    finding = tail(output([100.0] * 100, 50, 30_000))
    assert finding.values["mean_ms"] == 100
    assert finding.values["reading"] is None


def test_without_the_line_total_the_mean_is_a_limit() -> None:
    """
    Then nothing is said of a tail that only the limit would show.
    """
    whole = output([100.0] * 90 + [120.0] * 10, 50, 30_000)
    excerpt = dataclasses.replace(whole, connection_times_ms={})
    finding = tail(excerpt)
    assert "cannot be told without the line “Total”" in finding.text
    assert "mean at most 15000 ms" in finding.text


def test_without_any_mean_nothing_is_checked() -> None:
    """
    Percentiles alone have no tail that could be compared with them.
    """
    whole = output([100.0] * 90 + [9000.0] * 10, 50, 30_000)
    excerpt = dataclasses.replace(
        whole, connection_times_ms={}, duration_s=None, latency_mean_ms=None
    )
    assert tail(excerpt).values == {"missing": ["Time taken for tests", "Total, mean"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"requests_completed": 1}, "only 1 request was complete"),
        ({"bytes_transferred": 0}, "no answer was received"),
        ({"workers": 1, "requests_asked": 10}, "means of several requests"),
    ],
)
def test_where_times_are_no_distribution_nothing_is_said(
    changes: dict[str, Any], words: str
) -> None:
    """
    One request, no answers, and means of several requests have no tail.
    """
    whole = output([100.0] * 95 + [9000.0] * 5, 10, 10_000)
    finding = tail(dataclasses.replace(whole, **changes))
    assert finding.text.startswith("Nothing can be said of a tail: ")
    assert words in finding.text


def run(
    requests: int,
    concurrency: int,
    extra_ms: Callable[[int, float, float], float],
    base_ms: Sequence[float],
) -> tuple[list[float], float]:
    """
    A closed loop: the times of all requests, and how long it took.

    ``extra_ms`` adds to the time of a request by its number, its start and its end without it.
    """
    free = [0.0] * concurrency
    times = []
    for number in range(requests):
        start = heapq.heappop(free)
        base = base_ms[number % len(base_ms)]
        time = base + extra_ms(number, start, start + base)
        heapq.heappush(free, start + time)
        times.append(time)
    return times, max(free)


COUNTED = re.compile(
    r"([0-9]+)(?: to ([0-9]+))? of [0-9]+ (?:requests took|were slow \()\s?([0-9.]+) ms or more"
)
BASES = st.lists(st.floats(0.2, 50), min_size=1, max_size=20)


def holds(finding: Finding, times: Sequence[float], concurrency: int, run_ms: float) -> None:
    """
    Nothing that the finding says contradicts the true times.
    """
    said = finding.values
    mean, median = statistics.fmean(times), sorted(times)[len(times) // 2]
    if finding.text.startswith("Mean and median agree"):
        assert max(mean, median) <= 1.25 * min(mean, median) + 1
    faster = sum(time < median / 2 for time in times)
    assert said.get("faster_than_half_at_least", 0) <= faster
    for least, most, from_ms in COUNTED.findall(finding.text):
        slow = sum(time >= float(from_ms) for time in times)
        assert int(least) <= slow <= int(most or least), finding.text
    if "slow_at_least" in said:
        slow = sum(time >= said["slow_from_ms"] - 1e-6 for time in times)
        assert said["slow_at_least"] <= slow <= said["slow_at_most"] <= len(times)
    if said["reading"] in {"stall", "several", "both"}:
        ordered = sorted(times)
        median = ordered[len(times) // 2]
        slowest = ordered[len(times) - said["slow_at_least"] :]
        carried = sum(time - median for time in slowest)
        assert carried >= 0.5 * (sum(times) - len(times) * median)
    if said["reading"] == "stall":
        assert sum(time > run_ms / 2 for time in times) >= said["slow_at_least"]
    if said["reading"] == "several" and said["slow_at_least"] <= concurrency:
        ordered = sorted(times)
        rest = ordered[: len(times) - concurrency]
        assert statistics.fmean(rest) > 1.2 * ordered[len(times) // 2]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    requests=st.integers(20, 400),
    concurrency=st.integers(1, 30),
    base=BASES,
    stall=st.floats(0, 20_000),
    at=st.floats(0, 1),
    cut=st.booleans(),
)
def test_a_true_stall_is_never_called_several(
    requests: int, concurrency: int, base: list[float], stall: float, at: float, *, cut: bool
) -> None:
    """
    Whenever it comes and however long it lasts.
    """
    begins = at * requests * statistics.fmean(base) / concurrency

    def extra(_: int, start: float, end: float) -> float:
        return stall if start <= begins < end else 0.0

    times, run_ms = run(requests, concurrency, extra, base)
    finding = tail(output(times, concurrency, run_ms, cut=cut))
    holds(finding, times, concurrency, run_ms)
    if max(base) < 1.2 * min(base):
        assert finding.values["reading"] != "several"


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    requests=st.integers(20, 400),
    concurrency=st.integers(1, 10),
    base=BASES,
    every=st.integers(2, 30),
    slow=st.floats(1, 5000),
    cut=st.booleans(),
)
def test_what_is_slow_again_and_again_is_never_called_one_event(
    requests: int, concurrency: int, base: list[float], every: int, slow: float, *, cut: bool
) -> None:
    """
    However frequent and however slow; if all slow requests were under way at once, it was one.
    """

    def extra(number: int, _: float, __: float) -> float:
        return slow if number % every == 0 else 0.0

    times, run_ms = run(requests, concurrency, extra, base)
    finding = tail(output(times, concurrency, run_ms, cut=cut))
    holds(finding, times, concurrency, run_ms)
    if requests > every and finding.values["reading"] == "single":
        assert sum(time >= slow for time in times) < 2 or max(base) > slow / 2


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    times=st.lists(st.floats(0.1, 10_000), min_size=10, max_size=300),
    concurrency=st.integers(1, 50),
    cut=st.booleans(),
)
def test_nothing_is_said_of_any_times_that_they_contradict(
    times: list[float], concurrency: int, *, cut: bool
) -> None:
    """
    Whatever their distribution.
    """
    made, run_ms = run(len(times), concurrency, lambda *_: 0.0, times)
    holds(tail(output(made, concurrency, run_ms, cut=cut)), made, concurrency, run_ms)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.data())
def test_sums_of_sorted_times_lie_between_their_limits(
    times: list[float], data: st.DataObject
) -> None:
    """
    Whatever places are known.
    """
    ordered = sorted(times)
    places = data.draw(st.sets(st.integers(0, len(times) - 1)))
    levels = Levels(len(times), [(place, Range.of(ordered[place])) for place in sorted(places)])
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(times))] * 2)))
    true = sum(ordered[begin:end])
    assert levels.least(begin, end) - 1e-6 <= true <= levels.most(begin, end) + 1e-6
