"""
How many requests were answered well: what ab counts as failed, what it omits, the corrected share.

ab takes the length of the first complete response as reference and counts every other length as a
failure, whatever the status of either (``support/ab.c``, ``close_connection``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made, share

if TYPE_CHECKING:
    from experiments.records.ab.output import AbOutput

RULE = (
    "ab takes the length of the first complete response as reference, whatever its status, and "
    "counts every other length as a failure."
)


class Cause(Enum):
    """
    The cause of the length failures.
    """

    NONE = "none"
    FIRST_RESPONSE = "first_response"
    ERROR_ANSWERS = "error_answers"
    VARYING = "varying"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Counts:
    """
    The counts of one output.

    ``failed_otherwise`` are failures to connect, to receive, and exceptions. ``good`` are the good
    answers if a length failure is none. ``failed_mean_bytes`` is the mean length of the length
    failures if all other answers have the reference length.
    """

    complete: int
    failed: int
    length: int
    non_2xx: int
    failed_otherwise: int
    good: int
    failed_mean_bytes: float | None


NEEDED = ("Complete requests", "Failed requests", "Length", "Non-2xx responses")


def reliability(output: AbOutput) -> list[Finding]:
    """
    The cause of the length failures, and the share of good answers as printed and corrected.
    """
    missing = [label for label in NEEDED if output.labelled(label) is None]
    if missing:
        return [not_made("reliability", missing)]
    complete, failed, length, non_2xx = map(output.labelled, NEEDED)
    if complete == 0:
        return [Finding("reliability", Severity.ERROR, "No request was completed.")]
    otherwise = max(0, failed - length)
    html, reference = output.bytes_html, output.document_length
    counts = Counts(
        complete=complete,
        failed=failed,
        length=length,
        non_2xx=non_2xx,
        failed_otherwise=otherwise,
        good=max(0, complete - non_2xx - otherwise),
        failed_mean_bytes=None
        if html is None or reference is None or length == 0
        else (html - reference * (complete - length)) / length,
    )
    cause = _cause(counts)
    return [_length(counts, cause, output), _share_of_good(counts, cause)]


def _cause(counts: Counts) -> Cause:
    if counts.length == 0:
        return Cause.NONE
    if counts.length > counts.complete or (counts.failed_mean_bytes or 0) < 0:
        return Cause.UNCLEAR
    if counts.non_2xx == 0:
        return Cause.VARYING
    if counts.length + counts.non_2xx == counts.complete:
        return Cause.FIRST_RESPONSE
    return Cause.ERROR_ANSWERS if counts.length == counts.non_2xx else Cause.UNCLEAR


def _length(counts: Counts, cause: Cause, output: AbOutput) -> Finding:
    length, non_2xx, complete = counts.length, counts.non_2xx, counts.complete
    values = {
        "cause": cause.value,
        "failed_length": length,
        "responses_non_2xx": non_2xx,
        "requests_completed": complete,
        "flagged_mean_bytes": counts.failed_mean_bytes,
    }
    bodies = ""
    if counts.failed_mean_bytes is not None:
        bodies = (
            f" By the bytes transferred, the length failures have {counts.failed_mean_bytes:.6g} "
            f"bytes on average, the reference has {output.document_length}."
        )
    if cause is Cause.NONE:
        text = "No request failed by its length."
        if output.document_length_variable:
            text = "Lengths were not compared (-l)."
        return Finding("length", Severity.OK, text, values)
    if cause is Cause.FIRST_RESPONSE:
        text = (
            f"Artefact: {length} length failures + {non_2xx} non-2xx = {complete}, all complete "
            f"requests. {RULE} So the first response was one of the {non_2xx} non-2xx, and the "
            f"{length} length failures are the good answers.{bodies}"
        )
    elif cause is Cause.ERROR_ANSWERS:
        text = (
            f"{length} length failures and as many non-2xx are most likely the same requests: "
            f"error pages of another length. They count once. {RULE}"
        )
    elif cause is Cause.VARYING:
        text = (
            f"{length} length failures and no non-2xx: every answer had a good status, but the "
            f"lengths differ. {RULE} Dynamic pages vary in length; ab cannot tell them from "
            f"truncated answers.{bodies}"
        )
    else:
        text = (
            f"{length} length failures and {non_2xx} non-2xx of {complete} requests do not match: "
            f"the lengths vary among the good answers or among the error answers. {RULE}"
        )
    return Finding("length", Severity.WARNING, f"{text} Run again with -l.", values)


def _share_of_good(counts: Counts, cause: Cause) -> Finding:
    complete, good = counts.complete, counts.good
    unclear = cause in {Cause.VARYING, Cause.UNCLEAR}
    least = max(0, good - counts.length) if unclear else good
    as_printed = max(0, complete - counts.failed)
    values = {
        "as_printed": as_printed / complete,
        "corrected": good / complete,
        "corrected_at_least": least / complete,
        "good": good,
        "requests_completed": complete,
    }
    if good == as_printed == least == complete:
        text = f"100 %: {complete} of {complete} answers were 2xx, none failed."
        return Finding("reliability", Severity.OK, text, values)
    shown = f"{share(good, complete)} ({good} of {complete})"
    if least < good:
        shown = f"between {share(least, complete)} and {shown}, which the lengths cannot decide"
    elif counts.failed_otherwise:
        shown = f"at least {shown}"
    text = (
        f"Good answers by “Failed requests”: {share(as_printed, complete)} ({as_printed} of "
        f"{complete}). Corrected: {shown}. “Failed requests” omits non-2xx ({counts.non_2xx} here) "
        f"and includes differing lengths ({counts.length} here)."
    )
    return Finding("reliability", Severity.WARNING, text, values)
