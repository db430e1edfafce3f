"""
The services by themselves: answers, validated input, errors as JSON.
"""

from __future__ import annotations

import importlib
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import make_server

from experiments.declare.workloads import choose_workload, contains
from services import product
from services.gateway import RoundRobin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask.testing import FlaskClient


def gateway_with(monkeypatch: pytest.MonkeyPatch, **settings: str) -> FlaskClient:
    """
    A gateway as these settings make it.
    """
    for name in ("PRODUCT_BACKENDS", "ORDER_BACKENDS", "CALLS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    module = importlib.reload(importlib.import_module("services.gateway"))
    client: FlaskClient = module.app.test_client()
    return client


@pytest.fixture
def product_url() -> Iterator[str]:
    """
    A real product service on a loopback port of the kernel's choice.
    """
    server = make_server("127.0.0.1", 0, product.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def orders_app(monkeypatch: pytest.MonkeyPatch) -> Flask:
    """
    The orders service, with stores at a port where nothing listens.
    """
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGUSER", "nobody")
    module = importlib.import_module("services.orders")
    app: Flask = module.app
    return app


def error_of(response: Any) -> str:  # noqa: ANN401 - werkzeug's test response
    """
    The message of a JSON error, whose status is the response's.
    """
    body = json.loads(response.data)
    assert body["error"]["status"] == response.status_code
    return str(body["error"]["message"])


def test_the_product_service_answers_what_the_workload_expects() -> None:
    """
    The list whole, and one product by its id.
    """
    client = product.app.test_client()
    workload = choose_workload("products")
    assert contains(client.get(workload.path).json, workload.expect_json)
    assert client.get("/api/products/3").json == workload.expect_json["products"][2]
    assert client.get("/health").json == {"status": "ok", "service": "product"}


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/products/abc", 400, "'abc' is not a whole number"),
        ("/api/products/-1", 400, "'-1' is not a whole number"),
        ("/api/products/\u0663", 400, "is not a whole number"),
        ("/api/products/11", 404, "there is no product 11"),
        ("/api/products/" + "9" * 5000, 404, "there is no product 999"),
        ("/nowhere", 404, "not found"),
    ],
)
def test_a_bad_product_request_is_a_json_error(path: str, status: int, message: str) -> None:
    """
    With a status that says whose fault it is.
    """
    response = product.app.test_client().get(path)
    assert response.status_code == status
    assert message in error_of(response)


def test_the_gateway_passes_products_on(monkeypatch: pytest.MonkeyPatch, product_url: str) -> None:
    """
    Body, status and content type are the backend's.
    """
    client = gateway_with(monkeypatch, PRODUCT_BACKENDS=product_url)
    workload = choose_workload("products")
    response = client.get(workload.path)
    assert contains(response.json, workload.expect_json)
    assert response.content_type == "application/json"
    assert client.get("/api/products/x").status_code == 400


@pytest.mark.parametrize(("settings", "calls"), [({}, 1), ({"CALLS": "1"}, 1), ({"CALLS": "8"}, 8)])
def test_the_gateway_makes_as_many_calls_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch, product_url: str, settings: dict[str, str], calls: int
) -> None:
    """
    One if it is told nothing, and the answer is the same for any number.
    """
    seen: list[str] = []
    product.app.before_request_funcs.setdefault(None, []).append(lambda: seen.append("call"))
    try:
        client = gateway_with(monkeypatch, PRODUCT_BACKENDS=product_url, **settings)
        workload = choose_workload("products")
        response = client.get(workload.path)
    finally:
        product.app.before_request_funcs[None].pop()
    assert len(seen) == calls
    assert response.data == product.app.test_client().get(workload.path).data
    assert (response.status, response.content_type) == ("200 OK", "application/json")


def test_a_bad_answer_among_several_is_the_answer(
    monkeypatch: pytest.MonkeyPatch, product_url: str
) -> None:
    """
    A later good one does not hide it.
    """
    urls = f"{product_url},http://127.0.0.1:1,{product_url}"
    client = gateway_with(monkeypatch, PRODUCT_BACKENDS=urls, CALLS="4")
    assert client.get("/api/products").status_code == 502


@pytest.mark.parametrize("calls", ["0", "9", "two"])
def test_a_number_of_calls_that_is_none_stops_the_gateway(
    monkeypatch: pytest.MonkeyPatch, calls: str
) -> None:
    """
    With what it may be.
    """
    with pytest.raises(SystemExit, match=f"CALLS is '{calls}'; it must be from 1 to 8"):
        gateway_with(monkeypatch, CALLS=calls)


def test_the_gateway_answers_the_fixed_body_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without any backend.
    """
    client = gateway_with(monkeypatch)
    assert client.get("/api/fixed").json == {"message": "fixed"}


def test_a_backend_that_is_not_there_is_502_and_none_at_all_503(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    As JSON, with the backend's address.
    """
    client = gateway_with(monkeypatch, PRODUCT_BACKENDS="http://127.0.0.1:1")
    response = client.get("/api/products")
    assert response.status_code == 502
    assert "http://127.0.0.1:1 cannot be reached" in error_of(response)
    response = client.get("/api/orders")
    assert response.status_code == 503
    assert "no order backend is configured" in error_of(response)


def test_backends_are_taken_in_turn() -> None:
    """
    Round-robin, also from many threads at once.
    """
    pool = RoundRobin(["a", "b"])
    assert [pool.next() for _ in range(4)] == ["a", "b", "a", "b"]
    taken: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(pool.next() for _ in range(50)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count("a") == taken.count("b") == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "the body must be JSON"),
        ([1], "the body must be JSON"),
        ({"quantity": 1}, "product_id is None"),
        ({"product_id": 1, "quantity": 0}, "quantity is 0; .* from 1 to 10000"),
        ({"product_id": 1, "quantity": True}, "quantity is True"),
        ({"product_id": "1", "quantity": 1}, "product_id is '1'"),
        ({"product_id": 2**31, "quantity": 1}, "product_id is 2147483648"),
    ],
)
def test_a_bad_order_is_refused_before_any_store_is_asked(
    orders_app: Flask, body: object, message: str
) -> None:
    """
    With the field, its value and what it may be.
    """
    response = orders_app.test_client().post("/api/orders", json=body)
    assert response.status_code == 400
    assert re.search(message, error_of(response))


def test_an_order_id_that_is_no_number_is_refused(orders_app: Flask) -> None:
    """
    Before any store is asked.
    """
    assert orders_app.test_client().get("/api/orders/1e3").status_code == 400


def test_a_store_that_is_down_is_503(orders_app: Flask) -> None:
    """
    Not an unhandled error.
    """
    response = orders_app.test_client().post("/api/orders", json={"product_id": 1, "quantity": 1})
    assert response.status_code == 503
    assert "a store is unavailable" in error_of(response)


def test_a_missing_setting_stops_the_service_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Rather than serving somewhere else.
    """
    web = importlib.import_module("services.web")
    monkeypatch.delenv("PORT", raising=False)
    with pytest.raises(SystemExit, match="environment variable PORT is not set"):
        web.serve(product.app)
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SystemExit, match="PORT is 'http'; it must be a number"):
        web.serve(product.app)


def test_a_worker_that_was_frozen_is_not_killed_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It gives no sign of life meanwhile, for as long as others of its block are loaded.
    """
    monkeypatch.setenv("PORT", "3000")
    settings = importlib.reload(importlib.import_module("services.gunicorn_settings"))
    assert settings.timeout >= 3600
