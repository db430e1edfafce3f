"""
Workloads: an endpoint, its request, and the services that it needs.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.commands import last_lines
from experiments.errors import UsageError
from experiments.paths import SERVICES

WORKLOADS_FILE = Path(__file__).with_name("workloads.toml")

SHOWN_CHARACTERS = 300
"""Of a body in a message."""

ENTRY_SERVICE = "gateway"
ENTRY_PORT = 3000
"""The service that clients call, and its port in its network namespace, as published."""


@dataclass(frozen=True)
class Workload:
    """
    One workload.

    ``post_json`` is the body of a POST, or None for GET; ``expect_json`` is what every answer must
    contain. ``length_varies`` says that good answers differ in length, as by a growing number.
    """

    name: str
    about: str
    services: tuple[str, ...]
    path: str
    expect_status: int
    expect_json: Any
    post_json: Any = None
    length_varies: bool = False

    def fault_in(self, status: int, body: bytes, length: int | None = None) -> str:
        """
        What is wrong with an answer, in words; empty for a good one.

        Unless lengths vary, the body of every answer has this length.
        """
        where = f"workload {self.name} ({self.path})"
        if status != self.expect_status:
            wanted = f"status {status}, expected {self.expect_status}"
            return f"{where}: {wanted}; the body: {shown(body)}"
        if not body:
            return f"{where}: the body is empty"
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            return f"{where}: the body is not JSON: {shown(body)}"
        if not contains(content, self.expect_json):
            expected = json.dumps(self.expect_json)[:SHOWN_CHARACTERS]
            return f"{where}: the body is {shown(body)}, but should contain {expected}"
        if not self.length_varies and length is not None and len(body) != length:
            return (
                f"{where}: the body has {len(body)} bytes, expected {length}; if good answers "
                f"differ in length, give the workload length_varies; the body: {shown(body)}"
            )
        return ""


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
            workloads[name] = _checked(
                Workload(name=name, **{**table, "services": tuple(table["services"])})
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path} does not describe workloads: {type(error).__name__}: {error}"
        raise UsageError(msg) from error
    return workloads


def _checked(workload: Workload) -> Workload:
    """
    The workload; raises TypeError or ValueError for what no request or answer can have.
    """
    words = (workload.about, workload.path, *workload.services)
    if not all(isinstance(word, str) for word in words) or type(workload.length_varies) is not bool:
        msg = (
            f"workload {workload.name}: about, path and services are text, length_varies a boolean"
        )
        raise TypeError(msg)
    if type(workload.expect_status) is not int or not 100 <= workload.expect_status <= 599:
        msg = f"expect_status of workload {workload.name} is {workload.expect_status!r}"
        raise ValueError(msg)
    json.dumps([workload.expect_json, workload.post_json], allow_nan=False)
    return workload


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


def shown(body: bytes) -> str:
    """
    The beginning of a body in a message.
    """
    return last_lines(body[:SHOWN_CHARACTERS]) or "(empty)"


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
