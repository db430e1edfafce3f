"""
The requests of a user's stack: ``--url``, and ``bridgetoll.toml`` beside the Compose file.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from experiments.declare.stack import workload_of
from experiments.declare.workloads import choose_workload
from experiments.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from experiments.declare.workloads import Workload

REQUESTS_FILE = "bridgetoll.toml"

WITH_BODY = ("POST", "PUT")
METHODS = ("GET", *WITH_BODY, "DELETE", "OPTIONS", "PATCH")
"""The methods that ab has, and those with which it sends a body."""


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What a good answer has.

    ``json`` is what the body must contain: all of its keys with these values. ``body`` is the whole
    body. Without both, any body will do that has the length of the first one, unless
    ``length_varies``.
    """

    status: int = 200
    json: Any = None
    body: str | None = None
    length_varies: bool = False


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    One request of a stack, which is one workload.

    ``url`` is like ``http://SERVICE:PORT/path``. ``json`` or ``body`` is what is sent, the latter
    as ``content_type``. ``headers`` are stored with the run: give no secret there.
    """

    url: str
    method: str = ""
    headers: dict[str, str] = {}
    json: Any = None
    body: str | None = None
    content_type: str = "text/plain"
    expect: Expect = Expect()


class StackFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    The file ``bridgetoll.toml`` beside a Compose file.
    """

    requests: list[Request]


def workloads_of(options: argparse.Namespace) -> list[Workload]:
    """
    The workloads that these options ask for: one of the project's own, or those of a stack.

    Raises UsageError for a URL or a file that says no request.
    """
    if options.stack is None:
        if options.url:
            msg = "--url names a service of a --stack: --stack compose.yaml --url http://web:8000/"
            raise UsageError(msg)
        return [choose_workload(options.workload)]
    declared = {each.url: each for each in read_requests(options.stack.parent / REQUESTS_FILE)}
    urls = options.url or list(declared)
    if not urls:
        msg = (
            f"--stack {options.stack}: say what to load, as --url http://SERVICE:PORT/path, or in "
            f"{REQUESTS_FILE} beside it"
        )
        raise UsageError(msg)
    return [workload(declared.get(url, Request(url))) for url in dict.fromkeys(urls)]


def read_requests(path: Path) -> list[Request]:
    """
    The requests in a file; none without one.

    Raises UsageError with the key that is at fault.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise UsageError(msg) from error
    try:
        return msgspec.toml.decode(content, type=StackFile).requests
    except (msgspec.DecodeError, ValueError) as error:
        msg = f"{path}: {error}"
        raise UsageError(msg) from error


def workload(request: Request) -> Workload:
    """
    The workload of a request.

    Raises UsageError for what no request can have.
    """
    found = workload_of(request.url)
    content = request.body is not None or request.json is not None
    method = request.method.upper() or ("POST" if content else "GET")
    wrong = ""
    if method not in METHODS:
        wrong = f"method is {request.method!r}; ab has {', '.join(METHODS)}"
    elif content != (method in WITH_BODY):
        wrong = f"method is {method!r}; ab sends a body with {' and '.join(WITH_BODY)}, and only so"
    elif request.body is not None and request.json is not None:
        wrong = "body and json are given; give one"
    elif not 100 <= request.expect.status <= 599:
        wrong = f"expect.status is {request.expect.status}; it must be from 100 to 599"
    for name, value in request.headers.items():
        if not (f"{name}{value}".isascii() and f"{name}{value}".isprintable()) or ":" in name:
            wrong = f"headers.{name} is {value!r}; it must be printable ASCII"
    if wrong:
        msg = f"the request {request.url}: {wrong}"
        raise UsageError(msg)
    return dataclasses.replace(
        found,
        about=f"{method} {found.path} of service {found.entry_service}",
        method=method,
        headers=request.headers,
        post_json=request.json,
        body=request.body,
        content_type="application/json" if request.json is not None else request.content_type,
        expect_status=request.expect.status,
        expect_json=request.expect.json,
        expect_body=request.expect.body,
        length_varies=request.expect.length_varies,
    )
