"""
One finding of the audit: a check, a severity, a sentence and its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from experiments.records.ab.lines import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


class Severity(Enum):
    """
    How much a finding matters for a conclusion.
    """

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """
    The outcome of one check; ``values`` are its numbers, for scripts.
    """

    check: str
    severity: Severity
    text: str
    values: dict[str, Any] = field(default_factory=dict)


def not_made(check: str, missing: Sequence[str]) -> Finding:
    """
    The outcome of a check whose input lacks values, one or more, which are given by ab's labels.
    """
    names = listed([f"“{name}”" for name in missing])
    text = f"Not checked: {names} {'is' if len(missing) == 1 else 'are'} missing or zero."
    return Finding(check, Severity.NOTE, text, {"missing": list(missing)})


def share(part: float, whole: float) -> str:
    """
    A part in per cent of the whole; never rounded up to 100 %.
    """
    percent = 100 * part / whole if whole else 0.0
    if percent < 100 and round(percent, 2) == 100:
        return "more than 99.99 %"
    return f"{percent:.2f}".rstrip("0").rstrip(".") + " %"


def listed(items: Sequence[str]) -> str:
    """
    Items as people list them: "one", "one and two", "one, two and three".
    """
    *others, last = items or [""]
    return f"{', '.join(others)} and {last}" if others else last


def shortened(text: str, length: int = 80) -> str:
    """
    Text of unknown origin, safe for a terminal and for a line.
    """
    shown = printable(text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 1] + "…"
