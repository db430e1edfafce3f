"""
What was read of an output, and whether it is a whole result of a finished run.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity, listed, shortened
from analysis.formatting import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from experiments.records.ab.output import AbOutput

SHOWN_LABELS = 10
SHOWN_WARNINGS = 4
LONGEST_REASON = 400
LONGEST_WARNING = 120


def completeness(output: AbOutput) -> list[Finding]:
    """
    What was read, and a finding for each reason why it is not the whole result.
    """
    found = [_read(output)]
    if output.failure:
        what = "There is no result."
        if output.requests_completed is not None:
            what = "What it printed is of the requests before that."
        text = f"{shortened(output.failure, LONGEST_REASON)}. {what}"
        values = {"after_requests": output.aborted_after_requests}
        found.append(Finding("aborted", Severity.ERROR, text, values))
    elif output.missing:
        text = f"The output is incomplete: {_quoted(output.missing)} cannot be read."
        found.append(Finding("incomplete", Severity.ERROR, text, {"missing": output.missing}))
    if output.elided:
        text = (
            "Whether there were non-2xx responses, write errors or kept connections is not known: "
            "lines are left out where ab prints these if there are any."
        )
        found.append(Finding("left_out", Severity.NOTE, text))
    if output.unreadable:
        labels = list(output.unreadable[:SHOWN_LABELS])
        text = f"Ignored, because no usable number follows: {_quoted(labels)}."
        found.append(Finding("unreadable", Severity.WARNING, text, {"labels": labels}))
    if output.interrupted:
        text = (
            "The run was interrupted, or its last line of progress was left out: ab did not print "
            "that it finished. After an interruption, the requests under way are missing, and slow "
            "requests are overrepresented among them."
        )
        found.append(Finding("interrupted", Severity.WARNING, text))
    if output.warnings:
        lines = [
            f"“{shortened(line, LONGEST_WARNING)}”{f' ({times} times)' if times > 1 else ''}"
            for line, times in Counter(output.warnings).most_common(SHOWN_WARNINGS)
        ]
        text = f"ab itself warns: {'; '.join(lines)}."
        found.append(Finding("own_warnings", Severity.WARNING, text))
    return found


def _quoted(labels: Iterable[str]) -> str:
    return listed([f"“{label}”" for label in labels])


def _read(output: AbOutput) -> Finding:
    address = shortened(output.server_hostname or "an unknown host")
    if output.server_port is not None:
        address += f":{output.server_port}"
    duration = f"{output.duration_s.value:g} s" if output.duration_s else "an unknown time"
    requests = "an unknown number of requests"
    if output.requests_completed is not None:
        requests = count(output.requests_completed, "request")
    text = (
        f"ApacheBench {shortened(output.version or 'of unknown version', 20)}; server "
        f"{shortened(output.server_software or 'unnamed')} at {address}; path "
        f"{shortened(output.document_path or 'unknown')}; concurrency "
        f"{'unknown' if output.concurrency is None else output.concurrency}; {requests} in "
        f"{duration}."
    )
    return Finding("read", Severity.OK, text)
