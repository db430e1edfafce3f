"""
Failures that are none of an answer: of connecting, and errors that the kernel reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity
from analysis.formatting import count

if TYPE_CHECKING:
    from experiments.records.ab.output import AbOutput


def failures(output: AbOutput) -> list[Finding]:
    """
    What ab counts under "Connect" and "Exceptions", if it counts something there.

    Up to 2.4, ``start_connect`` tries again and counts no request, and ``test`` counts an exception
    beside whatever else it counts of that request. The trunk ends a request that cannot connect.
    """
    found = []
    if connect := output.failed_connect:
        what = (
            "ab tries again, and counts no complete request"
            if output.workers is None
            else "ab counts a complete request for each"
        )
        text = f"{count(connect, 'attempt')} to connect failed (“Connect”): {what}."
        found.append(Finding("connect", Severity.WARNING, text, {"failed_connect": connect}))
    if exceptions := output.failed_exceptions:
        answer = "" if output.bytes_transferred == 0 else ", which may have had an answer"
        text = (
            f"The kernel reported {count(exceptions, 'error')} of connections (“Exceptions”): ab "
            f"counts each beside what else happened to its request{answer}."
        )
        values = {"failed_exceptions": exceptions}
        found.append(Finding("exceptions", Severity.WARNING, text, values))
    return found
