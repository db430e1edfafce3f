"""
The result of one audit: every file with its findings, the comparison, and the exit status.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from analysis.audit.arms import Arm
from analysis.audit.checks import audit
from analysis.audit.comparison import compare
from analysis.audit.findings import Finding, Severity, shortened
from analysis.audit.sources import read_source
from analysis.statuses import ANSWERED, FOUND_SOMETHING, USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.audit.sources import Source
    from experiments.records.ab.output import AbOutput


@dataclass(frozen=True)
class AuditedOutput:
    """
    One output under a name of its own, with its findings.
    """

    name: str
    reading: AbOutput
    findings: list[Finding]


@dataclass(frozen=True)
class AuditedFile:
    """
    One file with its outputs, or the error why there are none.
    """

    name: str
    error: str | None
    outputs: list[AuditedOutput]


@dataclass(frozen=True)
class Result:
    """
    All files, and the findings of the comparison if there are several arms.
    """

    files: Sequence[AuditedFile]
    comparison: Sequence[Finding]

    @property
    def exit_status(self) -> int:
        """
        The status that --help explains.
        """
        if any(file.error for file in self.files):
            return USAGE
        outputs = [output for file in self.files for output in file.outputs]
        findings = chain(self.comparison, *(output.findings for output in outputs))
        if {finding.severity for finding in findings} & {Severity.WARNING, Severity.ERROR}:
            return FOUND_SOMETHING
        return ANSWERED


def audit_arms(arms: Mapping[str, Sequence[str]]) -> Result:
    """
    Audit the files of every arm, and compare the arms that have an output.
    """
    files: list[AuditedFile] = []
    compared: list[Arm] = []
    for name, names in arms.items():
        sources = [read_source(file) for file in names]
        files += map(audited, sources)
        runs = [output for source in sources for output in source.outputs]
        compared.append(Arm(shortened(name), runs))
    return Result(files, compare(compared) if len(compared) > 1 else [])


def audited(source: Source) -> AuditedFile:
    """
    A file with its findings; that it was not read whole is a finding on its last output.
    """
    outputs = []
    for number, output in enumerate(source.outputs, 1):
        several = len(source.outputs) > 1
        name = f"{source.name} (output {number})" if several else source.name
        read, *others = audit(output)
        notes = source.notes[number - 1] if source.notes else []
        outputs.append(AuditedOutput(name, output, [read, *notes, *others]))
    if source.cut and outputs:
        outputs[-1].findings.append(Finding("cut", Severity.WARNING, source.cut))
    return AuditedFile(source.name, source.error, outputs)
