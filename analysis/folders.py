"""
Where runs are, and what their reports are called.
"""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).parent.parent / "results"

REFERENCE = "reference"
"""The folder in it that holds the run which is committed."""

REPORT = "report.md"
POOLED_REPORT = "pooled-report.md"
PAGE_SUFFIX = ".html"
"""The same report for a browser is beside it, under the same name with this suffix."""

TRIALS_CSV = "trials.csv"
VERDICTS = "verdicts.json"

VALUE_AT_FAULT = (ArithmeticError, LookupError, TypeError, ValueError)
"""What comes of records that have the right types, and a value that no run has, such as no time."""
