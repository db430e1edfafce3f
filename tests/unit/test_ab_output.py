"""
Reading ab's report: every field, failures, aborted runs, and rubbish.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from experiments.declare.workloads import choose_workload
from experiments.errors import LoadError
from experiments.load import LoadPlan
from experiments.load.ab import REQUESTS_FILE, ApacheBench, result_of
from experiments.load.ab_output import parse, parse_percentiles
from experiments.records.trials import Answer

SAMPLES = Path(__file__).parent / "ab"
PERCENTILES = dict.fromkeys(range(101), 3.5)


def sample(name: str) -> str:
    """
    A report of ab; all but the trunk's are as ab 2.3 printed them.
    """
    return (SAMPLES / f"{name}.txt").read_text()


def plan(requests: int, concurrency: int) -> LoadPlan:
    """
    A load of the published workload.
    """
    return LoadPlan("198.18.0.1:80", choose_workload("products"), requests, concurrency, 1)


def test_every_field_of_a_plain_report_is_read() -> None:
    """
    What the report says is what comes out, to the digit.
    """
    report = parse(sample("length-artefact"))
    assert report.server_software == "BaseHTTP/0.6"
    assert (report.server_hostname, report.server_port) == ("127.0.0.1", 9000)
    assert (report.document_path, report.document_length) == ("/", 10)
    assert report.concurrency == 5
    assert report.duration_s == 0.713
    assert (report.requests_completed, report.requests_failed) == (1000, 996)
    assert (report.failed_connect, report.failed_receive) == (0, 0)
    assert (report.failed_length, report.failed_exceptions) == (996, 0)
    assert report.responses_non_2xx == 4
    assert (report.bytes_transferred, report.bytes_html) == (212672, 99640)
    assert report.requests_per_second == 1401.95
    assert (report.latency_mean_ms, report.latency_mean_across_ms) == (3.566, 0.713)
    assert report.received_kib_per_second == 291.17
    assert report.connection_times_ms["processing"] == {
        "min": 0,
        "mean": 3,
        "sd": 1.7,
        "median": 3,
        "max": 16,
    }
    assert report.percentiles_ms == {
        50: 3,
        66: 4,
        75: 4,
        80: 4,
        90: 6,
        95: 7,
        98: 9,
        99: 10,
        100: 16,
    }
    assert report.other == {}


def test_a_post_without_deviations_is_read() -> None:
    """
    ``-S`` prints three columns, and a body adds rates of its own.
    """
    report = parse(sample("post-no-deviations"))
    assert report.bytes_sent == 2700
    assert (report.sent_kib_per_second, report.total_kib_per_second) == (200.54, 516.95)
    assert report.connection_times_ms["waiting"] == {"min": 0, "mean": 1, "max": 3}


def test_tls_keep_alive_and_the_trunk_s_lines_are_read() -> None:
    """
    Lines that only other options or newer versions print have their own fields.
    """
    report = parse(sample("tls-keep-alive-trunk"))
    assert report.tls_protocol == "TLSv1.3,TLS_AES_256_GCM_SHA384,2048,256"
    assert (report.tls_temp_key, report.tls_server_name) == ("X25519 253 bits", "gateway.lab")
    assert report.document_length is None
    assert report.document_length_variable
    assert (report.workers, report.concurrency_achieved, report.ramp_up_delay_ms) == (2, 7, 5)
    assert report.requests_asked == 500
    assert (report.keep_alive_requests, report.keep_alive_aborts) == (480, 6)
    assert report.write_errors == 1
    assert [line.split(":")[0] for line in report.warnings] == ["WARNING", "ERROR"]
    assert report.other == {"Surprise of a future version": "42"}


def test_a_length_failure_alone_does_not_make_a_request_unreliable() -> None:
    """
    996 length failures and 4 non-2xx answers are 996 good requests, not 4.
    """
    report = parse(sample("length-artefact"))
    result = result_of(report, PERCENTILES, plan(1000, 5), ["ab"])
    assert result.requests_failed == 996
    assert result.requests_ok == 996


@pytest.mark.parametrize(
    ("first", "failed", "html", "non_2xx", "ok"),
    [
        # All are as the checked answer.
        (100, 0, 100_000, 0, 1000),
        # The first is, and some are not; an error may be one of them.
        (100, 30, 97_000, 0, 970),
        (100, 30, 97_000, 30, 970),
        (100, 0, 100_000, 30, 970),
        # The first is wrong: with it four more, which are all, or all of which are.
        (10, 996, 99_640, 4, 996),
        (10, 0, 10_000, 0, 0),
        # The first is wrong, and the bytes of the others are not those of good answers.
        (10, 996, 99_641, 4, 0),
        # No connection was answered but the last.
        (0, 1, 100, 0, 1),
    ],
)
def test_good_answers_have_the_length_of_the_checked_one(
    first: int, failed: int, html: int, non_2xx: int, ok: int
) -> None:
    """
    Whatever ab takes as its reference: with a wrong one, it flags the good answers.
    """
    report = structs.replace(
        parse(sample("length-artefact")),
        document_length=first,
        requests_failed=failed,
        failed_length=failed,
        bytes_html=html,
        responses_non_2xx=non_2xx,
    )
    held = dataclasses.replace(plan(1000, 5), reference=Answer(200, 100, ""))
    result = result_of(report, PERCENTILES, held, ["ab"])
    assert result.requests_ok == ok
    as_published = dataclasses.replace(held, any_length=False)
    assert result_of(report, PERCENTILES, as_published, ["ab"]).requests_failed == failed


def test_ab_compares_lengths_where_they_are_known(tmp_path: Path) -> None:
    """
    With ``-l`` it would tell nothing of them.
    """
    held = dataclasses.replace(plan(10, 5), reference=Answer(200, 100, ""))
    varying = dataclasses.replace(held, workload=choose_workload("orders"))
    strict = dataclasses.replace(plan(10, 5), any_length=False)
    commands = [ApacheBench()._command(each, tmp_path) for each in (held, strict)]
    assert not any("-l" in command for command in commands)
    commands = [ApacheBench()._command(each, tmp_path) for each in (varying, plan(10, 5))]
    assert all("-l" in command for command in commands)


def test_other_failures_and_error_answers_are_not_ok() -> None:
    """
    Connect, receive and protocol failures and non-2xx answers are taken off what is OK.
    """
    report = parse(sample("tls-keep-alive-trunk"))
    result = result_of(report, PERCENTILES, plan(500, 8), ["ab"])
    assert result.requests_ok == 500 - 11 - 9


def test_the_rate_comes_from_the_figure_that_is_rounded_least() -> None:
    """
    1401.95 requests/s says more than 1000 in 0.713 s; the closed loop's mean latency follows.
    """
    report = parse(sample("length-artefact"))
    result = result_of(report, PERCENTILES, plan(1000, 5), ["ab"])
    assert result.requests_per_second == pytest.approx(1401.95, abs=1e-9)
    assert result.latency_mean_us == pytest.approx(5e6 / 1401.95)
    assert result.latency_p99_us == 3500


def test_a_slow_rate_comes_from_the_mean_latency() -> None:
    """
    Five requests a second have two decimals, their mean latency of ten seconds seven digits.
    """
    slow = structs.replace(
        parse(sample("length-artefact")),
        duration_s=200.123,
        requests_per_second=5.0,
        latency_mean_ms=1000.617,
    )
    result = result_of(slow, PERCENTILES, plan(1000, 5), ["ab"])
    assert result.latency_mean_us == pytest.approx(1000617)


def test_a_quantile_that_ab_reads_beyond_its_table_is_the_slowest() -> None:
    """
    For 20 requests ab's own index of the 99th percentile is 20, and the last is 19.
    """
    garbage = {**PERCENTILES, 99: 0.257, 100: 3.9}
    report = parse(sample("post-no-deviations"))
    result = result_of(report, garbage, plan(20, 2), ["ab"])
    assert result.latency_p99_us == result.latency_max_us == 3900
    assert result.latency_p90_us == 3500


def test_a_report_that_contradicts_the_plan_is_refused() -> None:
    """
    More requests than were asked for cannot be.
    """
    with pytest.raises(LoadError, match="but was given 10 at 5"):
        result_of(parse(sample("length-artefact")), PERCENTILES, plan(10, 5), ["ab"])


def test_an_aborted_run_says_how_far_it_came_and_why() -> None:
    """
    Ab's own reason is in the error.
    """
    with pytest.raises(LoadError, match=r"after 37 requests: apr_socket_recv: Connection reset"):
        parse(sample("aborted"))
    with pytest.raises(LoadError, match=r"gave up: apr_socket_recv: Connection refused \(111\)"):
        parse(sample("refused"))


@pytest.mark.parametrize("cut", [0, 1, 200, 500, 600])
def test_a_truncated_report_is_refused(cut: int) -> None:
    """
    A report that ends too early names what is missing.
    """
    with pytest.raises(LoadError, match="not a report of ab: no "):
        parse(sample("post-no-deviations")[:cut])


@pytest.mark.parametrize("label", ["Complete requests", "Transfer rate", "Failed requests"])
def test_a_value_that_ab_never_prints_is_refused(label: str) -> None:
    """
    A known label must be followed by a number, whether or not the result needs it.
    """
    lines = sample("length-artefact").splitlines(keepends=True)
    damaged = [f"{label}: nan\n" if line.startswith(label) else line for line in lines]
    with pytest.raises(LoadError, match=label):
        parse("".join(damaged))


def test_a_breakdown_of_failures_without_numbers_is_refused() -> None:
    """
    It is not taken for the row of connection times that has the same name.
    """
    with pytest.raises(LoadError, match="Connect"):
        parse(sample("length-artefact").replace("Connect: 0", "Connect: nan"))


def test_two_reports_in_one_text_are_refused() -> None:
    """
    One load prints one report.
    """
    with pytest.raises(LoadError, match="2 reports"):
        parse(sample("length-artefact") + sample("post-no-deviations"))


@settings(derandomize=True, deadline=None)
@given(st.text() | st.binary().map(lambda data: data.decode(errors="replace")))
def test_rubbish_is_refused_and_nothing_else_happens(text: str) -> None:
    """
    No input makes the parser fail in any other way.
    """
    with pytest.raises(LoadError):
        parse(text)
    with pytest.raises(LoadError):
        parse_percentiles(text)


def test_percentiles_are_read_to_the_microsecond() -> None:
    """
    The file of ``-e`` has three decimals of a millisecond.
    """
    rows = "\n".join(f"{percent},{percent / 8:.3f}" for percent in range(101))
    found = parse_percentiles("Percentage served,Time in ms\n" + rows)
    assert found[99] == 12.375
    assert len(found) == 101


@pytest.mark.parametrize("beyond", ["-9223372036854775.808", "9223372036854775.807", "0.257"])
def test_a_percentile_from_beyond_the_table_does_not_refuse_the_file(beyond: str) -> None:
    """
    Ab prints any 64-bit number of microseconds there, and nothing takes it for a latency.
    """
    rows = "\n".join(f"{percent},3.500" for percent in range(99))
    found = parse_percentiles(f"Percentage served,Time in ms\n{rows}\n99,{beyond}\n100,3.900")
    report = parse(sample("post-no-deviations"))
    assert result_of(report, found, plan(20, 2), ["ab"]).latency_p99_us == 3900


def test_a_cut_percentile_file_is_refused() -> None:
    """
    Half a file has no 99th percentile.
    """
    with pytest.raises(LoadError, match="percentile file"):
        parse_percentiles("Percentage served,Time in ms\n0,1.000\n50,2.0")
    with pytest.raises(LoadError):
        parse_percentiles("Percentage served,Time in ms\n" + "9" * 5000 + ",1.0")


ROWS = (
    "starttime\tseconds\tctime\tdtime\tttime\twait\n"
    "Fri Nov 27 19:10:42 2026\t1795806642\t0\t9\t9\t8\n"
    "Fri Nov 27 19:10:42 2026\t1795806642\t1\t11\t12\t10\n"
    "Fri Nov 27 19:10:43 2026\t1795806643\t0\t12\t12\t11\n"
)


def test_the_time_of_every_request_is_read(tmp_path: Path) -> None:
    """
    In whole milliseconds, from connecting to the last byte; the file of ``-g`` has a row for each.
    """
    (tmp_path / REQUESTS_FILE).write_text(ROWS)
    assert ApacheBench().times_ms(tmp_path) == {9: 1, 12: 2}


@pytest.mark.parametrize(
    "text",
    [None, "", "starttime\tseconds\n", ROWS[:-8], ROWS.replace("\t12\t12", "\t12\tslow"), "{}\n{}"],
)
def test_another_file_than_that_of_every_request_is_refused(
    tmp_path: Path, text: str | None
) -> None:
    """
    By its name; so is one that is missing or cut off.
    """
    if text is not None:
        (tmp_path / REQUESTS_FILE).write_text(text)
    with pytest.raises(
        LoadError, match=r"ab-requests\.tsv does not contain the time of every request"
    ):
        ApacheBench().times_ms(tmp_path)
