"""
Exit statuses that are answers: ANSWERED, and a status of its own for each other answer.

No failure has one of them: Python ends with 1 after a traceback, with 2 after wrong options and
with 120 after a failed flush, shells use 126 and above, and sysexits.h has 64 to 78. So whoever
accepts an answer accepts no crash.
"""

from __future__ import annotations

ANSWERED = 0
FOUND_SOMETHING = 10
"""The audit found a warning or an error."""

NOT_REPRODUCED = 11
CANNOT_TELL = 12
"""A run does not reproduce the reference, or that cannot be told."""

USAGE = 2
"""The options are wrong, as for argparse, or what they name cannot be read; no answer."""
