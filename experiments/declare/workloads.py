"""
Workloads: an endpoint, its request, and the services that it needs.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.errors import UsageError
from experiments.paths import SERVICES

WORKLOADS_FILE = Path(__file__).with_name("workloads.toml")

ENTRY_SERVICE = "gateway"
ENTRY_PORT = 3000
"""The service that clients call, and its port in its network namespace, as published."""


@dataclass(frozen=True)
class Workload:
    """
    One workload.

    ``post_json`` is the body of a POST, or None for GET; ``expect_json`` is what every answer must
    contain.
    """

    name: str
    about: str
    services: tuple[str, ...]
    path: str
    expect_status: int
    expect_json: Any
    post_json: Any = None


def load_workloads(path: Path = WORKLOADS_FILE) -> dict[str, Workload]:
    """
    Read the workloads by name.

    Raises UsageError if the file cannot be read or a key is missing.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["workloads"]
        workloads = {}
        for name, table in tables.items():
            file = table.pop("expect_json_file", None)
            if file is not None:
                table["expect_json"] = json.loads((SERVICES / file).read_text(encoding="utf-8"))
            workloads[name] = Workload(name=name, **{**table, "services": tuple(table["services"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path} does not describe workloads: {type(error).__name__}: {error}"
        raise UsageError(msg) from error
    return workloads


def choose_workload(name: str) -> Workload:
    """
    The workload of this name.

    Raises UsageError for an unknown name.
    """
    workloads = load_workloads()
    if name not in workloads:
        msg = f"unknown workload {name!r}; known workloads: {', '.join(workloads)}"
        raise UsageError(msg)
    return workloads[name]


def contains(actual: object, expected: object) -> bool:
    """
    Whether a JSON value contains another: objects need the expected keys, the rest must be equal.
    """
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(map(contains, actual, expected))
        )
    return type(actual) is type(expected) and actual == expected
