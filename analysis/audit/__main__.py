"""
Audit outputs of ApacheBench: ``python -m analysis.audit [FILE …] [--arm NAME FILE …]``.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from analysis.audit.options import parse_options
from analysis.audit.printing import as_json, as_text
from analysis.audit.result import audit_arms

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """
    Print the findings; the exit status is explained by --help.
    """
    options = parse_options(arguments)
    result = audit_arms(options.arms)
    _print((as_json if options.json else as_text)(result))
    return result.exit_status


def _print(text: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the terminal's encoding lacks is replaced.
        sys.stdout.reconfigure(errors="replace")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader has left; the rest of the buffer must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
