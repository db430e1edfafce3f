"""
The registry service: known instances of each service, in memory, as published.

No workload uses it; the published system has it.
"""

from __future__ import annotations

from threading import Lock

from flask import Response, jsonify, request

from services.web import create_app, json_error

MAX_INSTANCES = 1000

app = create_app("registry")
_instances: dict[str, set[str]] = {}
_lock = Lock()


@app.get("/v1/services")
def list_services() -> Response:
    """
    Every service with its instances' addresses, sorted.
    """
    with _lock:
        return jsonify({name: sorted(addresses) for name, addresses in _instances.items()})


@app.get("/v1/services/<name>")
def get_service(name: str) -> Response | tuple[Response, int]:
    """
    The instances of one service; 404 if none is registered.
    """
    with _lock:
        addresses = sorted(_instances.get(name, ()))
    if not addresses:
        return json_error(404, f"no instance of {name!r} is registered")
    return jsonify(service=name, instances=addresses)


@app.put("/v1/services/<name>")
def register(name: str) -> Response | tuple[Response, int]:
    """
    Register ``{"address": "host:port"}`` as an instance of the service; 400 if malformed.
    """
    body = request.get_json(silent=True)
    address = body.get("address") if isinstance(body, dict) else None
    if not isinstance(address, str):
        return json_error(400, 'the body must be JSON: {"address": "host:port"}')
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port[:6]) < 65536:
        return json_error(400, f"address {address!r} is not host:port")
    with _lock:
        if sum(map(len, _instances.values())) >= MAX_INSTANCES:
            return json_error(507, f"the registry is full ({MAX_INSTANCES} instances)")
        _instances.setdefault(name, set()).add(address)
    return jsonify(service=name, address=address)
