"""
Limits as a dose and its response: time per request under each, and the time spent standing still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import plus_minus, table, time_difference

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.limits.findings import Dose

INTRODUCTION = (
    "Each service has the limit to itself. “Throttled” is the time that services spent "
    "throttled at their limit, added up over services, per second of load. “Against unlimited” is "
    "by the blocks that have both, so it need not agree with the means beside it. In raw "
    "namespaces a limit brings a control group for each service, which the unlimited one has not."
)


def limits(findings: Findings) -> str:
    """
    One row for each dose; empty when no variant has a limit.
    """
    if not findings.doses:
        return ""
    names = findings.manifest.environment.left_out
    left_out = (
        f" Left out, because the stack has fewer CPUs here: {', '.join(names)}." if names else ""
    )
    headers = ["Variant", "CPUs", "Memory", "Time per request (µs)", "Against unlimited"]
    return "\n\n".join(
        [
            "## Resource limits: dose and response",
            INTRODUCTION + left_out,
            table([*headers, "Throttled (s/s)", "Trials"], [_row(each) for each in findings.doses]),
        ]
    )


def _row(dose: Dose) -> list[str]:
    return [
        dose.variant,
        *dose.limits.values(),
        plus_minus(dose.us_per_request) if dose.us_per_request else "–",
        time_difference(dose.against_base) if dose.against_base else "–",
        plus_minus(dose.throttled_s, 2) if dose.throttled_s else "–",
        str(dose.trials),
    ]
