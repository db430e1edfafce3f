"""
How reliable the server was: what ab calls failed, what it does not, and what that comes to.

ab keeps the length of the first response that is complete and flags every other length as a
failure, without a look at the status of either (``support/ab.c``, ``close_connection``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, not_made, share
from analysis.audit.reading import LABELS

if TYPE_CHECKING:
    from analysis.audit.reading import Reading

RULE = (
    "ab takes the length of the first complete response as the reference, with no look at its "
    "status, and flags every other length."
)


class Cause(Enum):
    """
    What the length failures are.
    """

    NONE = "none"
    FIRST_RESPONSE = "first_response"
    ERROR_ANSWERS = "error_answers"
    VARYING = "varying"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Counts:
    """
    The numbers that the checks need, all there.
    """

    complete: int
    failed: int
    length: int
    non_2xx: int

    @property
    def failed_otherwise(self) -> int:
        """
        Failures to connect, to receive, and exceptions.
        """
        return max(0, self.failed - self.length)

    @property
    def good(self) -> int:
        """
        Requests that were answered well, if the length says nothing.
        """
        return max(0, self.complete - self.non_2xx - self.failed_otherwise)


def reliability(reading: Reading) -> list[Finding]:
    """
    What the length failures are, and the share of good answers as it reads and as it was.
    """
    complete, failed = reading.requests_complete, reading.requests_failed
    length, non_2xx = reading.failed_length, reading.responses_non_2xx
    if complete is None or failed is None or length is None or non_2xx is None:
        names = ("requests_complete", "requests_failed", "failed_length", "responses_non_2xx")
        needed = {LABELS.get(name, "Length"): getattr(reading, name) is not None for name in names}
        return [not_made("reliability", needed)]
    if complete == 0:
        return [Finding("reliability", Severity.ERROR, "No request was completed.")]
    counts = Counts(complete, failed, length, non_2xx)
    cause = _cause(counts, reading)
    return [_length(counts, cause, reading), _share_of_good(counts, cause)]


def _good_bodies_bytes(counts: Counts, reading: Reading) -> float | None:
    # The mean length of what was flagged, when all else had the length of the reference.
    html, reference = reading.html_bytes, reading.document_length_bytes
    if html is None or reference is None or counts.length == 0:
        return None
    return (html - reference * (counts.complete - counts.length)) / counts.length


def _cause(counts: Counts, reading: Reading) -> Cause:
    flagged_bytes = _good_bodies_bytes(counts, reading)
    if counts.length == 0:
        return Cause.NONE
    if counts.length > counts.complete or (flagged_bytes is not None and flagged_bytes < 0):
        return Cause.UNCLEAR
    if counts.non_2xx == 0:
        return Cause.VARYING
    if counts.length + counts.non_2xx == counts.complete:
        return Cause.FIRST_RESPONSE
    return Cause.ERROR_ANSWERS if counts.length == counts.non_2xx else Cause.UNCLEAR


def _length(counts: Counts, cause: Cause, reading: Reading) -> Finding:
    length, non_2xx, complete = counts.length, counts.non_2xx, counts.complete
    values = {
        "cause": cause.value,
        "failed_length": length,
        "responses_non_2xx": non_2xx,
        "requests_complete": complete,
        "flagged_mean_bytes": _good_bodies_bytes(counts, reading),
    }
    if cause is Cause.NONE:
        text = "No request was flagged for its length."
        if reading.document_length_variable:
            text = "The length was not compared (-l), so it flags no request."
        return Finding("length", Severity.OK, text, values)
    if cause is Cause.FIRST_RESPONSE:
        text = (
            f"An artefact: {length} length failures + {non_2xx} non-2xx = {complete}, all complete "
            f"requests. {RULE} So the first response was one of the {non_2xx} non-2xx, and the "
            f"{length} flagged ones are the good answers.{_bodies(counts, reading)}"
        )
    elif cause is Cause.ERROR_ANSWERS:
        text = (
            f"{length} length failures and as many non-2xx: most likely the same requests, whose "
            f"error pages have another length than the good answers. They count once. {RULE}"
        )
    elif cause is Cause.VARYING:
        text = (
            f"{length} length failures and no non-2xx: every answer had a good status, but not one "
            f"length. {RULE} Pages made anew for each request vary; ab cannot tell that from cut "
            f"answers.{_bodies(counts, reading)}"
        )
    else:
        text = (
            f"{length} length failures and {non_2xx} non-2xx of {complete} requests do not explain "
            f"one another: the lengths vary among good or among error answers. {RULE}"
        )
    return Finding("length", Severity.WARNING, f"{text} Run again with -l.", values)


def _bodies(counts: Counts, reading: Reading) -> str:
    flagged_bytes = _good_bodies_bytes(counts, reading)
    if flagged_bytes is None:
        return ""
    return (
        f" By the bytes transferred these have {flagged_bytes:.6g} bytes each on average, the "
        f"reference has {reading.document_length_bytes}."
    )


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
        "requests_complete": complete,
    }
    if good == as_printed == least == complete:
        text = f"100 %: {complete} of {complete} answers were 2xx, and none failed."
        return Finding("reliability", Severity.OK, text, values)
    shown = f"{share(good, complete)} ({good} of {complete})"
    if least < good:
        shown = f"between {share(least, complete)} and {shown}, as the lengths cannot decide"
    elif counts.failed_otherwise:
        shown = f"at least {shown}"
    text = (
        f"As “Failed requests” reads: {share(as_printed, complete)} ({as_printed} of {complete}). "
        f"Corrected: {shown}. ab does not count non-2xx under “Failed requests” "
        f"({counts.non_2xx} here), and counts a length that differs ({counts.length} here)."
    )
    return Finding("reliability", Severity.WARNING, text, values)
