"""
The bounded search: what it tries, what it keeps, and that the seed decides its order.
"""

from __future__ import annotations

import pytest

from experiments.search import as_record, search
from experiments.variants import Search, Variant
from experiments.variants_file import load_variants

START = load_variants().variants["docker-as-published"]
WANTED = Search(
    name="best",
    about="",
    start="docker-as-published",
    pairs=2,
    changes=(
        {"server": "gunicorn"},
        {"network": "host", "entry": "direct", "discovery": "addresses"},
        {"discovery": "addresses"},
        {"userland_proxy": "off"},
        {"stdio": "docker-none"},
    ),
)


def cost(variant: Variant) -> float:
    """
    A machine on which gunicorn is dearer, and host network and no log cheaper.
    """
    levels = variant.levels
    us = 1000.0
    us += 100 * (levels["server"] == "gunicorn")
    us -= 200 * (levels["network"] == "host")
    us -= 50 * (levels["stdio"] == "docker-none")
    return us


def test_what_is_faster_is_kept_and_the_rest_is_not() -> None:
    """
    Each change on top of what was kept before; what makes no sense is not tried.
    """
    tried: list[Variant] = []

    def measure(variant: Variant) -> float:
        tried.append(variant)
        return cost(variant)

    levels, outcomes = search(WANTED, START, 1, measure)
    assert [outcome.kept for outcome in outcomes] == [False, True, False, False, True]
    assert (levels["server"], levels["network"], levels["stdio"]) == (
        "werkzeug",
        "host",
        "docker-none",
    )
    assert "it is so already" in outcomes[2].note
    assert "no docker-proxy to switch off" in outcomes[3].note
    assert len(tried) == 3 * 2 * WANTED.pairs
    assert len(outcomes[1].log_ratios) == WANTED.pairs


def test_the_order_within_a_pair_is_random_and_the_seed_decides_it() -> None:
    """
    So that a drift does not choose.
    """

    def order(seed: int) -> list[str]:
        names: list[str] = []

        def measure(variant: Variant) -> float:
            names.append(variant.name)
            return cost(variant)

        search(WANTED, START, seed, measure)
        return names

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(8)}) > 1


def test_a_change_whose_trials_fail_is_not_kept() -> None:
    """
    And the search goes on.
    """

    def measure(variant: Variant) -> float | None:
        return None if variant.levels["network"] == "host" else cost(variant)

    levels, outcomes = search(WANTED, START, 1, measure)
    assert levels["network"] == "bridge"
    assert outcomes[1].note == "its trials failed"
    record = as_record(WANTED, levels, outcomes)
    assert record["levels"] == levels
    assert record["outcomes"][1]["log_ratios"] == []


def test_the_declared_search_changes_levels_that_there_are() -> None:
    """
    From a variant that is part of the group, by changes of which none is impossible at the start.
    """
    declared = load_variants()
    assert declared.search is not None
    assert declared.search.name in declared.groups["optimized"].variants
    assert declared.search.start in declared.groups["optimized"].variants
    levels, outcomes = search(declared.search, START, 1, cost)
    assert levels["network"] == "host"
    assert any(outcome.kept for outcome in outcomes)
    assert pytest.approx(1000 - 200 - 50) == cost(Variant("", "", levels))
