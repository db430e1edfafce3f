"""
The audit's comparison of arms: what counts as a run, what must be alike, and the difference.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest

from analysis.audit.arms import Arm
from analysis.audit.comparison import compare, welch_interval
from analysis.audit.findings import Finding, Severity
from experiments.records.ab.numbers import Printed
from experiments.records.ab.output import AbOutput
from tests.unit.test_audit import NETNS, PUBLISHED, reading

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_one_run_in_each_arm_gives_no_interval() -> None:
    """
    The published comparison, had all answers been good: -46 %, no interval, equal medians.
    """
    docker = dataclasses.replace(
        reading(), responses_non_2xx=0, requests_failed=0, failed_length=0, document_length=1542
    )
    docker = dataclasses.replace(docker, bytes_html=1_542_000)
    findings = compare([Arm("netns", [reading(NETNS)]), Arm("docker", [docker])])
    of = {finding.check: finding for finding in findings}
    assert of["difference"].values["ratio_percent"] == pytest.approx(-45.97, abs=0.01)
    assert of["difference"].values["low_percent"] is None
    assert of["difference"].severity is Severity.WARNING
    assert "-46.0 %, without a confidence interval" in of["difference"].text
    assert of["difference_beside_median"].values["means_percent"] == pytest.approx(85.1, abs=0.1)
    assert of["comparable"].severity is Severity.OK
    # One took 18 s and the other 34 s.
    assert "path and number of requests or duration" in of["comparable"].text
    assert of["order"].severity is Severity.NOTE


def test_the_published_runs_are_not_comparable_in_time() -> None:
    """
    Four answers of a thousand were bad; that the difference is in the tail is said all the same.
    """
    findings = compare([Arm("netns", [reading(NETNS)]), Arm("docker", [reading()])])
    assert [one.check for one in findings] == [
        "comparable",
        "difference",
        "difference_beside_median",
        "order",
    ]
    assert findings[0].severity is Severity.OK
    assert "100 % of netns and 99.6 % of docker were good" in findings[1].text
    assert findings[1].values["low_percent"] is None


def runs(*rates_per_s: float, **changes: Any) -> list[AbOutput]:  # noqa: ANN401 - of the fields
    """
    Runs of these rates.
    """
    same = dataclasses.replace(reading(NETNS), duration_s=None, latency_mean_ms=None, **changes)
    return [
        dataclasses.replace(same, requests_per_second=Printed(rate, 0.005)) for rate in rates_per_s
    ]


def test_several_runs_give_welch_s_interval() -> None:
    """
    Unpaired, of the log ratio; checked against the formula by hand.
    """
    findings = compare([Arm("a", runs(100, 110, 105)), Arm("b", runs(80, 100, server_port=1))])
    values = next(one for one in findings if one.check == "difference").values
    centre = math.log(80 * 100) / 2 - math.log(100 * 110 * 105) / 3
    assert values["ratio_percent"] == pytest.approx(100 * math.expm1(centre))
    low, high = (math.log1p(values[f"{limit}_percent"] / 100) for limit in ("low", "high"))
    assert (low + high) / 2 == pytest.approx(centre)
    # Standard errors 0.02752 and 0.11157 by hand, so 1.1227 degrees of freedom: t is 9.7 or so.
    assert (high - low) / 2 == pytest.approx(0.1149 * 9.92, rel=0.03)


def checked(arms: Sequence[Arm], check: str) -> list[Finding]:
    """
    The findings of one check.
    """
    return [finding for finding in compare(arms) if finding.check == check]


def the_difference(*arms: Arm) -> Finding:
    """
    Of two arms.
    """
    (difference,) = checked(arms, "difference")
    return difference


def test_runs_without_any_spread_have_no_interval() -> None:
    """
    Where the rates do not vary there is none, and the audit asks whether they are copies.
    """
    assert welch_interval([5, 5], [6, 6]).low is None
    slow, same = runs(90, 90)
    same = dataclasses.replace(same, bytes_transferred=1_700_007)
    of = the_difference(Arm("a", [*runs(100), *runs(100, server_port=1)]), Arm("b", [slow, same]))
    assert of.severity is Severity.WARNING
    assert "copies" in of.text


def test_a_copy_counts_once() -> None:
    """
    Whether or not it was stored with what ab prints to standard error.
    """
    logged = PUBLISHED.replace(".....done", "...\nSSL read failed (1)\n")
    assert reading(logged) != reading()
    arms = [
        Arm("a", [reading(), reading(logged), *runs(90), reading()]),
        Arm("b", [*runs(80, 80), *runs(85)]),
    ]
    first, second = checked(arms, "copies")
    assert first.text == (
        "a has only 2 runs: runs 2 and 4 are copies of run 1, the same in every number. Copies are "
        "no replicates and count once."
    )
    assert "b has only 2 runs: run 2 is a copy of run 1" in second.text
    assert {one.severity for one in (first, second)} == {Severity.WARNING}
    only = Arm("a", runs(100, 100, 100))
    assert "a 100/s (1 run)" in the_difference(only, Arm("b", runs(80, 90))).text


def test_one_output_in_two_arms_is_an_error() -> None:
    """
    No difference is printed.
    """
    of = the_difference(Arm("a", runs(100, 110)), Arm("b", runs(90, 110)))
    assert of.severity is Severity.ERROR
    assert of.text.startswith("b is not compared with a: run 2 of b is run 2 of a, the same")
    assert "low_percent" not in of.values
    third = Arm("c", runs(80, 85))
    found = checked([Arm("a", runs(100, 110)), Arm("b", runs(90, 110)), third], "difference")
    assert [finding.severity for finding in found] == [Severity.ERROR, Severity.NOTE]


def test_runs_of_an_arm_that_differ_are_no_replicates() -> None:
    """
    They have no interval, whatever the other arm is.
    """
    mixed = Arm("a", [*runs(100, 110), *runs(120, concurrency=100)])
    of = the_difference(mixed, Arm("b", runs(90, 95)))
    assert of.values["low_percent"] is None
    assert of.text.endswith(
        "without a confidence interval: the runs of a differ in concurrency, so that they are no "
        "replicates."
    )


def test_intervals_side_by_side_are_less_sure_together() -> None:
    """
    By Bonferroni's inequality; one alone has no such finding.
    """
    arms = [Arm(name, runs(rate, rate + 5)) for name, rate in (("a", 100), ("b", 90), ("c", 70))]
    (together,) = checked(arms, "side_by_side")
    assert together.text == (
        "2 intervals stand side by side: each has 95 % confidence, all together have at least 90 % "
        "(Bonferroni)."
    )
    assert not checked(arms[:2], "side_by_side")


def test_unlike_runs_are_a_warning() -> None:
    """
    Another concurrency makes another rate.
    """
    unlike = dataclasses.replace(reading(), concurrency=10)
    first = compare([Arm("a", [reading()]), Arm("b", [unlike])])[0]
    assert first.severity is Severity.WARNING
    assert first.values["differing"] == ["concurrency"]
    assert "which alone may change the rate: a 50, b 10" in first.text


def test_everything_that_makes_runs_unlike_is_named() -> None:
    """
    One sentence for each.
    """
    sound = reading(NETNS)
    unlike = dataclasses.replace(
        sound,
        version="2.0.40-dev",
        keep_alive_requests=990,
        tls_protocol="TLSv1.3",
        document_length=1543,
        bytes_html=1_543_000,
        document_path="/other",
        requests_completed=1001,
        duration_s=Printed(30, 0.0005),
        bytes_sent=300_000,
    )
    differing = checked([Arm("a", [sound]), Arm("b", [unlike])], "comparable")
    assert [one.values["differing"] for one in differing] == [
        ["version of ab"],
        ["keep-alive"],
        ["TLS"],
        ["request body"],
        ["document length"],
        ["path"],
        ["number of requests and duration"],
    ]
    assert "a no TLS, b TLSv1.3." in differing[2].text
    assert "a none (GET or HEAD), b one (POST or PUT)." in differing[3].text


def test_what_a_run_does_not_tell_is_named_as_that() -> None:
    """
    It is neither a difference nor the same.
    """
    sound = reading(NETNS)
    silent = AbOutput(requests_completed=1000, requests_per_second=sound.requests_per_second)
    arms = [Arm("a", [sound]), Arm("b", [silent])]
    (same,) = checked(arms, "comparable")
    assert (same.severity, same.text) == (
        Severity.OK,
        "All runs have the same number of requests or duration.",
    )
    (not_told,) = checked(arms, "not_told")
    assert not_told.text == (
        "Not every run tells its concurrency, version of ab, keep-alive, TLS, request body, "
        "document length and path."
    )
    more = [Arm("a", [sound]), Arm("b", [dataclasses.replace(silent, requests_completed=7)])]
    (not_told,) = checked(more, "not_told")
    assert not_told.values["not_told"][-1] == "number of requests and duration"


def test_the_size_of_request_bodies_is_compared_with_a_margin() -> None:
    """
    A few bytes are the server's name, or requests that were under way at the end.
    """
    small, like, large = (
        Arm(name, runs(rate, bytes_sent=bytes_sent))
        for name, rate, bytes_sent in (("a", 90, 300_000), ("b", 91, 304_000), ("c", 92, 900_000))
    )
    assert checked([small, like], "comparable")[0].severity is Severity.OK
    assert checked([small, large], "comparable")[0].text == (
        "The runs differ in request body, which alone may change the rate: a 300 bytes sent per "
        "request, c 900 bytes sent per request."
    )


def test_long_paths_are_compared_whole() -> None:
    """
    Also where they differ at their end.
    """
    arms = [
        Arm(end, runs(rate, document_path="/" + 99 * "a" + end))
        for end, rate in (("a", 9), ("b", 8))
    ]
    assert [one.values["differing"] for one in checked(arms, "comparable")] == [["path"]]


def test_a_server_of_its_own_is_what_arms_may_be_about() -> None:
    """
    It is named without a blame.
    """
    here = Arm("a", runs(100))
    there = Arm("b", runs(90, server_hostname="b.example", server_software="gunicorn"))
    (servers,) = checked([here, there], "servers")
    assert servers.severity is Severity.NOTE
    assert "The runs differ in host (a " in servers.text
    assert "b b.example) and server software (a " in servers.text
    assert checked([here, there], "comparable")[0].severity is Severity.OK
    assert not checked([here, Arm("b", runs(90))], "servers")


def test_lengths_that_are_not_compared_change_no_rate() -> None:
    """
    With -l, what counts as failed is another thing; the length of equal answers is known.
    """
    free = {"document_length": None, "document_length_variable": True}
    arms = [Arm("a", runs(100)), Arm("b", runs(90, **free))]
    assert checked(arms, "comparable")[0].severity is Severity.OK
    (counted,) = checked(arms, "failures_counted")
    assert counted.severity is Severity.NOTE
    assert counted.text == (
        "The runs differ in -l, which changes what counts as failed and not the rate: a without, "
        "b with."
    )
    longer = [Arm("a", runs(100)), Arm("b", runs(90, **free, bytes_html=2_000_000))]
    assert "a 1542 bytes, b 2000 bytes" in checked(longer, "comparable")[0].text
    varied = [Arm("a", runs(100)), Arm("b", runs(90, **free, bytes_html=2_000_001))]
    assert checked(varied, "not_told")[0].text == "Not every run tells its document length."


def test_a_time_limit_makes_no_runs_unlike() -> None:
    """
    The number of requests is what it measures.
    """
    sound = reading(NETNS)
    more = dataclasses.replace(sound, requests_completed=2000, bytes_html=2000 * 1542)
    assert compare([Arm("a", [sound]), Arm("b", [more])])[0].severity is Severity.OK


def test_arms_with_bad_answers_are_not_comparable_in_time() -> None:
    """
    An arm of which all answers are errors says nothing about speed.
    """
    sound = reading(NETNS)
    errors_only = dataclasses.replace(sound, responses_non_2xx=1000)
    findings = compare([Arm("a", [sound]), Arm("b", [errors_only])])
    (difference,) = [one for one in findings if one.check == "difference"]
    assert difference.text.startswith("Not comparable in time")
    assert (
        "100 % of a and 0 % of b were good, and times are compared from 99.9 %" in difference.text
    )
    one_in_a_thousand = dataclasses.replace(sound, responses_non_2xx=1)
    assert "difference" in {
        one.check
        for one in compare([Arm("a", [sound]), Arm("b", [one_in_a_thousand])])
        if "Not comparable" not in one.text
    }


def test_arms_with_answers_that_may_be_bad_are_perhaps_not_comparable() -> None:
    """
    The difference is printed, after a warning.
    """
    sound = reading(NETNS)
    varying = dataclasses.replace(sound, requests_failed=9, failed_length=9, bytes_html=1_542_400)
    findings = compare([Arm("a", [sound]), Arm("b", [varying])])
    assert [one.check for one in findings[:3]] == ["comparable", "good_answers", "difference"]
    assert findings[1].text.startswith("Perhaps not comparable")
    silent = dataclasses.replace(
        sound,
        requests_failed=10,
        failed_length=10,
        bytes_html=990 * 1542,
        bytes_transferred=990 * 1700,
    )
    (perhaps,) = checked([Arm("a", [sound]), Arm("b", [silent])], "good_answers")
    assert perhaps.severity is Severity.WARNING
    assert perhaps.text == (
        "Perhaps not comparable in time, because bad answers may be fast: 100 % of a and 99 % to "
        "100 % of b were good, and times are compared from 99.9 %."
    )


def test_arms_whose_bad_answers_are_counted_nowhere_are_perhaps_not_comparable() -> None:
    """
    A note, if the bytes allow that all are good; else they are not comparable.
    """
    head = {"document_length": 0, "bytes_html": 0}
    sound = Arm("a", runs(100, **head, bytes_transferred=170_000))
    like = Arm("b", runs(90, **head, bytes_transferred=169_000))
    (perhaps,) = checked([sound, like], "good_answers")
    assert perhaps.severity is Severity.NOTE
    assert "0 % to 100 % of a and 0 % to 100 % of b were good" in perhaps.text
    silent = Arm("b", runs(90, **head, bytes_transferred=14_000))
    assert the_difference(sound, silent).text.startswith(
        "Not comparable in time, because bad answers may be fast: 0 % to 100 % of a and 0 % to "
        "82.3 % of b were good"
    )


def test_connections_that_one_server_kept_make_another_rate() -> None:
    """
    Both arms asked for it (-k). A few closings are no difference.
    """
    kept, nearly, closed = (
        Arm(name, runs(rate, keep_alive_requests=requests))
        for name, rate, requests in (("a", 100, 1000), ("b", 90, 990), ("c", 80, 0))
    )
    assert checked([kept, nearly], "comparable")[0].severity is Severity.OK
    assert checked([kept, closed], "comparable")[0].text == (
        "The runs differ in connections kept by the server (-k), which alone may change the rate: "
        "a after 100 % of requests, c after 0 % of requests."
    )


def test_runs_without_a_result_are_counted_and_named() -> None:
    """
    With the reason of each, and an arm without any.
    """
    aborted = AbOutput(aborted_after_requests=299, faults=("apr_socket_recv: reset (104)",))
    nothing = AbOutput(requests_completed=3)
    first, second, third, *_ = compare(
        [Arm("a", [reading(NETNS)]), Arm("b", [*runs(50), aborted, nothing]), Arm("c", [])]
    )
    assert first.text == (
        "2 of 3 runs of b left out of the comparison (run 2: ab gave up after 299 requests: "
        "apr_socket_recv: reset (104); run 3: it has no rate). Only the runs that finished are "
        "compared, which is a selection of the better ones: name the failures of b beside its rate."
    )
    assert second.text == "c is not compared, because it has no output of ab."
    assert third.check == "comparable"
    *_, last = compare([Arm("a", [reading(NETNS)]), Arm("b", [aborted])])
    assert last.text == "No comparison: fewer than two arms have a run with a result."


def test_equal_medians_say_little_where_whole_milliseconds_hide_the_difference() -> None:
    """
    As 1 ms may be 0.6 or 1.4 ms. Arms of another concurrency have another rate at equal medians.
    """

    def tail(median_ms: int, **changes: Any) -> list[Finding]:  # noqa: ANN401 - of the fields
        same = {"percentiles_ms": {50: Printed(median_ms, 0.5)}}
        arms = [Arm("a", runs(1000, **same)), Arm("b", runs(700, **same, **changes))]
        return checked(arms, "difference_beside_median")

    assert tail(50)
    assert not tail(1)
    assert not tail(50, concurrency=25)


def test_medians_agree_also_where_one_arm_has_more_fast_requests() -> None:
    """
    The difference of the means is in the tail only if the slower mean is far above the median.
    """
    same = {"percentiles_ms": {50: Printed(62, 0.5)}, "concurrency": 10}
    (beside,) = checked(
        [Arm("a", runs(152, **same)), Arm("b", runs(262, **same))], "difference_beside_median"
    )
    assert beside.text.endswith("The difference is in requests of b that are far below its median.")
    (tail,) = checked(
        [Arm("a", runs(152, **same)), Arm("b", runs(80, **same))], "difference_beside_median"
    )
    assert tail.text.endswith("The difference is in the tail; stalls in one arm would explain it.")
    unknown = same | {"concurrency": None}
    (either,) = checked(
        [Arm("a", runs(152, **unknown)), Arm("b", runs(80, **unknown))], "difference_beside_median"
    )
    assert either.text.endswith("in requests that are slower or faster than the median.")


def test_the_only_run_is_said_as_one() -> None:
    """
    Also where it is left out.
    """
    (left_out,) = checked([Arm("a", [AbOutput(requests_completed=3)])], "left_out")
    assert left_out.text == "The only run of a is left out of the comparison (it has no rate)."


def test_no_difference_has_no_minus() -> None:
    """
    It is printed as +0.0 %.
    """
    assert " +0.0 %," in the_difference(Arm("a", runs(100)), Arm("b", runs(99.999))).text
