"""
Small runs to be verified against each other.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from analysis.run import Run
from experiments.declare.variants import Comparison, Variant
from tests.unit.samples import manifest, stored, trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

PATTERN = (-1.4, 1.2, 0.3, -0.8, 1.5, -0.2, 0.9, -1.1, -0.6, 0.7, 0.4, -0.9)
"""Twelve blocks with a mean of zero and, about, a standard deviation of one."""

CLEAR = (0.25, 0.01)
NONE = (0.0, 0.01)
OPEN = (0.25, 0.6)
"""Mean and spread of a log-ratio: slower by far, equivalent within two per cent, cannot tell."""


def logs(mean: float, spread: float, blocks: int = len(PATTERN)) -> list[float]:
    """
    Log-ratios of so many blocks.
    """
    return [mean + spread * each for each in PATTERN[:blocks]]


def trials_of(arms: Mapping[str, Sequence[float]]) -> list[TrialRecord]:
    """
    Blocks with a trial of netns and of every arm, by the arms' log-ratios to netns.
    """
    made: list[TrialRecord] = []
    for block in range(max(map(len, arms.values()))):
        rates = {"netns": 250.0}
        rates |= {name: 250 / math.exp(each[block]) for name, each in arms.items()}
        for name, rate in rates.items():
            made.append(trial(len(made) + 1, block + 1, name, rate))
    return made


def plan(name: str, **changes: Any) -> Manifest:  # noqa: ANN401 - the manifest's own fields
    """
    A run of one focal pair and of the baseline's twin.
    """
    made = manifest(blocks=len(PATTERN))
    twin = dataclasses.replace(made.variants[0], name="netns-again")
    control = Comparison("A/A", "", "netns", "netns-again")
    settled: dict[str, Any] = {
        "run": name,
        "created_at": float(sum(map(ord, name))),
        "variants": [*made.variants, twin],
        "comparisons": [*made.comparisons, control],
        "focal": [("netns", "docker")],
        **changes,
    }
    return dataclasses.replace(made, **settled)


def run(
    folder: Path,
    effect: tuple[float, float] = CLEAR,
    control: tuple[float, float] = NONE,
    **changes: Any,  # noqa: ANN401 - the manifest's own fields
) -> Run:
    """
    A run whose focal effect has this mean and spread.
    """
    arms = {"docker": logs(*effect), "netns-again": logs(*control)}
    return Run(plan(folder.name, **changes), trials_of(arms), folder)


def written(made: Run) -> Run:
    """
    The same run, on the disk.
    """
    folder = made.folder
    assert folder is not None
    stored(folder, made.manifest, made.trials)
    return made


def with_variants(made: Run, effects: dict[str, tuple[float, float]]) -> Run:
    """
    The run with more variants, each compared with netns; nothing of it focal.
    """
    variants = [Variant(name, "", {"runtime": name}) for name in effects]
    pairs = [Comparison(name, "", "netns", name) for name in effects]
    more = trials_of({name: logs(*effect) for name, effect in effects.items()})
    return dataclasses.replace(
        made,
        manifest=dataclasses.replace(
            made.manifest,
            variants=[*made.manifest.variants, *variants],
            comparisons=[*made.manifest.comparisons, *pairs],
        ),
        trials=[*made.trials, *(each for each in more if each.variant != "netns")],
    )
