"""
An audit as text for a terminal and as JSON for scripts, and its exit status.
"""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

from analysis.audit.findings import Finding, Severity
from analysis.audit.rounding import Printed
from analysis.formatting import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.audit.reading import Reading
    from analysis.audit.sources import Source

FORMAT = 1
"""Of the JSON; counts up when a key changes its meaning or goes."""

WIDTH = 96
INDENT = " " * 11
UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|ms|s|MB)(?!\w))")
NOTHING_WORSE_THAN_NOTES, FOUND_SOMETHING, UNREADABLE = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class AuditedFile:
    """
    One file with the findings on each of its outputs.
    """

    source: Source
    findings: Sequence[Sequence[Finding]]

    def titled(self) -> Iterator[tuple[str, Reading, Sequence[Finding]]]:
        """
        Every output under a name of its own.
        """
        several = len(self.source.outputs) > 1
        pairs = zip(self.source.outputs, self.findings, strict=True)
        for number, (output, findings) in enumerate(pairs, 1):
            name = f"{self.source.name} (output {number})" if several else self.source.name
            yield name, output, findings


def exit_status(files: Sequence[AuditedFile], comparison: Sequence[Finding]) -> int:
    """
    The status that --help explains.
    """
    if any(file.source.error for file in files):
        return UNREADABLE
    found = [finding for file in files for of_output in file.findings for finding in of_output]
    severities = {finding.severity for finding in (*found, *comparison)}
    if severities & {Severity.WARNING, Severity.ERROR}:
        return FOUND_SOMETHING
    return NOTHING_WORSE_THAN_NOTES


def as_text(files: Sequence[AuditedFile], comparison: Sequence[Finding]) -> str:
    """
    A title for every output, under it one paragraph for each finding, and a count of the worst.
    """
    lines: list[str] = []
    for file in files:
        if file.source.error:
            lines += [file.source.name, *_paragraph("error", file.source.error), ""]
        for name, _, findings in file.titled():
            lines += _section(name, findings)
    if comparison:
        lines += _section("comparison", comparison)
    return "\n".join(lines).rstrip()


def _section(title: str, findings: Sequence[Finding]) -> list[str]:
    lines = [title]
    for finding in findings:
        words = f"{finding.check.replace('_', ' ')}: {finding.text}"
        lines += _paragraph(finding.severity.value, words)
    counts = Counter(finding.severity for finding in findings)
    summary = ", ".join(
        count(counts[severity], severity.value)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    )
    return [*lines, f"  = {summary}", ""]


def _paragraph(severity: str, words: str) -> list[str]:
    # Neither a number and its unit nor an option at its hyphen are torn apart.
    lines = textwrap.wrap(
        UNIT.sub("\N{NO-BREAK SPACE}", words),
        WIDTH,
        initial_indent=f"  {severity:<9}",
        subsequent_indent=INDENT,
        break_on_hyphens=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def as_json(files: Sequence[AuditedFile], comparison: Sequence[Finding]) -> str:
    """
    The same as one JSON object; numbers that are not there are null.
    """
    whole = {
        "format": FORMAT,
        "exit_status": exit_status(files, comparison),
        "files": [
            {
                "name": file.source.name,
                "error": file.source.error,
                "outputs": [
                    {"name": name, "reading": _plain(output), "findings": _plain(findings)}
                    for name, output, findings in file.titled()
                ],
            }
            for file in files
        ],
        "comparison": _plain(comparison),
    }
    return json.dumps(whole, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(value, Printed):
        return value.value
    if isinstance(value, Severity):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
