"""
Paths and file names of runs and reports.
"""

from __future__ import annotations

from pathlib import Path

from experiments.records import files

RESULTS = Path(__file__).parent.parent / "results"

REFERENCE = "reference"
"""The folder of the committed run, below ``RESULTS``."""

REPORT = files.REPORT
POOLED_REPORT = "pooled-report.md"
PAGE_SUFFIX = ".html"
"""The same report for a browser is beside it, under the same name with this suffix."""

TRIALS_CSV = "trials.csv"
VERDICTS = "verdicts.json"

VALUE_AT_FAULT = (ArithmeticError, LookupError, TypeError, ValueError)
"""Exceptions that records with valid types but invalid values cause, such as a duration of 0."""
