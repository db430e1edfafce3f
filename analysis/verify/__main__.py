"""
Say whether a run reproduces the reference: ``python -m analysis.verify [RUN]``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.folders import REFERENCE, RESULTS, VALUE_AT_FAULT
from analysis.run import read_run
from analysis.verify import rule
from analysis.verify.conditions import ALLOWABLE, incomparable, told
from analysis.verify.effects import shared_pairs, verify
from analysis.verify.printing import CANNOT_TELL, Result, as_json, as_text, refusal
from analysis.verify.runs import read_reference
from experiments.errors import ResultsError
from experiments.records.files import latest_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.run import Run

DESCRIPTION = """\
Say of every effect that the reference measured whether this run reproduces it: reproduced,
reproduced in direction, not reproduced, or cannot tell. Needs no root and no lab.
"""


def epilog() -> str:
    """
    The rule, what is refused, and the exit status.
    """
    width = max(map(len, ALLOWABLE))
    fields = "\n".join(f"  {name:{width}}  {about}" for name, about in ALLOWABLE.items())
    return f"""\
{(rule.__doc__ or "").strip()}

Runs are not compared if they differ in one of these fields; --allow FIELD lets it through, and the
output says so. A record of another schema version cannot be read, whatever is allowed.

{fields}

Everything else in which they differ (machine, kernel, CPUs, versions, commit, rounds, requests for
each load, margin) is listed after the outcome.

exit status:
  0  reproduced, or reproduced in direction: a size is the machine's, its direction is the claim
  1  not reproduced
  2  cannot tell; or the runs cannot be compared or read, or wrong options
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
        help="the run's folder. Default: the latest in the results folder",
    )
    made.add_argument(
        "--reference",
        type=Path,
        default=RESULTS / REFERENCE,
        metavar="DIR",
        help="the run to be reproduced, or a folder of such, of which the one is taken that has "
        "most in common with RUN. Default: the project's own, results/reference/",
    )
    made.add_argument(
        "--allow",
        type=_fields,
        action="extend",
        default=[],
        metavar="FIELD,…",
        help="compare runs that differ in this all the same; may be given again",
    )
    made.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object instead, with every number",
    )
    made.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="where the latest run is looked for. Default: results/",
    )
    return made


def _fields(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in ALLOWABLE:
            msg = f"{name!r} is no field; the fields are: {', '.join(ALLOWABLE)}"
            raise argparse.ArgumentTypeError(msg)
    return names


def compare(here: Run, reference: Run, allowed: Sequence[str]) -> Result:
    """
    What comes of comparing two runs, or why they are not compared.
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
    Print what follows; the exit status that --help explains.
    """
    options = parser().parse_args(arguments)
    folder = options.run
    try:
        folder = folder or latest_run(options.results)
        here = read_run(folder)

        def comparable(other: Run) -> bool:
            unlike = incomparable(other, here, shared_pairs(other, here))
            return all(each.field in options.allow for each in unlike)

        reference = read_reference(options.reference, here, comparable)
        result = compare(here, reference, options.allow)
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return CANNOT_TELL
    except VALUE_AT_FAULT as error:
        print(f"error: a record holds a value that no run has: {error!r}", file=sys.stderr)
        return CANNOT_TELL
    if result.verification is None:
        print(refusal(result), file=sys.stderr)
    if options.json:
        print(as_json(result))
    elif result.verification is not None:
        print(as_text(result, result.verification))
    return result.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
