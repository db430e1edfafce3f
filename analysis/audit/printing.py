"""
The result of an audit, printed as text for a terminal or as JSON for a script.
"""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

from analysis.audit.findings import Finding, Severity
from analysis.formatting import count
from experiments.records.ab.numbers import Printed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.audit.result import Result

FORMAT = 4
"""
Version of the JSON; counts up when a key is removed or changes its meaning.

History: 2 names the fields of a reading as the stored records do; 3 has exit statuses that no
failure has, and what explains a tail; 4 says "several" for what 3 called "steady".
"""

WIDTH = 96
INDENT = " " * 11
UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|ms|s|MB)(?!\w))")


def as_text(result: Result) -> str:
    """
    A title for every output, a paragraph for each finding, and a count of the worst.
    """
    lines: list[str] = []
    for file in result.files:
        if file.error:
            lines += [file.name, *_paragraph("error", file.error), ""]
        for output in file.outputs:
            lines += _section(output.name, output.findings)
    if result.comparison:
        lines += _section("comparison", result.comparison)
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
    # A number stays with its unit, and an option is not broken at its hyphen.
    lines = textwrap.wrap(
        UNIT.sub("\N{NO-BREAK SPACE}", words),
        WIDTH,
        initial_indent=f"  {severity:<9}",
        subsequent_indent=INDENT,
        break_on_hyphens=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def as_json(result: Result) -> str:
    """
    The same as one JSON object; a missing number is null.
    """
    whole = {
        "format": FORMAT,
        "exit_status": result.exit_status,
        "files": _plain(result.files),
        "comparison": _plain(result.comparison),
    }
    return json.dumps(whole, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(value, Printed | Severity):
        return value.value
    if dataclasses.is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
