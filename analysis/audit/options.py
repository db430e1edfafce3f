"""
The command line of the audit.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.audit.sources import STDIN
from analysis.statuses import ANSWERED, FOUND_SOMETHING, USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTION = """\
Audit outputs of ApacheBench (ab): are the numbers consistent, what do they include, what do they
support? Reads ab's text from any machine. Each finding has a severity:

  ok       checked, no problem
  note     context for the numbers
  warning  a common conclusion from such numbers is wrong here
  error    the numbers contradict each other, or the result is incomplete
"""
EPILOG = f"""\
Several files are compared: each FILE is an arm, the first is the baseline, and each output of ab
in a file is one run of its arm. For an arm with runs in several files, use --arm NAME FILE ….

  python -m analysis.audit run.txt
  ab -n 1000 -c 50 http://host/ 2>&1 | python -m analysis.audit
  python -m analysis.audit --arm netns n1.txt n2.txt n3.txt --arm docker d1.txt d2.txt d3.txt

exit status:
  {ANSWERED:<2}  no finding is worse than a note
  {FOUND_SOMETHING:<2}  at least one finding is a warning or an error
  {USAGE:<2}  a FILE cannot be read or holds no output of ab, or the options are wrong
"""


@dataclass(frozen=True)
class Options:
    """
    The files of each arm by the arm's name, and whether to print JSON.
    """

    arms: dict[str, list[str]]
    json: bool


def parse_options(arguments: Sequence[str]) -> Options:
    """
    The options; wrong ones end the program with status 2.
    """
    parser = _parser()
    found = parser.parse_args(arguments)
    named = [[name, name] for name in found.files or ([] if found.arm else [STDIN])] + found.arm
    arms = {name: files for name, *files in named}
    for name, files in arms.items():
        if not files:
            parser.error(f"the arm {name!r} has no FILE; write --arm NAME FILE …")
        if [other for other, *_ in named].count(name) > 1:
            parser.error(f"{name!r} is named twice; put all runs of an arm after one --arm")
    if [file for files in arms.values() for file in files].count(STDIN) > 1:
        parser.error("standard input can be read only once")
    return Options(arms, found.json)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m analysis.audit",
        usage="python -m analysis.audit [FILE …] [--arm NAME FILE …]… [--json]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "files", nargs="*", metavar="FILE", help="ab's text; - is standard input, the default"
    )
    made.add_argument(
        "--arm",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="one arm of the comparison with all its runs; repeatable",
    )
    made.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object instead: files, comparison, exit_status",
    )
    return made
