"""
What ab's counts and bytes allow: the range of good answers, and what the length failures are.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from analysis.audit.account import may_be_cut
from analysis.audit.findings import Finding, Severity
from analysis.audit.reliability import reliability
from experiments.records.ab.numbers import Printed
from experiments.records.ab.output import AbOutput
from experiments.records.ab.splitting import read_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING_FAILED = AbOutput(
    version="2.3",
    document_length=45,
    concurrency=10,
    duration_s=Printed(0.5, 0.0005),
    requests_completed=1000,
    requests_failed=0,
    failed_connect=0,
    failed_receive=0,
    failed_length=0,
    failed_exceptions=0,
    write_errors=0,
    responses_non_2xx=0,
    bytes_transferred=352_000,
    bytes_html=45_000,
)


def output(**changes: Any) -> AbOutput:  # noqa: ANN401 - of the fields' types
    """
    A thousand good answers of 45 bytes, with changes.
    """
    return dataclasses.replace(NOTHING_FAILED, **changes)


def failing(**changes: Any) -> AbOutput:  # noqa: ANN401 - of the fields' types
    """
    The same, with failures that add up.
    """
    changed = output(**changes)
    kinds = (changed.failed_receive, changed.failed_length, changed.failed_exceptions)
    return dataclasses.replace(changed, requests_failed=sum(kind or 0 for kind in kinds))


def found(of: AbOutput) -> tuple[Finding, Finding]:
    """
    The finding on the lengths, and the one on the good answers.
    """
    length, good = reliability(of)
    return length, good


def good(of: AbOutput) -> tuple[int, int]:
    """
    The limits of the good answers.
    """
    values: Mapping[str, Any] = found(of)[1].values
    return values["good_at_least"], values["good_at_most"]


def cause(of: AbOutput) -> str:
    """
    What the length failures are.
    """
    return str(found(of)[0].values["cause"])


def test_equal_answers_without_a_failure_are_all_good() -> None:
    """
    A length other than zero proves an answer, and no non-2xx its status.
    """
    length, all_good = found(output())
    assert (length.severity, all_good.severity) == (Severity.OK, Severity.OK)
    assert good(output()) == (1000, 1000)
    assert all_good.text.startswith("100 % good: each of 1000 requests had an answer")
    one = output(requests_completed=1, bytes_html=45, bytes_transferred=352)
    assert "the request had an answer" in found(one)[1].text


@pytest.mark.parametrize(
    ("receive", "exceptions", "words"),
    [
        (527, 0, "their connections were reset or refused"),
        (527, 527, "their connections were reset or refused"),
        (0, 0, "the server closed the connection without an answer"),
        (
            0,
            527,
            "the server closed the connection without an answer, or it was reset (Exceptions: 527)",
        ),
    ],
)
def test_a_request_that_received_nothing_counts_once(
    receive: int, exceptions: int, words: str
) -> None:
    """
    However many kinds of failures it is counted under: all bytes belong to the others.
    """
    of = failing(
        failed_receive=receive,
        failed_length=527,
        failed_exceptions=exceptions,
        bytes_html=473 * 45,
        bytes_transferred=473 * 352,
        concurrency=1000,
    )
    assert good(of) == (473, 473)
    assert cause(of) == "unanswered"
    assert f"527 requests received nothing: {words}" in found(of)[0].text
    assert "47.3 % good (473 of 1000)" in found(of)[1].text


def test_resets_are_the_silent_requests_only_where_they_are_as_many() -> None:
    """
    Else some may have come after a whole answer, while the server closed other connections.
    """
    of = failing(
        failed_receive=30,
        failed_length=1,
        bytes_html=999 * 45,
        bytes_transferred=999 * 352,
        concurrency=1,
    )
    assert good(of) == (969, 970)
    assert "without an answer, or it was reset (Receive: 30)" in found(of)[0].text
    assert found(of)[1].text.startswith("96.9 % to 97 % good (969 to 970 of 1000)")


def test_the_kinds_of_failures_may_be_missing_where_the_bytes_decide() -> None:
    """
    The line in parentheses says nothing that the bytes do not.
    """
    of = output(
        requests_failed=1054,
        failed_receive=None,
        failed_length=None,
        bytes_html=473 * 45,
        bytes_transferred=473 * 352,
    )
    assert good(of) == (473, 473)
    assert good(dataclasses.replace(of, bytes_transferred=None))[0] == 0


def test_a_reset_after_a_whole_answer_is_not_good() -> None:
    """
    More resets than other lengths: some of them had the whole answer.
    """
    assert good(failing(failed_receive=7, failed_exceptions=7)) == (993, 993)


def test_failures_of_unknown_overlap_are_between_the_largest_kind_and_the_sum() -> None:
    """
    Where answers were cut short by resets, the bytes do not decide.
    """
    of = failing(failed_receive=30, failed_length=50, bytes_html=950 * 45 + 11, concurrency=1)
    assert good(of) == (0, 970)
    assert (
        "92 % to 97 % good (920 to 970 of 1000); if the first response was itself cut short, the "
        "good ones are among up to 80 answers of another length" in found(of)[1].text
    )


def test_the_first_response_that_was_an_error_page_makes_good_answers_fail() -> None:
    """
    As many answers have the reference length as are non-2xx, and the others have one length.
    """
    of = failing(
        document_length=207,
        failed_length=996,
        responses_non_2xx=4,
        bytes_html=4 * 207 + 996 * 1542,
        bytes_transferred=4 * 400 + 996 * 1700,
    )
    assert (cause(of), good(of)) == ("first_response", (996, 996))
    assert "996 length failures are the good answers (1542 bytes each)" in found(of)[0].text


def test_the_artefact_is_not_claimed_where_the_bytes_do_not_bear_it_out() -> None:
    """
    Every second connection closed without a byte: the counts are those of the artefact.
    """
    of = failing(
        document_length=96,
        requests_completed=100_000,
        failed_length=50_000,
        failed_exceptions=9,
        responses_non_2xx=50_000,
        keep_alive_requests=50_000,
        bytes_html=50_000 * 96,
        bytes_transferred=50_000 * 265,
    )
    length, reliable = found(of)
    assert cause(of) == "unclear"
    assert "closed the connection without an answer, as it may between two requests" in length.text
    # Error pages without a body would be counted so, too.
    assert good(of) == (0, 50_000)
    assert reliable.text.startswith("Most likely 0 % good (0 of 100000)")


@pytest.mark.parametrize("bodies", [4 * 207 + 996 * 1542 + 1, 4 * 207 + 400 * 1542 + 196 * 1000])
def test_a_division_that_leaves_a_rest_claims_no_artefact(bodies: int) -> None:
    """
    Some of the others may have received nothing, or less.
    """
    of = failing(document_length=207, failed_length=996, responses_non_2xx=4, bytes_html=bodies)
    assert cause(of) == "unclear"
    assert good(of) == (0, 996)
    length, reliable = found(of)
    assert "good answers after a first response that was one of the 4 non-2xx" in length.text
    assert "(0 to 996 of 1000; 996 if all length failures are good)" in reliable.text


def test_closings_of_kept_connections_are_no_good_answers() -> None:
    """
    After two error pages, every second request is closed: half of the length failures are good.
    """
    of = failing(
        document_length=207,
        failed_length=998,
        responses_non_2xx=2,
        keep_alive_requests=501,
        bytes_html=2 * 207 + 499 * 1542,
    )
    assert (cause(of), good(of)) == ("unclear", (0, 998))
    kept = dataclasses.replace(of, keep_alive_requests=990, bytes_html=2 * 207 + 998 * 1542)
    assert (cause(kept), good(kept)) == ("first_response", (998, 998))


def test_errors_in_a_pattern_claim_no_artefact() -> None:
    """
    An error, a good answer and a closed connection in turn: half of the failures had no byte.
    """
    of = failing(
        requests_completed=519,
        document_length=180_009,
        failed_length=346,
        responses_non_2xx=173,
        bytes_html=173 * 180_009 + 173 * 90_000,
    )
    assert (cause(of), good(of)) == ("unclear", (0, 346))


def test_few_answers_divide_by_chance() -> None:
    """
    Twelve goods of twice the length and twelve closed connections have the same mean.
    """
    of = failing(
        requests_completed=25,
        document_length=20,
        failed_length=24,
        responses_non_2xx=1,
        bytes_html=20 + 24 * 100,
    )
    assert (cause(of), good(of)) == ("unclear", (0, 24))


@pytest.mark.parametrize(
    ("answered", "received"), [(999, (999, 999)), (473, (473, 473)), (0, (0, 0))]
)
def test_a_first_request_without_an_answer_is_found_by_the_length_zero(
    answered: int, received: tuple[int, int]
) -> None:
    """
    Whatever has a body is a length failure then, and good.
    """
    of = failing(
        document_length=0,
        failed_length=answered,
        bytes_html=answered * 45,
        bytes_transferred=answered * 352,
    )
    assert good(of) == received
    assert cause(of) == ("first_empty" if answered else "none")
    if not answered:
        assert found(of)[1].text == "0 % good: nothing was received for any of 1000 requests."


def test_a_good_answer_before_a_reset_is_not_among_the_length_failures() -> None:
    """
    The reset takes its place as the reference: 998 length failures, 999 good answers.
    """
    of = failing(
        document_length=0,
        failed_length=998,
        failed_receive=1,
        bytes_html=999 * 45,
        bytes_transferred=999 * 352,
    )
    assert good(of) == (999, 999)


@pytest.mark.parametrize(
    ("length", "non_2xx", "bodies", "expected", "limits"),
    [
        (0, 4, 0, "none", (996, 996)),
        (767, 767, 767 * 173, "error_answers", (0, 233)),
        (4, 4, 4 * 20, "unclear", (992, 996)),
        (10, 4, 10 * 20, "unclear", (0, 996)),
        (900, 0, 900 * 46 + 7, "varying", (0, 1000)),
        (900, 0, 40, "varying", (100, 1000)),
    ],
)
def test_what_length_failures_are(
    length: int, non_2xx: int, bodies: int, expected: str, limits: tuple[int, int]
) -> None:
    """
    Error pages, which count once, pages that vary, or one of both.
    """
    of = failing(
        failed_length=length,
        responses_non_2xx=non_2xx,
        bytes_html=(1000 - length) * 45 + bodies,
        bytes_transferred=None,
    )
    assert (cause(of), good(of)) == (expected, limits)
    if expected == "error_answers":
        old = found(dataclasses.replace(of, version="2.0.40-dev"))[0]
        assert "767 length failures perhaps are the 767 non-2xx" in old.text
        assert "767 length failures most likely are the 767 non-2xx" in found(of)[0].text
        assert found(of)[1].text.startswith("Most likely 23.3 % good (233 of 1000); the counts")


def test_longer_answers_make_the_first_one_suspect() -> None:
    """
    Both readings are said: the first one was whole, or it was cut short.
    """
    of = failing(failed_length=7, bytes_html=993 * 45 + 7 * 60)
    assert found(of)[1].text.startswith(
        "99.3 % to 100 % good (993 to 1000 of 1000); if the first response was itself cut short, "
        "the good ones are among the 7 answers of another length"
    )
    shorter = failing(failed_length=7, bytes_html=993 * 45 + 7)
    assert "if the first response" not in found(shorter)[1].text


def test_a_missing_line_widens_the_range() -> None:
    """
    How many were non-2xx is not known, so that none may have been good.
    """
    assert good(output(responses_non_2xx=None, bytes_transferred=None)) == (0, 1000)
    only_a_head = AbOutput(requests_completed=1000, document_length=45)
    (not_checked,) = reliability(only_a_head)
    assert not_checked.values["missing"] == ["Failed requests"]


@pytest.mark.parametrize(
    "line", ["Total transferred: 352000 bytes", "HTML transferred: 45000 bytes"]
)
def test_a_line_after_the_non_2xx_proves_that_there_were_none(line: str) -> None:
    """
    Either is printed after them, and one of both may be missing.
    """
    (read,) = read_outputs(["Complete requests: 1000", "Failed requests: 0", line])
    assert read.responses_non_2xx == 0
    assert read.keep_alive is False


def test_lengths_that_were_not_compared_hide_closed_connections() -> None:
    """
    With -l, only kept connections prove answers, or equal bytes for all after a wait.

    Every second connection closed without a byte has equal bytes for all, too.
    """
    free = output(document_length=None, document_length_variable=True)
    assert good(free) == (0, 1000)
    waited = {"waiting": {"min": Printed(1, 0.5)}}
    assert good(dataclasses.replace(free, connection_times_ms=waited)) == (1000, 1000)
    varied = dataclasses.replace(free, bytes_html=45_001, connection_times_ms=waited)
    length, reliable = found(varied)
    assert length.text == "Lengths were not compared (-l)."
    assert good(varied) == (0, 1000)
    assert reliable.severity is Severity.NOTE
    assert reliable.text == (
        "0 % to 100 % good (0 to 1000 of 1000): each request received something, but an answer "
        "that is cut short is no failure here."
    )
    assert good(dataclasses.replace(varied, keep_alive_requests=990, responses_non_2xx=3)) == (
        987,
        997,
    )


def test_sums_of_bytes_that_began_again_decide_nothing() -> None:
    """
    Before 2.2.9 they may have 32 bits.
    """
    of = failing(version="2.0.40-dev", document_length=4_000_000, failed_length=5, bytes_html=1_000)
    assert good(of) == (0, 1000)
    assert "995 to 1000 of 1000" in found(of)[1].text


def test_bytes_after_the_last_request_prove_no_answer_before_it() -> None:
    """
    Before 2.2.9, kept connections have more answers than complete requests.
    """
    of = failing(
        version="2.0.40-dev",
        keep_alive_requests=599,
        concurrency=11,
        failed_receive=None,
        failed_length=409,
        bytes_html=593 * 45,
        bytes_transferred=593 * 352,
    )
    assert good(of) == (591, 593)


@pytest.mark.parametrize(
    ("length", "failed", "non_2xx", "bodies", "limits"),
    [
        (0, 999, 0, 999 * 45, (988, 999)),
        (20, 997, 3, 3 * 20 + 997 * 45, (986, 997)),
        (45, 211, 211, 789 * 45 + 211 * 20, (578, 800)),
    ],
)
def test_length_failures_after_the_last_request_are_of_kept_connections(
    length: int, failed: int, non_2xx: int, bodies: int, limits: tuple[int, int]
) -> None:
    """
    Before 2.2.9, at most one each, whatever the failures are.
    """
    of = failing(
        version="2.0.40-dev",
        keep_alive_requests=999,
        concurrency=11,
        document_length=length,
        failed_length=failed,
        responses_non_2xx=non_2xx,
        bytes_html=bodies,
        bytes_transferred=999 * 352,
    )
    assert good(of) == limits
    assert good(dataclasses.replace(of, version="2.3"))[0] in limits


def test_answers_that_all_ended_in_a_reset_are_not_good() -> None:
    """
    The first request is the reference of length 0; all others have bodies of one length.
    """
    of = failing(
        document_length=0,
        failed_length=1000,
        failed_receive=1000,
        bytes_html=1000 * 45,
        bytes_transferred=1000 * 352,
        concurrency=16,
    )
    assert good(of)[0] == 0


def test_heads_that_were_cut_off_are_no_answers() -> None:
    """
    17 bytes each hold no status and a header.
    """
    waited = {"waiting": {"min": Printed(1, 0.5)}}
    of = output(
        document_length=0, bytes_html=0, bytes_transferred=17_000, connection_times_ms=waited
    )
    assert good(of) == (0, 1000)


def test_the_trunk_counts_a_failed_request_once_and_compares_no_lengths() -> None:
    """
    Its failures have no kind, so that their sum is smaller than their number.
    """
    of = output(workers=1, requests_failed=9, responses_non_2xx=11, bytes_html=991 * 45)
    assert good(of) == (980, 989)
    assert found(of)[0].text == "Lengths were not compared; the trunk of ab never does."
    assert good(dataclasses.replace(of, bytes_html=991 * 45 - 1))[0] == 0


@pytest.mark.parametrize(
    ("seconds", "longest_ms", "requests", "cut"),
    [
        (0.9, 100, 737, False),
        (4.05, 100, 737, True),
        (4.5, 100, 737, False),
        (4.05, 100, 750, True),
        (4.05, 100, 700, False),
        (4.05, 100, 7500, False),
    ],
)
def test_requests_under_way_count_only_where_a_time_limit_may_have_ended_the_run(
    seconds: float, longest_ms: int, requests: int, *, cut: bool
) -> None:
    """
    A limit has whole seconds, and a round number of requests was asked for.
    """
    of = output(
        requests_completed=requests,
        bytes_html=45 * requests,
        bytes_transferred=352 * requests,
        responses_non_2xx=4,
        duration_s=Printed(seconds, 0.0005),
        percentiles_ms={100: Printed(longest_ms, 0.5)},
    )
    assert may_be_cut(of) is cut
    assert good(of) == (requests - 4, requests if cut else requests - 4)
    assert may_be_cut(dataclasses.replace(of, interrupted=True))


def test_nearly_all_is_not_all() -> None:
    """
    One failure in a million is not rounded to 100 %.
    """
    of = output(
        requests_completed=10**6, responses_non_2xx=1, bytes_html=45 * 10**6, bytes_transferred=None
    )
    assert "more than 99.99 % good (999999 of 1000000)" in found(of)[1].text


def test_failed_requests_that_are_the_error_answers_are_not_said_to_omit_them() -> None:
    """
    Where as many lengths differ as there are error answers, they are most likely the same.
    """
    same = failing(requests_failed=50, failed_length=50, responses_non_2xx=50)
    assert "omits" not in found(same)[1].text
    fewer = failing(requests_failed=20, failed_length=20, responses_non_2xx=50)
    assert "omits non-2xx (at least 30 of 50)" in found(fewer)[1].text
    none = output(responses_non_2xx=50)
    assert "“Failed requests” (0) omits non-2xx (50)" in found(none)[1].text


def test_kinds_of_failures_may_be_of_different_requests() -> None:
    """
    One is counted twice for certain only if there are more failures than bad answers.
    """
    apart = failing(failed_receive=30, failed_length=50, bytes_html=950 * 45 + 11, concurrency=1)
    assert "“Failed requests” (80) may count one request under several" in found(apart)[1].text
    silent = {"bytes_html": 473 * 45, "bytes_transferred": 473 * 352}
    twice = failing(failed_receive=527, failed_length=527, **silent)
    assert "“Failed requests” (1054) counts one request under several" in found(twice)[1].text


def without_bodies(others: int, heads: int, **changes: Any) -> AbOutput:  # noqa: ANN401 - as above
    """
    So many length failures without a body, with so many bytes of heads among them all.
    """
    return failing(
        failed_length=others,
        bytes_html=(1000 - others) * 45,
        bytes_transferred=(1000 - others) * 352 + heads,
        **changes,
    )


WAITED = {"waiting": {"min": Printed(3, 0.5)}}
"""Every request waited for a first byte, so that each received one."""

NO_BODY = "had no body: answers with a status and no body (such as 204), or cut short there"
SILENT = "or requests that received nothing (the server closed the connection without an answer"


@pytest.mark.parametrize(
    ("of", "words", "likely"),
    [
        (
            without_bodies(700, 700 * 150, responses_non_2xx=700),
            "(204, or up to 700 non-2xx)",
            None,
        ),
        (
            without_bodies(1, 133, responses_non_2xx=1),
            (
                "an answer with a status and no body (204, or up to 1 non-2xx), or a request that "
                "received nothing (the server closed the connection without an answer)."
            ),
            None,
        ),
        (
            without_bodies(30, 2660, responses_non_2xx=20, failed_receive=10),
            "(204, or up to 20 non-2xx), or requests that received nothing",
            None,
        ),
        (without_bodies(700, 10, connection_times_ms=WAITED), NO_BODY, None),
        (without_bodies(10, 0, failed_exceptions=10), SILENT, None),
        (
            without_bodies(500, 0, responses_non_2xx=500, keep_alive_requests=500),
            "most likely 500 requests received nothing",
            0,
        ),
        (
            without_bodies(40, 0, keep_alive_requests=960),
            "most likely 40 requests received nothing",
            960,
        ),
        (without_bodies(40, 7, keep_alive_requests=960), "(such as 204), or requests that", None),
        (without_bodies(40, 0), "(such as 204), or requests that", None),
        (without_bodies(500, 0, responses_non_2xx=500), "(204, or up to 500 non-2xx), or", None),
        (
            without_bodies(700, 0, failed_receive=700),
            "most likely 700 requests received nothing: their connections were reset or refused",
            300,
        ),
        (without_bodies(700, 0, failed_receive=7), "or it was reset (Receive: 7)), or both", None),
        (without_bodies(3, 0, connection_times_ms=WAITED), NO_BODY, None),
    ],
)
def test_empty_pages_are_told_from_requests_that_received_nothing(
    of: AbOutput, words: str, likely: int | None
) -> None:
    """
    By a wait for each first byte, or by connections that were kept; else both readings are said.
    """
    length, reliable = found(of)
    assert words in length.text
    assert reliable.values["good_most_likely"] == likely


@pytest.mark.parametrize(
    "sends_nothing", [{"failed_exceptions": 10}, {"tls_protocol": "TLSv1.3,…"}]
)
def test_who_has_sent_nothing_has_the_waiting_time_of_the_request_before(
    sends_nothing: dict[str, Any],
) -> None:
    """
    So a wait proves no answer where connections were refused, or where TLS may have failed.
    """
    of = without_bodies(10, 0, connection_times_ms=WAITED, **sends_nothing)
    assert SILENT in found(of)[0].text
    free = output(
        document_length=None,
        document_length_variable=True,
        connection_times_ms=WAITED,
        **sends_nothing,
    )
    assert good(free)[0] == 0


def test_a_first_response_without_a_body_makes_all_others_fail() -> None:
    """
    The only non-2xx is the reference of length 0. Where bodies vary, that is perhaps so.
    """
    first = failing(
        document_length=0,
        failed_length=999,
        responses_non_2xx=1,
        bytes_html=999 * 45,
        bytes_transferred=999 * 352 + 150,
    )
    length, reliable = found(first)
    assert (cause(first), good(first)) == ("first_response", (999, 999))
    assert "here the only non-2xx (0 bytes)" in length.text
    assert reliable.text.startswith("99.9 % good (999 of 1000)")
    length, reliable = found(dataclasses.replace(first, bytes_html=999 * 45 + 1))
    assert "one of the first requests (perhaps the only non-2xx) got no body" in length.text
    assert reliable.text.startswith(
        "0 % to 99.9 % good (0 to 999 of 1000; 999 if all length failures are good)"
    )


def test_the_bytes_prove_that_no_length_failed() -> None:
    """
    Where the line with the kinds of failures cannot be read.
    """
    of = output(requests_failed=None, failed_receive=None, failed_length=None)
    length, _ = found(of)
    assert length.severity is Severity.OK
    assert length.text == (
        "No request failed by its length: all have the document length, by the bytes transferred."
    )
    unknown = found(dataclasses.replace(of, bytes_html=45_001))[0]
    assert unknown.text.startswith("Up to 1000 requests failed by the length")


def test_tls_handshakes_that_failed_before_the_first_answer_are_not_good() -> None:
    """
    Their length 0 is compared with 0, so that ab counts them nowhere.
    """
    of = output(tls_protocol="TLSv1.3,…", bytes_html=997 * 45, bytes_transferred=997 * 352)
    assert good(of) == (997, 997)


def test_answers_without_a_body_have_no_length_in_common() -> None:
    """
    As after HEAD; and one that was cut short would not show.
    """
    head = output(
        document_length=0, bytes_html=0, bytes_transferred=307_000, connection_times_ms=WAITED
    )
    assert found(head)[1].text == (
        "100 % good: each of 1000 requests had an answer with status 2xx and no body (whether that "
        "is all of it, ab does not check)."
    )
    varied = found(dataclasses.replace(head, bytes_transferred=307_001))[1]
    assert varied.text == (
        "0 % to 100 % good (0 to 1000 of 1000): each request received something, but an answer "
        "that is cut short is no failure here."
    )


@pytest.mark.parametrize(
    ("html", "transferred", "fits"),
    [
        (973 * 46, 973 * 359, "; the bytes fit 973 equal answers"),
        # 991 answers of 797 bytes, or 797 of 991.
        (991 * 797, 991 * 797 * 2, ""),
        (973 * 46 + 1, 973 * 359, ""),
    ],
)
def test_equal_answers_are_counted_by_the_bytes_where_no_length_is_compared(
    html: int, transferred: int, fits: str
) -> None:
    """
    With -l, where one number alone divides them; but answers that differ may have the same bytes.
    """
    of = output(
        document_length=None,
        document_length_variable=True,
        bytes_html=html,
        bytes_transferred=transferred,
    )
    assert found(of)[1].severity is Severity.NOTE
    assert found(of)[1].text == (
        f"0 % to 100 % good (0 to 1000 of 1000{fits}): no failure was counted, but here a "
        "connection that is closed without an answer, or amid one, is none either."
    )


def test_fewer_bytes_than_heads_need_are_of_fewer_answers() -> None:
    """
    Each answer has a status line, also where no length is compared, and where all have length 0.
    """
    few = {"bytes_html": 0, "bytes_transferred": 5_000, "responses_non_2xx": 10}
    for of in (
        output(document_length=0, **few),
        output(document_length=None, document_length_variable=True, **few),
    ):
        assert good(of) == (0, 5_000 // 17 - 10)
        assert "the bytes transferred are too few for the heads of more" in found(of)[1].text
    reset = without_bodies(40, -960 * 291, failed_receive=40, concurrency=1)
    assert good(reset) == (0, 960 * 16 // 17)
    assert "ost likely" not in found(reset)[0].text + found(reset)[1].text
    impossible = output(document_length=0, bytes_html=5_001, bytes_transferred=5_000)
    assert good(impossible) == (0, 1000)


def test_the_trunk_counts_who_received_nothing_and_not_who_received_too_little() -> None:
    """
    Without keep-alive, it does not look at the announced length.
    """
    of = output(workers=1, bytes_html=45_000 - 1)
    assert found(of)[1].text == (
        "0 % to 100 % good (0 to 1000 of 1000): no failure was counted, but here an answer that is "
        "cut short is none either."
    )
    waits = {"waiting": {"min": Printed(0, 0.5), "median": Printed(18, 0.5)}}
    assert found(dataclasses.replace(of, connection_times_ms=waits))[1] == found(of)[1]


def test_the_length_of_all_answers_is_known_to_be_whole_on_kept_connections_only() -> None:
    """
    It reads a kept connection up to the announced length, and any other up to its end.
    """
    assert "(whether that is all of it, ab does not check)" in found(output())[1].text
    assert "check" not in found(output(keep_alive_requests=1000))[1].text


def test_all_readings_that_the_counts_allow_are_named() -> None:
    """
    As many good answers as error pages: either may have the document's length.
    """
    of = failing(failed_length=500, responses_non_2xx=500, bytes_html=500 * 45 + 499 * 77)
    length, reliable = found(of)
    assert (
        "With 500 non-2xx, they may be the 500 non-2xx, good answers after a first response that "
        "was one of the 500 non-2xx, pages that vary, or answers that were cut short or did not"
    ) in length.text
    assert "500 if all length failures are non-2xx or all are good" in reliable.text
    most = failing(
        document_length=12,
        failed_length=100,
        responses_non_2xx=900,
        bytes_html=900 * 12 + 100 * 5000,
        bytes_transferred=900 * 300 + 100 * 6000,
    )
    assert "good answers after a first response that was one of the 900" in found(most)[0].text
    assert "100 if all length failures are good" in found(most)[1].text
    mixed = failing(failed_length=60, responses_non_2xx=30, bytes_html=940 * 45 + 60 * 7)
    assert (
        "they may be error pages, good answers after a first response that was an error, pages"
        in found(mixed)[0].text
    )


def test_old_versions_count_non_2xx_after_the_last_request() -> None:
    """
    Before 2.2.9, one more request may be under way on each connection, also without keep-alive.
    """
    assert good(output(version="2.0.40-dev", responses_non_2xx=52)) == (948, 958)


def test_a_wait_of_nothing_among_long_ones_may_be_a_request_that_received_nothing() -> None:
    """
    Where no length is compared and the bytes do not decide; they may be of fewer answers.
    """
    waits = {"waiting": {"min": Printed(0, 0.5), "median": Printed(18, 0.5)}}
    of = output(document_length=None, document_length_variable=True, connection_times_ms=waits)
    # 1000 answers of 980 bytes, or 980 of 1000.
    for html in (980_000, 980_001):
        said = found(dataclasses.replace(of, bytes_html=html, bytes_transferred=1_176_000))[1]
        assert said.text.startswith("0 % to 100 % good (0 to 1000 of 1000): the least waiting time")
        assert said.severity is Severity.WARNING
    fast = {"waiting": {"min": Printed(0, 0.5), "median": Printed(1, 0.5)}}
    quick = found(dataclasses.replace(of, connection_times_ms=fast))[1]
    assert quick.severity is Severity.NOTE


def test_one_is_said_as_one() -> None:
    """
    One error page, and one answer of another length.
    """
    one = failing(failed_length=1, responses_non_2xx=1, bytes_html=999 * 45 + 20)
    assert "it may be the only non-2xx, a good answer after" in found(one)[0].text
    first = failing(failed_length=999, responses_non_2xx=1, bytes_html=45 + 999 * 1542)
    assert "here the only non-2xx (45 bytes)" in found(first)[0].text
    other = found(failing(failed_length=1, bytes_html=999 * 45 + 20))[0]
    assert other.text.startswith("1 length failure: another length than the first response")
