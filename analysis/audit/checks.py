"""
All checks of one output of ab, in the order of the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.completeness import completeness
from analysis.audit.failures import failures
from analysis.audit.identities import explained, identities
from analysis.audit.latencies import percentiles, rounding
from analysis.audit.load import client, connections, duration, one_number, one_run, under_way
from analysis.audit.reliability import reliability
from analysis.audit.tail import tail

if TYPE_CHECKING:
    from analysis.audit.findings import Finding
    from experiments.records.ab.output import AbOutput


def audit(output: AbOutput) -> list[Finding]:
    """
    Every finding on one output, apart from those of a comparison.
    """
    found = completeness(output)
    if output.requests_completed is None:
        return found
    version = explained(output).version
    return [
        *found,
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
