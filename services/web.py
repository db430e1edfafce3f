"""
Shared code of the Flask services: JSON errors, /health, settings, start and stop.

Experiments vary these settings: ``LOG_REQUESTS=off`` logs no requests. ``BURN_US`` burns
microseconds of CPU time in each request and ``SLEEP_US`` sleeps for microseconds: known costs that
the measurement must recover, and a heavier service for a sweep.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from types import FrameType


def create_app(service: str) -> Flask:
    """
    Make a Flask application that answers ``/health`` and reports every error as JSON.
    """
    app = Flask(service)

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="ok", service=service)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        return json_error(error.code or 500, error.description or error.name)

    @app.errorhandler(Exception)
    def unexpected_error(error: Exception) -> tuple[Response, int]:
        app.logger.error("unhandled error", exc_info=error)
        return json_error(500, f"{type(error).__name__} in {service}; see its log")

    # A dose of 0 takes the same code path as any other, so that doses differ in the number only.
    if "BURN_US" in os.environ:
        burn_us = whole_number("BURN_US", "0", 1_000_000)
        app.before_request(lambda: burn(burn_us))
    if "SLEEP_US" in os.environ:
        sleep_us = whole_number("SLEEP_US", "0", 1_000_000)
        wake_in_time()
        app.before_request(lambda: time.sleep(sleep_us / 1e6))
    return app


def burn(microseconds: int) -> None:
    """
    Burn CPU time of the calling thread; time in which it is preempted does not count.
    """
    end_ns = time.thread_time_ns() + microseconds * 1000
    while time.thread_time_ns() < end_ns:
        pass


def wake_in_time() -> None:
    """
    Make sleeps of this thread and its child threads end on time.

    By default, the kernel may wake a thread up to 50 microseconds late, to group wake-ups; see
    PR_SET_TIMERSLACK in prctl(2).
    """
    pr_set_timerslack, nanoseconds = 29, 1
    ctypes.CDLL(None).prctl(pr_set_timerslack, nanoseconds, 0, 0, 0)


def requests_are_logged() -> bool:
    """
    Whether requests are logged; any value except on and off stops the service.
    """
    value = setting("LOG_REQUESTS", "on")
    if value not in {"on", "off"}:
        sys.exit(f"environment variable LOG_REQUESTS is {value!r}; it must be on or off")
    return value == "on"


def json_error(status: int, message: str) -> tuple[Response, int]:
    """
    An error answer: ``{"error": {"status": …, "message": …}}`` with that status.
    """
    return jsonify(error={"status": status, "message": message}), status


def setting(name: str, default: str | None = None) -> str:
    """
    A setting from the environment; a missing setting without default stops the service.
    """
    value = os.environ.get(name, default)
    if value is None or not value.strip():
        sys.exit(f"environment variable {name} is not set; services/compose.yaml sets it")
    return value


def whole_number(name: str, default: str, highest: int, lowest: int = 0) -> int:
    """
    A setting from ``lowest`` to ``highest``; any other value stops the service.
    """
    value = setting(name, default)
    if not value.isdecimal() or not lowest <= int(value) <= highest:
        msg = f"environment variable {name} is {value!r}; it must be from {lowest} to {highest}"
        sys.exit(msg)
    return int(value)


def serve(app: Flask) -> None:
    """
    Serve on 0.0.0.0 at port ``PORT`` with Flask's development server, as published.

    PID 1 of a container ignores SIGTERM unless it has a handler. Without one,
    ``docker compose down`` would always wait for its grace period.
    """

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    if not requests_are_logged():
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
    port = setting("PORT")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        sys.exit(f"environment variable PORT is {port!r}; it must be a number from 1 to 65535")
    app.run(host="0.0.0.0", port=int(port), threaded=True)
