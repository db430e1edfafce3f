"""
Audit outputs of ApacheBench: ``python -m analysis.audit [FILE …] [--arm NAME FILE …]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from analysis.audit.options import parse_options
from analysis.audit.printing import as_json, as_text
from analysis.audit.result import audit_arms
from experiments.output import run_command_line

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """
    Print the findings; the exit status is explained by --help.
    """
    options = parse_options(arguments)
    result = audit_arms(options.arms)
    print((as_json if options.json else as_text)(result))
    return result.exit_status


if __name__ == "__main__":
    run_command_line(main)
