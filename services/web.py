"""
What every Flask service of the stack shares: JSON errors, /health, settings, start and stop.
"""

from __future__ import annotations

import os
import signal
import sys
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

    return app


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


def serve(app: Flask) -> None:
    """
    Serve on 0.0.0.0 at the port named by ``PORT``, with Flask's development server, as published.

    As PID 1 of a container a process ignores SIGTERM unless it handles it; without the handler
    every ``docker compose down`` would wait for its grace period.
    """

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    port = setting("PORT")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        sys.exit(f"environment variable PORT is {port!r}; it must be a number from 1 to 65535")
    app.run(host="0.0.0.0", port=int(port), threaded=True)
