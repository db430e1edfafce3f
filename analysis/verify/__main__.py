"""
Say whether a run reproduces the reference: ``python -m analysis.verify [RUN]``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from analysis.folders import REFERENCE, RESULTS, VALUE_AT_FAULT
from analysis.run import read_run
from analysis.statuses import ANSWERED, CANNOT_TELL, NOT_REPRODUCED, USAGE
from analysis.verify import rule
from analysis.verify.conditions import ALLOWABLE, incomparable, told
from analysis.verify.effects import shared_pairs, verify
from analysis.verify.printing import Result, as_json, as_text, refusal
from analysis.verify.runs import read_reference
from experiments.errors import ResultsError
from experiments.output import run_command_line
from experiments.records.files import latest_run
from experiments.records.raw import check_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.run import Run

DESCRIPTION = """\
Compare every effect that the reference measured with this run: reproduced, reproduced in
direction, not reproduced, or cannot tell. Needs no root and no lab.
"""


def epilog() -> str:
    """
    The rule, the fields that must be equal, and the exit status.
    """
    width = max(map(len, ALLOWABLE))
    fields = "\n".join(f"  {name:{width}}  {about}" for name, about in ALLOWABLE.items())
    return f"""\
{(rule.__doc__ or "").strip()}

Runs that differ in one of these fields are not compared. --allow FIELD compares them nevertheless,
and the output lists the field. Records of another schema version cannot be read.

{fields}

All other differences (machine, kernel, CPUs, versions, commit, rounds, requests per load, margin)
are listed after the outcome.

exit status:
  {ANSWERED:<2}  reproduced, or reproduced in direction: the claim is the direction, the size
      depends on the machine
  {NOT_REPRODUCED:<2}  not reproduced
  {CANNOT_TELL:<2}  cannot tell
  {USAGE:<2}  no answer: the runs cannot be compared or read, or the options are wrong
"""


def parser() -> argparse.ArgumentParser:
    """
    The options of the verification.
    """
    made = argparse.ArgumentParser(
        prog="nox -s verify",
        usage="nox -s verify -- [RUN] [--reference DIR] [--allow FIELD,…] [--json] [--results DIR]",
        description=DESCRIPTION,
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "run",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="folder of the run. Default: the latest in the results folder",
    )
    made.add_argument(
        "--reference",
        type=Path,
        default=RESULTS / REFERENCE,
        metavar="DIR",
        help="the run to reproduce, or a folder of runs, of which the best match for RUN is used. "
        "Default: results/reference/",
    )
    made.add_argument(
        "--allow",
        type=_fields,
        action="extend",
        default=[],
        metavar="FIELD,…",
        help="compare runs although they differ in these fields; repeatable",
    )
    made.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object with all numbers instead",
    )
    made.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="results folder, for the latest run. Default: results/",
    )
    return made


def _fields(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in ALLOWABLE:
            msg = f"{name!r} is not a field; the fields are: {', '.join(ALLOWABLE)}"
            raise argparse.ArgumentTypeError(msg)
    return names


def compare(here: Run, reference: Run, allowed: Sequence[str]) -> Result:
    """
    The comparison of two runs, or the fields that forbid it.
    """
    unlike = incomparable(reference, here, shared_pairs(reference, here))
    refused = [each for each in unlike if each.field not in allowed]
    return Result(
        reference=reference,
        here=here,
        refused=refused,
        let_through=[each for each in unlike if each.field in allowed],
        differs=told(reference, here),
        verification=None if refused else verify(reference, here, allowed),
    )


def main(arguments: Sequence[str]) -> int:
    """
    Print the comparison; the exit status is explained by --help.
    """
    options = parser().parse_args(arguments)
    folder = options.run
    try:
        folder = folder or latest_run(options.results)
        here = read_run(folder)
        check_raw(folder, here.trials)

        def comparable(other: Run) -> bool:
            unlike = incomparable(other, here, shared_pairs(other, here))
            return all(each.field in options.allow for each in unlike)

        reference = read_reference(options.reference, here, comparable)
        result = compare(here, reference, options.allow)
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except VALUE_AT_FAULT as error:
        print(f"error: a record contains an invalid value: {error!r}", file=sys.stderr)
        return USAGE
    for run in (here, reference):
        for place in run.set_aside:
            print(f"warning: {run.name}: a record was set aside: {place}", file=sys.stderr)
    if result.verification is None:
        print(refusal(result), file=sys.stderr)
    if options.json:
        print(as_json(result))
    elif result.verification is not None:
        print(as_text(result, result.verification))
    return result.exit_status


if __name__ == "__main__":
    run_command_line(main)
