"""
Resource limits: dose and response, in a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import not_comparable, plus_minus, table, time_difference

if TYPE_CHECKING:
    from analysis.findings import Findings
    from analysis.topics.limits.findings import LimitDose

INTRODUCTION = (
    "Each service has the limit to itself. “Throttled” is the time that services spent at their "
    "CPU limit, summed over services, per second of load. “Against unlimited” is paired within "
    "blocks, so it need not equal the ratio of the means. In raw namespaces a limit adds a "
    "control group for each service."
)


def limits(findings: Findings) -> str:
    """
    One row for each dose; empty without limited variants.
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
            *(
                f"`{each.variant}` is {not_comparable(each.against_base)}."
                for each in findings.doses
                if each.against_base and not each.is_comparable
            ),
        ]
    )


def _row(dose: LimitDose) -> list[str]:
    return [
        dose.variant,
        *dose.limits.values(),
        plus_minus(dose.us_per_request) if dose.us_per_request else "–",
        time_difference(dose.against_base) if dose.against_base else "–",
        plus_minus(dose.throttled_s, 2) if dose.throttled_s else "–",
        str(dose.trials),
    ]
