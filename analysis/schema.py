"""
JSON Schemas of a run's files, made from the types: ``python -m analysis.schema [DIR]``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

import msgspec

from analysis.folders import RESULTS
from analysis.report.verdicts_json import Verdicts
from experiments.plan.requests import StackFile
from experiments.records.folder import unwritable
from experiments.records.manifest import Manifest
from experiments.records.trials import AgreementLoad, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMAS = RESULTS / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

FILES = {
    "manifest.schema.json": Manifest,
    "trial.schema.json": TrialRecord,
    "agreement.schema.json": AgreementLoad,
    "verdicts.schema.json": Verdicts,
    "bridgetoll.schema.json": StackFile,
}
"""
The type behind each schema: of whole files, or of each line of a .jsonl file.

The last one is of the user's own ``bridgetoll.toml``.
"""


def schema(kind: type) -> dict[str, Any]:
    """
    The schema of one type; its descriptions are the type's docstrings.
    """
    made = msgspec.json.schema(kind, schema_hook=lambda _: {"type": "string"})
    comment = "made by python -m analysis.schema; not to be edited"
    return {"$schema": DIALECT, "$comment": comment, **made}


def as_text(made: dict[str, Any]) -> str:
    """
    A schema as the text of its file.
    """
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """
    Write the schema files and print their paths.
    """
    parser = argparse.ArgumentParser(
        prog="python -m analysis.schema",
        description="Write the JSON Schemas of a run's files: of manifest.json and verdicts.json, "
        "of each line of agreement.jsonl, and of each line of trials.jsonl, pilot.jsonl, "
        "search.jsonl and artefact.jsonl (trial.schema.json).",
    )
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        default=SCHEMAS,
        metavar="DIR",
        help="where to write them. Default: results/schema/",
    )
    directory = parser.parse_args(arguments).directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, kind in FILES.items():
            path = directory / name
            path.write_text(as_text(schema(kind)), encoding="utf-8")
            print(f"schema: {path}")
    except OSError as error:
        print(f"error: {unwritable(error, directory)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
