"""
Audit what ApacheBench printed: ``python -m analysis.audit [FILE …] [--arm NAME FILE …]``.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import TYPE_CHECKING

from analysis.audit.checks import audit
from analysis.audit.comparison import Arm, compare
from analysis.audit.findings import Finding, Severity
from analysis.audit.printing import AuditedFile, as_json, as_text, exit_status
from analysis.audit.sources import read_source
from analysis.audit.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.audit.sources import Source

DESCRIPTION = """\
Audit what ApacheBench (ab) printed: whether its numbers hold, what they include, what they can
support. Works on any text of ab, from any machine. Each finding has a severity:

  ok       looked at, and it holds
  note     to be known by who reads the numbers
  warning  a conclusion that is often drawn from such numbers would be wrong here
  error    the numbers contradict one another, or there is no whole result
"""
EPILOG = """\
Several files are compared with the first: a FILE is an arm of its own, and each output of ab in it
is one of that arm's runs. An arm whose runs are in several files is named: --arm NAME FILE ….

  python -m analysis.audit run.txt
  ab -n 1000 -c 50 http://host/ 2>&1 | python -m analysis.audit
  python -m analysis.audit --arm netns n1.txt n2.txt n3.txt --arm docker d1.txt d2.txt d3.txt

exit status:
  0  no finding is worse than a note
  1  at least one finding, on a file or on the comparison, is a warning or an error
  2  a FILE cannot be read or holds no output of ab (whatever else was found), or wrong options
"""
STDIN = "-"


def parser() -> argparse.ArgumentParser:
    """
    The options of the audit.
    """
    made = argparse.ArgumentParser(
        prog="nox -s audit",
        usage="nox -s audit -- [FILE …] [--arm NAME FILE …]… [--json]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="what ab printed; - is standard input, and the default",
    )
    made.add_argument(
        "--arm",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="an arm of the comparison with all of its runs; may be given again",
    )
    made.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object instead: files, comparison, exit_status",
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """
    Audit what is named and print what was found; the exit status that --help explains.
    """
    options = parser().parse_args(arguments)
    named: list[tuple[str, list[str]]] = [(name, [name]) for name in options.files]
    named += [(name, files) for name, *files in options.arm]
    _check(named)
    files: list[AuditedFile] = []
    arms: list[Arm] = []
    for name, listed in named or [(STDIN, [STDIN])]:
        sources = [read_source(file) for file in listed]
        files += [AuditedFile(source, audit_source(source)) for source in sources]
        runs = [output for source in sources for output in source.outputs]
        # Several outputs in one file are told apart by their order, and are one arm's runs.
        arms.append(Arm(clean(name), runs))
    compared = [arm for arm in arms if arm.runs]
    comparison = compare(compared) if len(compared) > 1 else []
    _print((as_json if options.json else as_text)(files, comparison))
    return exit_status(files, comparison)


def audit_source(source: Source) -> list[list[Finding]]:
    """
    The findings on every output of a file; that it was not read whole is one on its last.
    """
    found = [audit(output) for output in source.outputs]
    if source.cut and found:
        found[-1].append(Finding("cut", Severity.WARNING, source.cut))
    return found


def _check(named: Sequence[tuple[str, list[str]]]) -> None:
    names = [name for name, _ in named]
    files = [file for _, listed in named for file in listed]
    for name, listed in named:
        if not listed:
            parser().error(f"the arm {name!r} has no FILE; write --arm NAME FILE …")
        if names.count(name) > 1:
            parser().error(f"{name!r} is named twice; put all runs of an arm after one --arm")
    if files.count(STDIN) > 1:
        parser().error("standard input can be read only once")


def _print(text: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding shows less, but it shows.
        sys.stdout.reconfigure(errors="replace")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Who reads has seen enough; what is left in the buffer must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
