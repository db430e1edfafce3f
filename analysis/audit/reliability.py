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
        trunk = "" if output.document_length_variable else "; the trunk of ab never does"
        why = f"Lengths were not compared{trunk or ' (-l)'}."
        return Finding("length", Severity.OK, why, values)
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
        surely = "perhaps" if account.likely is None else "most likely"
        text = (
            f"The {failures} {surely} {_are_the(non_2xx)}: error pages of {mean:g} bytes, where "
            f"the reference has {account.reference}"
        )
    elif account.cause is Cause.FIRST_EMPTY:
        whose = f" (perhaps {_one_of(non_2xx)})" if account.matching_are_non_2xx else ""
        text = (
            f"The document length is 0, because one of the first requests{whose} got no body: all "
            f"answers with a body differ from that ({failures}{_average(mean)})"
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
    one = length == 1
    first_was = _one_of(non_2xx) if account.matching_are_non_2xx else "an error"
    good = (
        f"{'a good answer' if one else 'good answers'} after a first response that was {first_was}"
    )
    error = "an error page" if one else "error pages"
    if non_2xx == length:
        error = f"the {'only' if one else non_2xx} non-2xx"
    vary = "a page that varies" if one else "pages that vary"
    cut = "an answer that was cut short or did not come"
    cut = cut if one else "answers that were cut short or did not come"
    they = "it" if one else "they"
    return f"{differ}. With {non_2xx} non-2xx, {they} may be {error}, {good}, {vary}, or {cut}"


def _average(mean: float | None) -> str:
    return "" if mean is None else f", {mean:.6g} bytes on average"


def _without_a_body(output: AbOutput, account: Account) -> str:
    """
    What the length failures are, none of which has a body.
    """
    length, non_2xx = account.length.most, output.responses_non_2xx
    if account.likely is not None:
        return f"most likely {_nothing(length, output, account)}"
    one = length == 1
    pages = f"204, or up to {min(non_2xx, length)} non-2xx" if non_2xx else "such as 204"
    empty = f"{'an answer' if one else 'answers'} with a status and no body ({pages})"
    if account.none_silent:
        return f"{empty}, or cut short there, as each request waited for a first byte"
    nothing = f"{'a request' if one else 'requests'} that received nothing"
    both = "" if one else ", or both"
    return f"{empty}, or {nothing} ({_how(length, output, account)}){both}"


def _nothing(number: int, output: AbOutput, account: Account) -> str:
    """
    That so many requests received nothing, and why.
    """
    return f"{count(number, 'request')} received nothing: {_how(number, output, account)}"


def _how(number: int, output: AbOutput, account: Account) -> str:
    """
    How so many requests received nothing.
    """
    if account.errors.exact == number:
        how = "its connection was" if number == 1 else "their connections were"
        return f"{how} reset or refused (Receive)"
    how = "the server closed the connection without an answer"
    if output.keep_alive:
        how += ", as it may between two requests on a kept one (-k)"
    if output.tls_protocol:
        how += ", or TLS failed"
    if account.errors.most:
        how += f", or it was reset (Receive: {output.failed_receive})"
    elif output.failed_exceptions:
        how += f", or it was reset (Exceptions: {output.failed_exceptions})"
    return how


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
        # A kept connection is one on which the announced length came.
        whole = (output.keep_alive_requests or 0) >= complete
        check = "" if whole else " (whether that is all of it, ab does not check)"
        text = f"100 % good: {each} had an answer with status 2xx{same}{check}."
        severity = Severity.OK
    elif failed == 0 and good.exact is None and account.length.most == 0 and _may_hide(account):
        about = "" if not output.responses_non_2xx else _about_failed(output, account)
        text = f"{_in_words(account)}{about}: {_unseen(output, account)}."
        if good.most == complete and not account.perhaps_silent:
            severity = Severity.NOTE
    return Finding("reliability", severity, text, values)


def _may_hide(account: Account) -> bool:
    """
    Whether no length shows what is bad, and all non-2xx are known.
    """
    return not account.reference and account.non_2xx.exact is not None


def _unseen(output: AbOutput, account: Account) -> str:
    """
    What may be bad although no failure was counted.
    """
    if account.heads < account.complete:
        return "the bytes transferred are too few for the heads of more answers"
    if output.workers is not None:
        bad = "an answer that is cut short"
    elif account.none_silent:
        return "each request received something, but an answer that is cut short is no failure here"
    elif account.compared:
        bad = "a connection that is closed without an answer"
    else:
        bad = "a connection that is closed without an answer, or amid one,"
    if account.perhaps_silent:
        return (
            "the least waiting time is 0 ms, far from the median, so that some requests may have "
            "received nothing, which is no failure here"
        )
    return f"no failure was counted, but here {bad} is none either"


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
        counts = "counts" if failed > account.complete - account.good.least else "may count"
        about.append(f"{counts} one request under several kinds")
    if length and account.good.most > account.complete - length:
        about.append(f"includes differing lengths ({length})")
    if non_2xx is None:
        about.append("may omit non-2xx, as the lines that would tell are missing")
    elif non_2xx and account.cause is not Cause.ERROR_ANSWERS:
        omitted = non_2xx if account.cause is Cause.FIRST_RESPONSE else non_2xx - failed
        number = str(non_2xx) if omitted == non_2xx else f"at least {omitted} of {non_2xx}"
        about.append(
            f"omits non-2xx ({number})" if omitted > 0 else f"may omit non-2xx ({non_2xx})"
        )
    return f"; “Failed requests” ({failed}) {listed(about)}" if about else ""


def _readings(account: Account) -> str:
    """
    How many are good if the length failures are of one kind, where this fits the non-2xx.
    """
    non_2xx, length, good = account.non_2xx.exact, account.length.exact, account.good
    if account.equal_answers is not None:
        return f"; the bytes fit {account.equal_answers} equal answers"
    if not non_2xx or not length or account.errors.most or account.unfinished:
        return ""
    readings: dict[int, str] = {}
    if non_2xx == length:
        readings[account.complete - length] = "all length failures are non-2xx"
    if account.matching_are_non_2xx and not account.bodiless:
        either = readings.get(length)
        readings[length] = f"{either} or all are good" if either else "all length failures are good"
    return "".join(
        f"; {number} if {what}"
        for number, what in readings.items()
        if good.least <= number <= good.most
    )


def _in_words(account: Account) -> str:
    """
    The range of good answers, the most likely number first, and the readings with a number.
    """
    complete, whole, likely = account.complete, account.good_if_first_is_whole, account.likely
    if account.good.exact is not None:
        return f"{share(whole.least, complete)} good ({whole.least} of {complete})"
    limits = f"{share(whole.least, complete)} to {share(whole.most, complete)}"
    numbers = f"{whole.least} to {whole.most} of {complete}"
    shown = f"{limits} good ({numbers}{_readings(account)})"
    if likely is not None:
        shown = (
            f"Most likely {share(likely, complete)} good ({likely} of {complete}); the counts "
            f"allow {limits} ({numbers})"
        )
    if account.may_be_cut_short:
        others, known = account.others.most, account.others.exact is not None
        shown += (
            "; if the first response was itself cut short, the good ones are among "
            f"{'the' if known else 'up to'} {count(others, 'answer')} of another length"
        )
    return shown
