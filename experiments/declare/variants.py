"""
Variants, and what is compared with what: declarations only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003 - the loader of records looks the type up
from typing import TYPE_CHECKING

from experiments.declare.factors import FACTORS
from experiments.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Variant:
    """
    One level of every factor, under a name.

    ``overlays`` are paths of Compose override files of the user's own, in a run relative to it and
    with their SHA-256; a variant with ``every`` N has a trial in every N-th block only. ``twin_of``
    names the one that it was added to be the same as; it is declared nowhere.
    """

    name: str
    about: str
    levels: dict[str, str]
    overlays: tuple[Path, ...] = ()
    every: int = 1
    twin_of: str = ""
    overlays_sha256: tuple[str, ...] = ()

    def compose_files(self, services: Path) -> list[Path]:
        """
        The Compose file and the override files of this variant, in order of precedence.
        """
        chosen = [factor.overlay(self.levels[name]) for name, factor in FACTORS.items()]
        names = ["compose.yaml", *(name for name in chosen if name)]
        return [services / name for name in names] + list(self.overlays)

    def variables(self) -> dict[str, str]:
        """
        What Compose puts in for the variables of the override files.
        """
        return {
            factor.variable: self.levels[name]
            for name, factor in FACTORS.items()
            if factor.variable
        }


MATCHED = "matched"
PUBLISHED = "published"
ROLES = (MATCHED, PUBLISHED)
"""
What a comparison can be for the answer: of systems alike in all but the runtime, or as published.
"""


@dataclass(frozen=True)
class Comparison:
    """
    Two variants to compare: what the treatment differs by from the baseline.

    A run goes on until its ``focal`` comparisons are known well enough. ``role`` is one of ROLES,
    or empty; the report's answer is about the comparisons in these roles.
    """

    name: str
    about: str
    baseline: str
    treatment: str
    focal: bool = False
    role: str = ""


@dataclass(frozen=True)
class Group:
    """
    What a session of this name stands for.

    ``minutes`` maps profiles to budgets of its own, for groups that need more than a profile gives.
    By the variants of ``agreement`` short loads are held against what they stand for.
    """

    variants: tuple[str, ...]
    minutes: Mapping[str, float] = field(default_factory=dict)
    agreement: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ladder:
    """
    Variants in order, of which neighbours differ in exactly one factor.
    """

    name: str
    about: str
    steps: tuple[str, ...]

    def pairs(self) -> list[tuple[str, str]]:
        """
        Neighbours, the lower one first.
        """
        return list(zip(self.steps, self.steps[1:], strict=False))


@dataclass(frozen=True)
class Whole:
    """
    A difference that the steps of some ladders should add up to; what they leave is unexplained.
    """

    name: str
    baseline: str
    treatment: str
    ladders: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """
    A search for the best configuration: from a variant, by changes, step by step.

    All candidates of a step are measured in the same ``blocks``, in so many ``rounds``; in the
    first step they include ``also``, variants that are to be beaten. What it finds becomes the
    variant ``name``, with a trial in every so many blocks.
    """

    name: str
    about: str
    start: str
    changes: tuple[dict[str, str], ...]
    also: tuple[str, ...] = ()
    blocks: int = 1
    rounds: int = 6
    every: int = 1


@dataclass(frozen=True)
class VariantsFile:
    """
    Everything that a variants file declares.
    """

    variants: dict[str, Variant]
    groups: dict[str, Group]
    comparisons: tuple[Comparison, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    wholes: tuple[Whole, ...] = ()
    search: Search | None = None

    def choose(self, names: list[str]) -> list[Variant]:
        """
        The variants of these names, each once, in this order.

        Raises UsageError for a name that is not declared.
        """
        for name in names:
            if name not in self.variants:
                known = ", ".join(self.variants)
                msg = f"unknown variant {name!r}; the known ones are: {known}"
                raise UsageError(msg)
        return [self.variants[name] for name in dict.fromkeys(names)]

    def comparisons_among(self, names: list[str]) -> list[Comparison]:
        """
        The declared comparisons between chosen variants.

        Where neither those nor a ladder compare anything, everything is compared with the first.
        """
        declared = [
            comparison
            for comparison in self.comparisons
            if comparison.baseline in names and comparison.treatment in names
        ]
        if declared or self.ladders_among(names):
            return declared
        return [
            Comparison(f"{name} and {names[0]}", self.variants[name].about, names[0], name)
            for name in names[1:]
        ]

    def ladders_among(self, names: list[str]) -> list[Ladder]:
        """
        The declared ladders of which all steps were chosen.
        """
        return [ladder for ladder in self.ladders if set(ladder.steps) <= set(names)]

    def wholes_among(self, names: list[str]) -> list[Whole]:
        """
        The declared wholes whose two ends and ladders were chosen.
        """
        ladders = {ladder.name for ladder in self.ladders_among(names)}
        return [
            whole
            for whole in self.wholes
            if {whole.baseline, whole.treatment} <= set(names) and set(whole.ladders) <= ladders
        ]


@dataclass(frozen=True)
class Target:
    """
    A pair, and the half-width that its interval is to reach.
    """

    baseline: str
    treatment: str
    half_width: float


CONTROL = "A/A"
"""The name of the comparison of a variant with itself."""


def with_control(
    variants: Sequence[Variant],
    comparisons: Sequence[Comparison],
    ladders: Sequence[Ladder],
    searched: str = "",
) -> tuple[list[Variant], list[Comparison]]:
    """
    Variants and comparisons, with a baseline twice: what the instrument makes of no difference.

    That is the first comparison's, or the foot of the first ladder, but not what is ``searched``
    for, whose levels are not known yet. Nothing is added where a comparison is of two equal
    variants already, or where nothing is compared at all.
    """
    levels = {each.name: (each.levels, each.overlays) for each in variants}
    equal = [
        each
        for each in comparisons
        if searched not in {each.baseline, each.treatment}
        and levels[each.baseline] == levels[each.treatment]
    ]
    names = [each.baseline for each in comparisons] + [each.steps[0] for each in ladders]
    baselines = [name for name in names if name != searched]
    if equal or not baselines:
        return list(variants), list(comparisons)
    first = next(variant for variant in variants if variant.name == baselines[0])
    name = f"{first.name}-again"
    while name in levels:
        name += "-again"
    about = f"{first.name} once more, to see what no difference is"
    twin = replace(first, name=name, about=about, twin_of=first.name)
    control = Comparison(
        CONTROL,
        "the same variant twice: what this instrument makes of no difference",
        first.name,
        name,
    )
    return [*variants, twin], [*comparisons, control]


def doses(variants: Sequence[Variant], factors: Sequence[str]) -> list[tuple[str, str]]:
    """
    Pairs of a variant with a dose of one of these factors, after the one that differs in it alone.

    That has the factor's plainest level, or "0" where another dose of its kind has.
    """

    def without(levels: Mapping[str, str]) -> dict[str, str]:
        return {name: level for name, level in levels.items() if name not in factors}

    def is_plain(levels: Mapping[str, str]) -> bool:
        return all(levels[name] in {FACTORS[name].levels[0], "0"} for name in factors)

    plain = [each for each in variants if is_plain(each.levels) and not each.twin_of]
    return [
        (base.name, each.name)
        for each in variants
        if not is_plain(each.levels)
        for base in plain
        if without(base.levels) == without(each.levels) and base.overlays == each.overlays
    ]


def focal_pairs(
    comparisons: Sequence[Comparison], ladders: Sequence[Ladder]
) -> list[tuple[str, str]]:
    """
    Pairs of baseline and treatment that a run is for: focal comparisons and the ladders' steps.

    Where no comparison is focal and there is no ladder, all of them are.
    """
    chosen = [(each.baseline, each.treatment) for each in comparisons if each.focal]
    chosen += [pair for ladder in ladders for pair in ladder.pairs()]
    others = [(each.baseline, each.treatment) for each in comparisons if each.name != CONTROL]
    return list(dict.fromkeys(chosen or others))
