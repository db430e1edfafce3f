"""
Fuzz every reader in turn: ``python -m tests.fuzz [--minutes M] [TARGET …]``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.corpus import MOST_KEPT, empty_folder, keep
from tests.fuzz.targets import check, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTION = """\
Give every reader of other people's data what Atheris finds by the coverage of the code: changed
samples and arbitrary bytes. Each target takes its share of the minutes, and begins with the kept
corpus in tests/fuzz/corpus/.
"""
EPILOG = """\
A finding is any exception that is no typed error, and any input that takes 20 seconds. It is
printed with its traceback, and its input is stored in FOLDER/findings/. To repeat one:

  nox -s fuzz -- --repeat FOLDER/findings/variants-1a2b3c4d5e6f

Mend it by its kind, with a unit test, and copy the input to tests/fuzz/corpus/TARGET/, which the
unit tests replay.

exit status: 0 without a finding, 1 with one
"""


def parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """
    The options of ``nox -s fuzz``.
    """
    made = argparse.ArgumentParser(
        prog="nox -s fuzz",
        usage="nox -s fuzz -- [--minutes M] [--seed N] [--folder FOLDER] [--keep] [TARGET …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(names)}"
    )
    made.add_argument(
        "--minutes", type=float, default=10.0, metavar="M", help="in all. Default: %(default)g"
    )
    made.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    made.add_argument(
        "--folder",
        type=Path,
        help="inputs and findings; a later call goes on from there. Default: a new folder",
    )
    made.add_argument(
        "--keep",
        action="store_true",
        help=f"afterwards, replace the kept corpus of each target by at most {MOST_KEPT} small "
        "inputs that reach most of what all inputs reach",
    )
    made.add_argument("--repeat", type=Path, metavar="FILE", help="read one input, named TARGET-…")
    return made


def main(arguments: Sequence[str]) -> int:
    """
    Fuzz each target in a process of its own, because Atheris ends its process.
    """
    with empty_folder() as made:
        known = targets(made)
    options = parser(list(known)).parse_args(arguments)
    for name in options.targets:
        if name not in known:
            print(f"error: no target {name!r}; known: {', '.join(known)}", file=sys.stderr)
            return 2
    if options.repeat:
        name = options.repeat.name.rpartition("-")[0]
        with empty_folder() as folder:
            check(known[name], options.repeat.read_bytes(), folder)
        print("no finding")
        return 0
    folder = options.folder or Path(tempfile.mkdtemp(prefix="bridgetoll-fuzz-"))
    print(f"inputs and findings: {folder}", flush=True)
    names = options.targets or list(known)
    seconds = round(options.minutes * 60 / len(names))
    for name in names:
        print(f"{name}: {seconds} s", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.guided", name, str(folder)]
        subprocess.run(
            [*command, f"-seed={options.seed}", f"-max_total_time={seconds}"], check=False
        )
        if options.keep:
            print(f"{name}: {keep(known[name], (folder / 'inputs' / name).iterdir())} inputs kept")
    found = sorted((folder / "findings").iterdir())
    print(f"{len(found)} findings", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
