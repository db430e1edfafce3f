"""
The orders service: orders in PostgreSQL, single orders cached in Redis.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import redis
from flask import Response, jsonify, request
from psycopg.rows import dict_row

from services.web import create_app, json_error, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

LIST_LIMIT = 100
MAX_QUANTITY = 10_000
MAX_ID = 2**31 - 1
CACHE_SECONDS = 60

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id serial PRIMARY KEY,
    product_id integer NOT NULL,
    quantity integer NOT NULL,
    status text NOT NULL DEFAULT 'created'
)
"""

app = create_app("orders")
cache = redis.Redis(host=setting("REDIS_HOST", "127.0.0.1"), decode_responses=True)


class Schema:
    """
    Creates the table once per process.
    """

    def __init__(self) -> None:
        """
        Create nothing yet.
        """
        self._lock = threading.Lock()
        self._made = False

    def ensure(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        """
        Create the table, unless this process has done so.
        """
        with self._lock:
            if not self._made:
                connection.execute(SCHEMA)
                self._made = True


schema = Schema()


def connect() -> psycopg.Connection[dict[str, Any]]:
    """
    Connect by libpq's environment variables (PGHOST, PGUSER, …) and ensure the table.
    """
    connection: psycopg.Connection[dict[str, Any]] = psycopg.connect(
        autocommit=True, connect_timeout=5, row_factory=dict_row
    )
    schema.ensure(connection)
    return connection


def remember(order: Mapping[str, Any]) -> None:
    """
    Put an order into the cache.
    """
    cache.set(f"order:{order['id']}", json.dumps(order), ex=CACHE_SECONDS)


@app.errorhandler(psycopg.OperationalError)
@app.errorhandler(redis.RedisError)
def store_unavailable(error: Exception) -> tuple[Response, int]:
    """
    Answer 503 if a store is unavailable, and log the store's message.
    """
    app.logger.error("store unavailable: %s", error)
    return json_error(503, f"a store is unavailable ({type(error).__name__})")


@app.post("/api/orders")
def create_order() -> tuple[Response, int]:
    """
    Create an order from ``{"product_id": …, "quantity": …}``; 400 if either is invalid.
    """
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        return json_error(400, 'the body must be JSON: {"product_id": 1, "quantity": 2}')
    for field, highest in (("product_id", MAX_ID), ("quantity", MAX_QUANTITY)):
        value = body.get(field)
        if type(value) is not int or not 0 < value <= highest:
            return json_error(
                400, f"{field} is {value!r}; it must be a whole number from 1 to {highest}"
            )
    with connect() as connection:
        order = connection.execute(
            "INSERT INTO orders (product_id, quantity) VALUES (%s, %s)"
            " RETURNING id, product_id, quantity, status",
            (body["product_id"], body["quantity"]),
        ).fetchone()
    if order is None:
        return json_error(500, "the order was not stored")
    remember(order)
    return jsonify(order), 201


@app.get("/api/orders")
def list_orders() -> Response:
    """
    The newest ``LIST_LIMIT`` orders.
    """
    with connect() as connection:
        orders = connection.execute(
            "SELECT id, product_id, quantity, status FROM orders ORDER BY id DESC LIMIT %s",
            (LIST_LIMIT,),
        ).fetchall()
    return jsonify(orders=orders)


@app.get("/api/orders/<order_id>")
def get_order(order_id: str) -> Response | tuple[Response, int]:
    """
    One order, from the cache if possible; 400 for a malformed id, 404 for an unknown one.
    """
    if not (order_id.isascii() and order_id.isdecimal()):
        return json_error(400, f"order id {order_id!r} is not a whole number")
    cached = cache.get(f"order:{order_id}")
    if isinstance(cached, str):
        return jsonify(json.loads(cached))
    order = None
    if int(order_id[:12]) <= MAX_ID:
        with connect() as connection:
            order = connection.execute(
                "SELECT id, product_id, quantity, status FROM orders WHERE id = %s",
                (int(order_id),),
            ).fetchone()
    if order is None:
        return json_error(404, f"there is no order {order_id}")
    remember(order)
    return jsonify(order)
