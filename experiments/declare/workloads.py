"""
Workloads: an endpoint, its request, and the services that it needs.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
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

    ``services`` are those that it needs, all of which every request passes; empty for all of the
    stack, of which every request passes ``entry_service`` at least. Clients call that service at
    ``entry_port``, its port in its own network namespace.

    ``post_json`` is the body of a POST, or None for GET; a request of another ``method``, with
    ``headers``, or with a ``body`` that is no JSON has these fields, and ``url`` is as the user
    gave it. ``expect_json`` is what every answer must contain, ``expect_body`` is the whole body;
    None allows any. ``length_varies`` says that good answers differ in length, as by a growing
    number.
    """

    name: str
    about: str
    services: tuple[str, ...]
    path: str
    expect_status: int
    expect_json: Any
    post_json: Any = None
    length_varies: bool = False
    entry_service: str = ENTRY_SERVICE
    entry_port: int = ENTRY_PORT
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = "application/json"
    expect_body: str | None = None
    url: str = ""

    @property
    def verb(self) -> str:
        """
        The method of the request.
        """
        return self.method or ("GET" if self.post_json is None else "POST")

    @property
    def content(self) -> bytes | None:
        """
        The body of the request; None without one.
        """
        if self.post_json is not None:
            return json.dumps(self.post_json).encode()
        return None if self.body is None else self.body.encode()

    def fault_in(self, status: int, body: bytes, length: int | None = None) -> str:
        """
        What is wrong with an answer, in words; empty for a good one.

        Unless lengths vary, the body of every answer has this length.
        """
        fault = self._fault(status, body, length)
        return f"workload {self.name} ({self.path}): {fault}" if fault else ""

    def _fault(self, status: int, body: bytes, length: int | None) -> str:
        if status != self.expect_status:
            return f"status {status}, expected {self.expect_status}; the body: {shown(body)}"
        fault = "" if self.expect_json is None else self._fault_in_json(body)
        if not fault and self.expect_body is not None and body != self.expect_body.encode():
            fault = f"the body is {shown(body)}, but should be {shown(self.expect_body.encode())}"
        if fault or self.length_varies or length is None or len(body) == length:
            return fault
        return (
            f"the body has {len(body)} bytes, expected {length}; if good answers differ in length, "
            f"give the workload length_varies; the body: {shown(body)}"
        )

    def _fault_in_json(self, body: bytes) -> str:
        if not body:
            return "the body is empty"
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            return f"the body is not JSON: {shown(body)}"
        if contains(content, self.expect_json):
            return ""
        expected = json.dumps(self.expect_json)[:SHOWN_CHARACTERS]
        return f"the body is {shown(body)}, but should contain {expected}"


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
