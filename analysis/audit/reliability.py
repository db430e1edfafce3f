"""
How many requests were answered well, in words: ``account`` computes what is said here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.account import Account, Cause, account_of
from analysis.audit.findings import Finding, Severity, not_made, share
from analysis.formatting import count

if TYPE_CHECKING:
    from experiments.records.ab.output import AbOutput

NEEDED = ("Failed requests", "Document Length")


def reliability(output: AbOutput) -> list[Finding]:
    """
    What the length failures are, and how many requests were answered well.
    """
    if output.requests_completed == 0:
        return [Finding("reliability", Severity.ERROR, "No request was completed.")]
    missing = output.requests_failed is None and (
        output.document_length is None or output.bytes_html is None
    )
    if missing:
        return [not_made("reliability", [one for one in NEEDED if output.labelled(one) is None])]
    account = account_of(output)
    return [_length(output, account), _good(output, account)]


def _length(output: AbOutput, account: Account) -> Finding:
    values = {
        "cause": account.cause.value,
        "failed_length": output.failed_length,
        "responses_non_2xx": output.responses_non_2xx,
        "requests_completed": account.complete,
        "other_mean_bytes": _mean_bytes(account),
    }
    if account.cause is Cause.NOT_COMPARED:
        why = "-l" if output.document_length_variable else "this version does not"
        return Finding("length", Severity.OK, f"Lengths were not compared ({why}).", values)
    if account.cause is Cause.NONE:
        return Finding("length", Severity.OK, "No request failed by its length.", values)
    return Finding("length", Severity.WARNING, _cause_in_words(output, account), values)


def _mean_bytes(account: Account) -> float | None:
    """
    The mean length of the others, or of those with a body if their number is known.
    """
    others, length = account.alike or account.length.exact, account.length.exact
    if account.html is None or account.reference is None or not others or length is None:
        return None
    bodies = account.html - account.reference * (account.complete - length)
    return bodies / others if bodies >= 0 else None


def _cause_in_words(output: AbOutput, account: Account) -> str:
    length, non_2xx, mean = account.length.exact, output.responses_non_2xx, _mean_bytes(account)
    if length is None:
        return (
            f"Up to {count(account.length.most, 'request')} failed by the length: the line with "
            "the kinds of failures is missing."
        )
    failures = count(length, "length failure")
    if account.reference is None:
        return f"{failures}: the line “Document Length” is missing, which would help to tell why."
    if account.cause is Cause.UNANSWERED:
        return f"By the bytes transferred, {_without_a_body(output, account)}."
    if mean == 0:
        return f"The {failures} had no body: most likely {_without_a_body(output, account)}."
    if account.cause is Cause.FIRST_RESPONSE:
        text = (
            f"Artefact: the {failures} are the good answers ({mean:g} bytes each), because ab "
            f"compares all lengths with the first response, here one of the {non_2xx} non-2xx "
            f"({account.reference} bytes)"
        )
    elif account.cause is Cause.ERROR_ANSWERS:
        text = (
            f"The {failures} are the {non_2xx} non-2xx, which count once: error pages of {mean:g} "
            f"bytes, where the reference has {account.reference}"
        )
    elif account.cause is Cause.FIRST_EMPTY:
        text = (
            f"The document length is 0, because one of the first requests got no body: all answers "
            f"with a body differ from that ({failures}{_average(mean)})"
        )
    else:
        text = _undecided(length, non_2xx, account)
    return f"{text}. Run again with -l."


def _undecided(length: int, non_2xx: int | None, account: Account) -> str:
    failures = count(length, "length failure")
    differ = (
        f"{failures}: other lengths than the first response ({account.reference} bytes)"
        f"{_average(_mean_bytes(account))}"
    )
    if non_2xx is None:
        return f"{differ}. How many were non-2xx is not known"
    if non_2xx == 0:
        return (
            f"{differ}. No answer was non-2xx, but ab cannot tell dynamic pages from answers that "
            "were cut short or did not come"
        )
    if account.likely == length != non_2xx:
        return (
            f"{differ}. Most likely they are the good answers and the first response was one of "
            f"the {non_2xx} non-2xx, as {length} + {non_2xx} = {account.complete}"
        )
    if non_2xx == length:
        return (
            f"{differ}. Most likely they are the {non_2xx} non-2xx, which count once: error pages "
            "of another length"
        )
    return (
        f"{differ}. With {non_2xx} non-2xx, the lengths vary among the good answers, among the "
        "errors, or some requests got no answer"
    )


def _average(mean: float | None) -> str:
    return "" if mean is None else f", {mean:.6g} bytes on average"


def _without_a_body(output: AbOutput, account: Account) -> str:
    """
    What became of the requests that received nothing.
    """
    answers = account.alone or account.complete - account.length.most
    number = account.complete - answers
    errors = min(account.errors.most, number)
    requests = count(number, "request")
    if errors == number:
        how = "its connection was" if number == 1 else "their connections were"
        return f"{requests} received nothing: {how} reset or refused (Receive)"
    how = "the server closed the connection without an answer"
    if output.keep_alive:
        how += ", as it may between two requests on a kept one (-k)"
    if errors:
        how += f", or it was reset (Receive: {output.failed_receive})"
    elif output.failed_exceptions:
        how += f", or it was reset (Exceptions: {output.failed_exceptions})"
    return f"{requests} received nothing: {how}"


def _good(output: AbOutput, account: Account) -> Finding:
    complete, good, failed = account.complete, account.good, output.requests_failed
    values = {
        "requests_completed": complete,
        "as_printed": None if failed is None else max(0, complete - failed),
        "good_at_least": good.least,
        "good_at_most": good.most,
        "good_most_likely": account.likely,
    }
    severity, text = Severity.WARNING, f"{_in_words(account)}{_about_failed(output, account)}."
    if account.transferred == 0:
        each = "the only request" if complete == 1 else f"any of {complete} requests"
        text = f"0 % good: nothing was received for {each}."
    elif good.exact == complete and not failed:
        each = "the request" if complete == 1 else f"each of {complete} requests"
        same = " and the same length" if account.compared and complete > 1 else ""
        text = f"100 % good: {each} had an answer with status 2xx{same}."
        severity = Severity.OK
    elif account.likely == complete and not failed:
        text = (
            f"{_in_words(account)}: no failure was counted, but here a connection that is closed "
            "without an answer is none either."
        )
        severity = Severity.NOTE
    return Finding("reliability", severity, text, values)


def _about_failed(output: AbOutput, account: Account) -> str:
    """
    In what “Failed requests” is not the number of bad ones.
    """
    failed, length, non_2xx = output.requests_failed, output.failed_length, output.responses_non_2xx
    if failed is None:
        return ""
    about = []
    kinds = (output.failed_receive, length, output.failed_exceptions)
    if sum(map(bool, kinds)) > 1:
        about.append("counts one request under several kinds")
    if length and account.good.most > account.complete - length:
        about.append(f"includes differing lengths ({length})")
    the_same = length is not None and account.likely == account.complete - length
    if non_2xx != 0 and not (the_same and non_2xx == length):
        about.append(f"omits non-2xx ({'not known here' if non_2xx is None else non_2xx})")
    *others, last = about or [""]
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"; “Failed requests” ({failed}) {listed}" if listed else ""


def _in_words(account: Account) -> str:
    """
    The range of good answers, the most likely number first.
    """
    complete, whole, likely = account.complete, account.good_if_first_is_whole, account.likely
    if account.good.exact is not None:
        return f"{share(whole.least, complete)} good ({whole.least} of {complete})"
    limits = f"{share(whole.least, complete)} to {share(whole.most, complete)}"
    numbers = f"{whole.least} to {whole.most} of {complete}"
    if likely is None:
        shown = f"{limits} good ({numbers})"
    else:
        shown = (
            f"Most likely {share(likely, complete)} good ({likely} of {complete}); the counts "
            f"allow {limits} ({numbers})"
        )
    if account.may_be_cut_short:
        longer = count(account.others.most, "answer")
        shown += f" if the first response was whole, else at most {longer} of another length"
    return shown
