"""
All checks of one output of ab, in the order of the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.completeness import completeness
from analysis.audit.failures import failures
from analysis.audit.findings import Finding, Severity, listed
from analysis.audit.identities import explained, identities
from analysis.audit.latencies import percentiles, rounding
from analysis.audit.load import client, connections, duration, one_number, one_run, under_way
from analysis.audit.reliability import reliability
from analysis.audit.tail import tail

if TYPE_CHECKING:
    from experiments.records.ab.output import AbOutput


def audit(output: AbOutput) -> list[Finding]:
    """
    Every finding on one output, apart from those of a comparison.
    """
    found = completeness(output)
    if output.failure:
        return found
    version = explained(output).version
    checks = [
        *identities(output),
        one_number(output),
        *reliability(output),
        *failures(output),
        connections(output),
        client(output),
        under_way(output, version),
        duration(output),
        rounding(output, version),
        percentiles(output, version),
        tail(output, version),
        one_run(output),
    ]
    return found + (checks if output.requests_completed is not None else _of_an_excerpt(checks))


def _of_an_excerpt(checks: list[Finding]) -> list[Finding]:
    """
    What could be checked without the number of requests, and what could not; nothing if nothing.
    """
    lacking = [each.check for each in checks if "missing" in each.values]
    made = [each for each in checks if each.check not in {*lacking, "identities_not_checked"}]
    if {each.check for each in made} <= {"one_run"}:
        return []
    names = listed([check.replace("_", " ") for check in lacking])
    text = f"Not checked, because lines are missing: {names}."
    return [*made, Finding("excerpt", Severity.NOTE, text, {"not_checked": lacking})]
