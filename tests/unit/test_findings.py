"""
Findings: each thing is computed once, however many parts of a report ask for it.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from analysis import findings as module
from analysis.findings import Findings
from analysis.report.gallery import figures
from analysis.report.markdown import render
from analysis.report.verdicts_json import verdicts_json
from analysis.statistics import estimates
from tests.unit.samples import findings, manifest
from tests.unit.topics.samples import VARIANTS, run_of, with_logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis.statistics.estimates import Difference, Trials

ONCE = (
    *("at_equal_place", "comparisons", "climb", "changes", "answer", "cpu_comparisons", "doses"),
    *("latencies", "warm_up", "claims", "recoveries", "agreements", "short_against_at_once"),
    *("place_term", "by_place", "resampled"),
)
"""What computes one thing of a whole run."""


def counted(monkeypatch: pytest.MonkeyPatch, name: str, calls: Counter[str]) -> None:
    """
    Count the calls of a function by which findings are made.
    """
    real: Callable[..., object] = getattr(module, name)

    def counting(*arguments: object, **named: object) -> object:
        calls[name] += 1
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, counting)


def test_each_thing_is_computed_once_for_report_figures_and_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Whoever asks first computes it.
    """
    made, trials = run_of([*VARIANTS][:5])
    calls: Counter[str] = Counter()
    for name in ONCE:
        counted(monkeypatch, name, calls)
    logged = with_logs(tmp_path, trials, lambda _: [1000] * 20)
    found = findings(made, logged, tmp_path)
    for _ in range(2):
        render(found, figures(found), "figures")
        verdicts_json(found)
    assert calls == Counter(ONCE)


def test_each_pair_of_variants_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Comparisons, ladders, limits and changes share their differences.
    """
    found = findings(*run_of([*VARIANTS][:5]))
    pairs: Counter[tuple[str, str]] = Counter()
    real = estimates._difference

    def counting(one: str, other: str, trials: Trials) -> Difference | None:
        # Cold starts are compared too, and are other loads.
        pairs[one, other] += trials is found.at_equal_place
        return real(one, other, trials)

    monkeypatch.setattr(estimates, "_difference", counting)
    for _ in range(2):
        render(found, figures(found), "figures")
    assert {("netns", "docker"), ("netns", "netns-cpus-0.5"), ("netns", "docker-host")} <= set(
        pairs
    )
    assert set(pairs.values()) == {1}


def test_what_nobody_asks_for_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A broken log is no error where nobody looks at latencies.
    """
    calls: Counter[str] = Counter()
    for name in ONCE:
        counted(monkeypatch, name, calls)
    found = findings(*run_of(["netns", "docker"]))
    assert calls == Counter()
    assert found.comparisons
    assert set(calls) == {"comparisons", "at_equal_place"}


@pytest.mark.parametrize(
    "name", [name for name, each in vars(Findings).items() if isinstance(each, cached_property)]
)
def test_everything_can_be_asked_of_a_run_without_trials(name: str) -> None:
    """
    And is the same thing the next time.
    """
    found = findings(manifest(), [])
    assert getattr(found, name) is getattr(found, name)
