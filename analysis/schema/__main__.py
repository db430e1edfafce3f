"""
Write the schemas of what a run stores: ``python -m analysis.schema [DIR]``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.folders import RESULTS
from analysis.schema.generate import FILES, as_text, schema

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMAS = RESULTS / "schema"


def main(arguments: Sequence[str]) -> int:
    """
    Write the files and say where they are.
    """
    parser = argparse.ArgumentParser(
        prog="python -m analysis.schema",
        description="Write manifest.schema.json, of a run's manifest.json, trial.schema.json, of "
        "each line of its trials.jsonl, pilot.jsonl, search.jsonl and artefact.jsonl, and "
        "agreement.schema.json, of each line of its agreement.jsonl.",
    )
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        default=SCHEMAS,
        metavar="DIR",
        help="where to. Default: results/schema/",
    )
    directory = parser.parse_args(arguments).directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, kind in FILES.items():
            path = directory / name
            path.write_text(as_text(schema(kind)), encoding="utf-8")
            print(f"schema: {path}")
    except OSError as error:
        print(f"error: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
