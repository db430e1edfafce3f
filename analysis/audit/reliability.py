"""
How many requests were answered well, in words: ``account`` computes what is said here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.account import Account, Cause, account_of
from analysis.audit.findings import Finding, Severity, listed, not_made, share
from analysis.formatting import count

if TYPE_CHECKING:
    from experiments.records.ab.output import AbOutput

NEEDED = ("Failed requests", "Document Length")


def reliability(output: AbOutput) -> list[Finding]:
    """
    What the length failures are, and how many requests were answered well.
    """
    if output.requests_completed is None:
        return [not_made("reliability", ["Complete requests"])]
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
        proof = ""
        if account.length.exact is None:
            proof = ": all have the document length, by the bytes transferred"
        return Finding("length", Severity.OK, f"No request failed by its length{proof}.", values)
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
        number = account.complete - (account.alone or 0)
        return f"By the bytes transferred, {_nothing(number, output, account)}."
    if account.bodiless:
        the = "The only length failure" if length == 1 else f"The {failures}"
        return f"{the} had no body: {_without_a_body(output, account)}."
    if account.cause is Cause.FIRST_RESPONSE:
        text = (
            f"Artefact: the {failures} are the good answers ({mean:g} bytes each), because ab "
            f"compares all lengths with the first response, here {_one_of(non_2xx)} "
            f"({count(account.reference, 'byte')})"
        )
    elif account.cause is Cause.ERROR_ANSWERS:
        text = (
            f"The {failures} {_are_the(non_2xx)}: error pages of {mean:g} bytes, where the "
            f"reference has {account.reference}"
        )
    elif account.cause is Cause.FIRST_EMPTY:
        whose = "one of the first requests"
        if account.matching_are_non_2xx:
            whose = f"the first response, most likely {_one_of(non_2xx)},"
        text = (
            f"The document length is 0, because {whose} got no body: all answers with a body "
            f"differ from that ({failures}{_average(mean)})"
        )
    else:
        text = _undecided(length, non_2xx, account)
    return f"{text}. Run again with -l."


def _one_of(non_2xx: int | None) -> str:
    return "the only non-2xx" if non_2xx == 1 else f"one of the {non_2xx} non-2xx"


def _are_the(non_2xx: int | None) -> str:
    return "is the only non-2xx" if non_2xx == 1 else f"are the {non_2xx} non-2xx"


def _undecided(length: int, non_2xx: int | None, account: Account) -> str:
    failures = count(length, "length failure")
    lengths = "another length" if length == 1 else "other lengths"
    differ = (
        f"{failures}: {lengths} than the first response ({count(account.reference or 0, 'byte')})"
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
            f"{differ}. Most likely they are the good answers and the first response was "
            f"{_one_of(non_2xx)}, as {length} + {non_2xx} = {account.complete}"
        )
    if non_2xx == length:
        they = "it" if length == 1 else "they"
        return f"{differ}. Most likely {they} {_are_the(non_2xx)}: error pages of another length"
    return (
        f"{differ}. With {non_2xx} non-2xx, the lengths vary among the good answers, among the "
        "errors, or some requests got no answer"
    )


def _average(mean: float | None) -> str:
    return "" if mean is None else f", {mean:.6g} bytes on average"


def _without_a_body(output: AbOutput, account: Account) -> str:
    """
    What the length failures are, none of which has a body.
    """
    length, non_2xx = account.length.most, output.responses_non_2xx
    nothing = _nothing(length, output, account)
    if pages := account.empty_pages(length):
        which = f"{pages} of them" if pages < length else "it" if length == 1 else "they"
        error = "an error page" if pages == 1 else "error pages"
        rest = f", and {_nothing(length - pages, output, account)}" if pages < length else ""
        return f"most likely {which} {_are_the(pages)}, {error} without a body{rest}"
    empty = "answers with a status and no body (such as 204)"
    among = f", up to {min(non_2xx, length)} of them non-2xx" if non_2xx else ""
    if account.none_silent and account.as_if_silent:
        return f"by the bytes, {nothing}; by the waiting times, {empty}"
    if account.none_silent:
        return f"{empty}{among}, or cut short there, as each request waited for a first byte"
    if account.likely is not None:
        return f"most likely {nothing}"
    return f"{empty}{among}, or {nothing}"


def _nothing(number: int, output: AbOutput, account: Account) -> str:
    """
    That so many requests received nothing, and why.
    """
    errors = min(account.errors.most, number)
    requests = count(number, "request")
    if errors == number:
        how = "its connection was" if number == 1 else "their connections were"
        return f"{requests} received nothing: {how} reset or refused (Receive)"
    how = "the server closed the connection without an answer"
    if output.keep_alive:
        how += ", as it may between two requests on a kept one (-k)"
    if output.tls_protocol:
        how += ", or TLS failed"
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
        same = " and no body" if account.html == 0 else same
        text = f"100 % good: {each} had an answer with status 2xx{same}."
        severity = Severity.OK
    elif account.likely == complete and not failed:
        text = f"{_in_words(account)}: no failure was counted, but here "
        text += "a connection that is closed without an answer is none either."
        if account.none_silent:
            text = (
                f"Most likely 100 % good: each of {complete} requests got an answer, and none was "
                "non-2xx. But an answer that is cut short is no failure here."
            )
        severity = Severity.NOTE
    elif account.perhaps_silent and account.likely is None and not failed:
        text = (
            f"{_in_words(account)}: the least waiting time is 0 ms, far from the median, so that "
            "some requests may have received nothing. That is no failure here."
        )
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
        unknown = "may omit non-2xx, as the lines that would tell are missing"
        about.append(unknown if non_2xx is None else f"omits non-2xx ({non_2xx})")
    return f"; “Failed requests” ({failed}) {listed(about)}" if about else ""


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
        equal, why = account.equal_answers, ""
        if equal is not None and equal < complete:
            why = f", as the bytes are those of {equal} equal answers"
        shown = (
            f"Most likely {share(likely, complete)} good ({likely} of {complete}){why}; the counts "
            f"allow {limits} ({numbers})"
        )
    if account.may_be_cut_short:
        longer = count(account.others.most, "answer")
        shown += f" if the first response was whole, else at most {longer} of another length"
    return shown
