"""
The figure of latency: a curve and quantiles by schedule, else those of the closed loop.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.latency.figure import latency
from tests.unit.reading import data_of, shown
from tests.unit.samples import details, findings
from tests.unit.topics.samples import loaded, run_of, with_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from analysis.drawing.figure import Figure


def by_schedule(run: Path, latencies_us: Callable[[str], Sequence[int]]) -> Figure:
    """
    The figure of four blocks at 100 requests per second with these latencies.
    """
    made, trials = run_of(["netns", "docker"])
    made = dataclasses.replace(made, common_rate_per_s=100.0)
    return shown(latency(findings(made, with_logs(run, trials, latencies_us), run)))


def test_latency_by_schedule_is_a_curve_and_quantiles(tmp_path: Path) -> None:
    """
    The curve falls, and ends where ten requests of all trials together are left.
    """
    slower = {"netns": 1000, "docker": 1500}
    figure = by_schedule(
        tmp_path, lambda name: [slower[name] + 10 * number for number in range(500)]
    )
    assert "100 requests per second" in figure.title
    rows = [row for row in data_of(figure) if row["variant"] == "docker"]
    curve = {float(row["share_slower"]): float(row["latency_ms"]) for row in rows[3:]}
    assert [row["what"] for row in rows[:3]] == ["p50", "p90", "p99"]
    assert float(rows[0]["latency_ms"]) == pytest.approx(3.99)
    assert min(curve) == pytest.approx(10 / 2000)
    assert all(later >= sooner for later, sooner in pairwise(curve.values()))
    assert "p50 from 3.49 ms (netns) to 3.99 ms (docker)" in figure.alternative


def test_failed_requests_end_the_curve_and_have_no_quantile(tmp_path: Path) -> None:
    """
    They are slower than any latency, and nothing breaks where a quantile is among them.
    """
    figure = by_schedule(tmp_path, lambda _: [*range(1000, 1400), *[-1] * 20, *range(1400, 1480)])
    own = [row for row in data_of(figure) if row["variant"] == "netns"]
    assert {row["what"]: row["latency_ms"] for row in own[:2]}["p90"] == "1.449"
    curve = [float(row["share_slower"]) for row in own if row["what"] == "curve"]
    assert 20 / 500 <= min(curve) < 25 / 500


def test_an_overloaded_variant_has_no_latency(tmp_path: Path) -> None:
    """
    Its queue grows, so what is measured is for how long.
    """
    late = {"netns": 0, "docker": 10_000}
    figure = by_schedule(
        tmp_path, lambda name: [1000 + late[name] * number for number in range(200)]
    )
    assert {row["variant"] for row in data_of(figure)} == {"netns"}
    assert "overloaded: docker" in figure.alternative


def test_without_logs_latency_is_that_of_the_closed_loop(tmp_path: Path) -> None:
    """
    As for several runs together, whose logs are in folders of their own.
    """
    made, trials = run_of(["netns", "docker"], block_count=2, noise={"docker": 30.0})
    figure = latency(findings(made, with_logs(tmp_path, trials, lambda _: [1000] * 20)))
    assert "closed loop" in shown(figure).title
    rows = data_of(figure)
    assert [row["what"] for row in rows] == ["p50", "p90", "p99"] * 2
    # An interval from two blocks may reach below zero, where a logarithmic scale has no place.
    assert float(rows[3]["low_ms"]) < 0


def test_the_closed_loop_has_the_curve_of_the_table_that_ab_prints() -> None:
    """
    Means over trials, by the share of requests that are slower, as far as ten requests are.
    """
    made, trials = run_of(["netns", "docker"], block_count=2)
    tables = {
        name: {50: ms, 90: 2 * ms, 99: 3 * ms, 100: 9 * ms}
        for name, ms in (("netns", 10), ("docker", 20))
    }
    printed = [
        structs.replace(
            each,
            load=structs.replace(
                loaded(each),
                requests_completed=999,
                details=details(percentiles_ms=tables[each.variant]),
            ),
        )
        for each in trials
    ]
    curves: dict[str, list[tuple[str, str]]] = {}
    for row in data_of(latency(findings(made, printed))):
        if row["what"] == "curve":
            point = (row["share_slower"], row["latency_ms"])
            curves.setdefault(row["variant"], []).append(point)
    # Of 999 requests fewer than ten are beyond the 99th percentile.
    assert curves == {
        "netns": [("0.5", "10"), ("0.1", "20")],
        "docker": [("0.5", "20"), ("0.1", "40")],
    }


def test_a_run_without_a_load_has_no_figure() -> None:
    """
    Nothing was waited for.
    """
    made, _ = run_of(["netns", "docker"])
    assert latency(findings(made, [])) is None
