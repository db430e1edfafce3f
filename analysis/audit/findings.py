"""
What an audit finds: one statement with its severity, in words and in numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Severity(Enum):
    """
    How much a finding matters to who draws a conclusion.
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


def not_made(check: str, needed: Mapping[str, object]) -> Finding:
    """
    The outcome of a check that lacks some of what it needs, given under ab's own labels.
    """
    missing = [label for label, value in needed.items() if not value]
    names = ", ".join(f"“{name}”" for name in missing)
    verb = "is" if len(missing) == 1 else "are"
    text = f"Could not be checked: {names} {verb} not there."
    return Finding(check, Severity.NOTE, text, {"missing": missing})


def share(part: float, whole: float) -> str:
    """
    A part in per cent of the whole; never rounded up to all of it.
    """
    percent = 100 * part / whole if whole else 0.0
    if percent < 100 and round(percent, 2) == 100:
        return "more than 99.99 %"
    return f"{percent:.2f}".rstrip("0").rstrip(".") + " %"
