"""
What every Flask service of the stack shares: JSON errors, /health, settings, start and stop.

Some settings are there to be varied: ``LOG_REQUESTS=off`` prints no line for every request;
``BURN_US`` burns so many microseconds of CPU time for each, and ``SLEEP_US`` sleeps so many, which
a measurement must find again.
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

    # Where they are set to 0 all is done that is done for any other number, so that the number
    # alone differs between two measurements.
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
    Use up so much CPU time of the calling thread, however often it is interrupted meanwhile.
    """
    end_ns = time.thread_time_ns() + microseconds * 1000
    while time.thread_time_ns() < end_ns:
        pass


def wake_in_time() -> None:
    """
    Let sleeps of this thread, and of those that it starts, end when they should.

    The kernel wakes a thread up to 50 microseconds late, to wake several at once; see
    PR_SET_TIMERSLACK in prctl(2).
    """
    pr_set_timerslack, nanoseconds = 29, 1
    ctypes.CDLL(None).prctl(pr_set_timerslack, nanoseconds, 0, 0, 0)


def requests_are_logged() -> bool:
    """
    Whether a line is printed for every request; stops the service for any word but on and off.
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
    A setting from the environment; stops the service when a needed one is missing.
    """
    value = os.environ.get(name, default)
    if value is None or not value.strip():
        sys.exit(f"environment variable {name} is not set; services/compose.yaml sets it")
    return value


def whole_number(name: str, default: str, highest: int) -> int:
    """
    A setting that is a whole number from 0 on; stops the service when it is another.
    """
    value = setting(name, default)
    if not value.isdecimal() or int(value) > highest:
        sys.exit(f"environment variable {name} is {value!r}; it must be from 0 to {highest}")
    return int(value)


def serve(app: Flask) -> None:
    """
    Serve on 0.0.0.0 at the port named by ``PORT``, with Flask's development server, as published.

    As PID 1 of a container a process ignores SIGTERM unless it handles it; without the handler
    every ``docker compose down`` would wait for its grace period.
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
