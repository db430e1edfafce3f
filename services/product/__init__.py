"""
The product service: a constant catalogue in memory, without a store, as published.
"""

from __future__ import annotations

import json
from pathlib import Path

from flask import Response, jsonify

from services.web import create_app, json_error

CATALOGUE: list[dict[str, object]] = json.loads(
    (Path(__file__).parent / "catalogue.json").read_text(encoding="utf-8")
)["products"]
BY_ID = {product["id"]: product for product in CATALOGUE}

app = create_app("product")


@app.get("/api/products")
def list_products() -> Response:
    """
    The whole catalogue: ``{"products": [...]}``.
    """
    return jsonify(products=CATALOGUE)


@app.get("/api/products/<product_id>")
def get_product(product_id: str) -> Response | tuple[Response, int]:
    """
    One product; 400 for a malformed id, 404 for an unknown one.
    """
    if not (product_id.isascii() and product_id.isdecimal()):
        return json_error(400, f"product id {product_id!r} is not a whole number")
    product = BY_ID.get(int(product_id[:18]))
    if product is None:
        return json_error(404, f"there is no product {product_id}")
    return jsonify(product)
