"""
Workloads: what they need and what they expect.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from experiments.declare.workloads import choose_workload, contains, load_workloads
from experiments.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_three_workloads_name_their_services() -> None:
    """
    Only what a workload names is started.
    """
    services = {name: workload.services for name, workload in load_workloads().items()}
    assert services == {
        "products": ("gateway", "product-1", "product-2"),
        "orders": ("gateway", "orders", "postgres", "redis"),
        "fixed": ("gateway",),
    }


def test_the_expected_products_are_the_catalogue() -> None:
    """
    The body is compared with the same file that the service reads.
    """
    assert len(choose_workload("products").expect_json["products"]) == 10


def test_an_unknown_workload_is_answered_with_the_known_ones() -> None:
    """
    The error lists what there is.
    """
    with pytest.raises(UsageError, match=r"unknown workload 'x'; .* products, orders, fixed"):
        choose_workload("x")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """
    The error names the file and what is wrong.
    """
    file = tmp_path / "workloads.toml"
    whole = "[workloads.a]\nabout = 'a'\nservices = ['a']\nexpect_json = 1\n"
    for text in (
        *("workloads = 1", "[workloads.a]\npath = '/'", "[", ""),
        f"{whole}path = '/'\nexpect_status = -200",
        f"{whole}path = 3\nexpect_status = 200",
        f"{whole}path = '/'\nexpect_status = 200\npost_json = nan",
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match="does not describe workloads"):
            load_workloads(file)


FIXED = b'{"message": "fixed"}'


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, FIXED, ""),
        (201, FIXED, "status 201, expected 200; the body: "),
        (200, b"", "the body is empty"),
        (200, b"{", "the body is not JSON: {"),
        (200, b"[" * 100_000, "the body is not JSON: "),
        (200, b'{"message": "mixed"}', "but should contain"),
        (200, FIXED + b" ", "the body has 21 bytes, expected 20; .* length_varies"),
    ],
)
def test_a_wrong_answer_is_told_by_status_content_or_length(
    status: int, body: bytes, fault: str
) -> None:
    """
    With the beginning of the body.
    """
    found = choose_workload("fixed").fault_in(status, body, len(FIXED))
    assert re.search(fault, found)
    assert bool(found) is bool(fault)
    assert not fault or body[:20].decode() in found


def test_where_lengths_vary_they_are_not_compared() -> None:
    """
    The first orders have shorter numbers.
    """
    order = {"id": 1000, "product_id": 1, "quantity": 2, "status": "created"}
    orders = choose_workload("orders")
    assert orders.fault_in(201, json.dumps(order).encode(), 10) == ""
    assert orders.fault_in(201, json.dumps(order | {"quantity": 3}).encode(), 10)


@pytest.mark.parametrize(
    ("actual", "expected", "holds"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": [1, {"c": 2, "d": 3}]}}, {"a": {"b": [1, {"c": 2}]}}, True),
        ([1, 2], [1], False),
        ([1], {"a": 1}, False),
        (True, 1, False),
        (1.0, 1, False),
        (None, None, True),
    ],
)
def test_an_answer_holds_the_expected_keys_and_values(
    actual: object, expected: object, *, holds: bool
) -> None:
    """
    Objects by the expected keys, everything else exactly, types included.
    """
    assert contains(actual, expected) is holds
