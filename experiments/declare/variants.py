"""
Variants, and the comparisons, ladders and searches over them: declarations only.
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

    ``overlays`` are the user's Compose override files; in a run their paths are relative to it,
    and ``overlays_sha256`` are their digests. A variant with ``every`` N has a trial in every N-th
    block. ``twin_of`` is set for the copy of a baseline that the A/A comparison adds.
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
        The values of the Compose variables in the override files.
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
The roles of a comparison in the answer: both systems equal but for the runtime, or as published.
"""


@dataclass(frozen=True)
class Comparison:
    """
    A comparison of a treatment with its baseline.

    The stopping rule waits for the ``focal`` comparisons. ``role`` is one of ROLES or empty; the
    report's answer uses the comparisons with a role.
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
    The variants that the session of this name measures.

    ``minutes`` maps profiles to time budgets, for groups that need more than the profile's.
    ``agreement`` names variants whose short loads are compared with the load that they represent.
    """

    variants: tuple[str, ...]
    minutes: Mapping[str, float] = field(default_factory=dict)
    agreement: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ladder:
    """
    Variants in order; neighbours differ in exactly one factor.
    """

    name: str
    about: str
    steps: tuple[str, ...]

    def pairs(self) -> list[tuple[str, str]]:
        """
        The pairs of neighbours, the lower one first.
        """
        return list(zip(self.steps, self.steps[1:], strict=False))


@dataclass(frozen=True)
class Whole:
    """
    A difference that the steps of some ladders should add up to; the rest is unexplained.
    """

    name: str
    baseline: str
    treatment: str
    ladders: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """
    A search for the best configuration: it starts from a variant and changes it step by step.

    All candidates of a step are measured in the same ``blocks`` with ``rounds`` rounds each. The
    candidates of the first step include the variants ``also``. The result is the variant ``name``,
    which has a trial in every ``every``-th block.
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
    The declarations of a variants file.
    """

    variants: dict[str, Variant]
    groups: dict[str, Group]
    comparisons: tuple[Comparison, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    wholes: tuple[Whole, ...] = ()
    search: Search | None = None

    def choose(self, names: list[str]) -> list[Variant]:
        """
        The variants of these names in this order, without duplicates.

        Raises UsageError for an unknown name.
        """
        for name in names:
            if name not in self.variants:
                known = ", ".join(self.variants)
                msg = f"unknown variant {name!r}; known variants: {known}"
                raise UsageError(msg)
        return [self.variants[name] for name in dict.fromkeys(names)]

    def comparisons_among(self, names: list[str]) -> list[Comparison]:
        """
        The declared comparisons between these variants.

        If there is neither a comparison nor a ladder, every variant is compared with the first.
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
        The declared ladders whose steps are all among these variants.
        """
        return [ladder for ladder in self.ladders if set(ladder.steps) <= set(names)]

    def wholes_among(self, names: list[str]) -> list[Whole]:
        """
        The declared wholes whose ends and ladders are all among these variants.
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
    A pair of variants and the half-width that its confidence interval must reach.
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
    Variants and comparisons, extended by an A/A comparison: a baseline with its copy.

    The baseline is that of the first comparison, or the first step of the first ladder, but never
    the variant ``searched``, whose levels are unknown before the search. Nothing is added if two
    equal variants are compared already, or if nothing is compared.
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


def doses(variants: Sequence[Variant], factors: Sequence[str], plain: str) -> list[tuple[str, str]]:
    """
    Pairs of a variant without and a variant with a dose of one of these factors, otherwise equal.

    Without a dose, the level of each of these factors is ``plain``. Other levels that a factor
    lists are no doses of it.
    """

    def without(levels: Mapping[str, str]) -> dict[str, str]:
        return {name: level for name, level in levels.items() if name not in factors}

    def of(levels: Mapping[str, str]) -> set[str]:
        return {levels[name] for name in factors} - {plain}

    listed = {level for name in factors for level in FACTORS[name].levels}
    bases = [each for each in variants if not of(each.levels) and not each.twin_of]
    return [
        (base.name, each.name)
        for each in variants
        if of(each.levels) and not of(each.levels) & listed
        for base in bases
        if without(base.levels) == without(each.levels) and base.overlays == each.overlays
    ]


def focal_pairs(
    comparisons: Sequence[Comparison], ladders: Sequence[Ladder]
) -> list[tuple[str, str]]:
    """
    The pairs (baseline, treatment) of the focal comparisons and of the ladders' steps.

    If there are none, the pairs of all comparisons.
    """
    chosen = [(each.baseline, each.treatment) for each in comparisons if each.focal]
    chosen += [pair for ladder in ladders for pair in ladder.pairs()]
    others = [(each.baseline, each.treatment) for each in comparisons if each.name != CONTROL]
    return list(dict.fromkeys(chosen or others))
