"""
The gateway: the entry point of the stack, round-robin over its backends.

As published, it opens a new connection for every backend call (no ``requests.Session``).
"""

from __future__ import annotations

import itertools
import threading

import requests
from flask import Response, jsonify, request

from services.web import create_app, json_error, setting, whole_number

BACKEND_TIMEOUT_S = 30.0
CALLS = whole_number("CALLS", "1", 8, lowest=1)
"""Calls of a backend for each request of a client; a sweep varies it."""

app = create_app("gateway")


def backends(variable: str) -> list[str]:
    """
    The base URLs in a comma-separated environment variable; empty if it is not set.
    """
    return [url.strip().rstrip("/") for url in setting(variable, "-").split(",") if url != "-"]


class RoundRobin:
    """
    Hands out the given URLs in turn, to any number of threads.
    """

    def __init__(self, urls: list[str]) -> None:
        """
        Start with the first URL.
        """
        self._urls = itertools.cycle(urls) if urls else None
        self._lock = threading.Lock()

    def next(self) -> str | None:
        """
        The next URL; None without URLs.
        """
        if self._urls is None:
            return None
        with self._lock:
            return next(self._urls)


product_backends = RoundRobin(backends("PRODUCT_BACKENDS"))
order_backends = RoundRobin(backends("ORDER_BACKENDS"))


def forward(pool: RoundRobin, name: str) -> Response:
    """
    Forward the current request CALLS times, one after the other; the last answer counts.

    An answer that is not good ends it and counts, so that no error is hidden by a later answer.
    """
    for _ in range(CALLS - 1):
        answer = call(pool, name)
        if not 200 <= answer.status_code < 300:
            return answer
    return call(pool, name)


def call(pool: RoundRobin, name: str) -> Response:
    """
    The next backend's answer to the current request; errors become JSON with 502, 503 or 504.
    """
    backend = pool.next()
    if backend is None:
        return app.make_response(json_error(503, f"no {name} backend is configured"))
    headers = {"Content-Type": request.content_type} if request.content_type else {}
    try:
        answer = requests.request(
            request.method,
            backend + request.full_path.rstrip("?"),
            data=request.get_data() or None,
            headers=headers,
            timeout=BACKEND_TIMEOUT_S,
        )
    except requests.Timeout:
        return app.make_response(
            json_error(504, f"{name} backend {backend} did not answer in {BACKEND_TIMEOUT_S} s")
        )
    except requests.ConnectionError:
        return app.make_response(json_error(502, f"{name} backend {backend} cannot be reached"))
    content_type = answer.headers.get("Content-Type", "application/octet-stream")
    return Response(answer.content, status=answer.status_code, content_type=content_type)


@app.get("/api/fixed")
def fixed() -> Response:
    """
    A constant body, to measure the path to the gateway without a backend.
    """
    return jsonify(message="fixed")


@app.get("/api/products")
@app.get("/api/products/<product_id>")
def products(product_id: str | None = None) -> Response:
    """
    Products from the next product backend, which also validates the id.
    """
    del product_id
    return forward(product_backends, "product")


@app.route("/api/orders", methods=["GET", "POST"])
@app.get("/api/orders/<order_id>")
def orders(order_id: str | None = None) -> Response:
    """
    Orders from the orders service, which also validates them.
    """
    del order_id
    return forward(order_backends, "order")
