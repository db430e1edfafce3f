"""
Factors, their levels, and the variants that combine them, read from TOML and validated.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIANTS_FILE = Path(__file__).with_name("variants.toml")

FACTORS: dict[str, tuple[str, ...]] = {
    "runtime": ("process", "container"),
    "network": ("bridge", "tiers"),
    "entry": ("direct", "published"),
    "discovery": ("addresses", "names"),
}
"""Every factor with its levels, the plainest first."""

OVERLAYS: dict[tuple[str, str], str] = {
    ("network", "tiers"): "tiers.yaml",
    ("entry", "published"): "published.yaml",
    ("discovery", "names"): "names.yaml",
}
"""The Compose override file, in services/, that realises a level."""

IMPOSSIBLE: tuple[tuple[dict[str, str], str], ...] = (
    (
        {"runtime": "process", "entry": "published"},
        "raw namespaces publish no ports; use entry = 'direct'",
    ),
    (
        {"runtime": "process", "discovery": "names"},
        "raw namespaces have no name server; use discovery = 'addresses'",
    ),
    (
        {"runtime": "container", "network": "tiers"},
        "Docker keeps its bridges apart, so tiers would not reach each other; use 'bridge'",
    ),
)
"""Combinations that no deployment can realise, with the reason."""


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a variant may be called: its name is part of the names of folders."""


@dataclass(frozen=True)
class Variant:
    """
    One level of every factor, under a name.

    ``overlays`` are paths of Compose override files of the user's own.
    """

    name: str
    about: str
    levels: dict[str, str]
    overlays: tuple[Path, ...] = ()

    def compose_files(self, services: Path) -> list[Path]:
        """
        The Compose file and the override files of this variant, in order of precedence.
        """
        chosen = [OVERLAYS[item] for item in self.levels.items() if item in OVERLAYS]
        return [services / name for name in ("compose.yaml", *chosen)] + list(self.overlays)


@dataclass(frozen=True)
class Comparison:
    """
    Two variants to compare: what the treatment differs by from the baseline.
    """

    name: str
    about: str
    baseline: str
    treatment: str


@dataclass(frozen=True)
class VariantsFile:
    """
    Everything that a variants file declares.
    """

    variants: dict[str, Variant]
    groups: dict[str, tuple[str, ...]]
    comparisons: tuple[Comparison, ...]

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
        The declared comparisons between chosen variants; else everything against the first one.
        """
        declared = [
            comparison
            for comparison in self.comparisons
            if comparison.baseline in names and comparison.treatment in names
        ]
        if declared:
            return declared
        return [
            Comparison(f"{name} and {names[0]}", "no comparison is declared", names[0], name)
            for name in names[1:]
        ]


def load_variants(path: Path = VARIANTS_FILE) -> VariantsFile:
    """
    Read and validate a variants file.

    Raises UsageError that names the file, the variant, the key and the value that is wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"there is no variants file {path}"
        raise UsageError(msg) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path} cannot be read as TOML: {error}"
        raise UsageError(msg) from error
    _only_keys(content, {"variants", "groups", "comparisons"}, str(path))
    variants = {
        name: _variant(name, _table(table, f"{path}: variants.{name}"), path)
        for name, table in _table(content.get("variants", {}), f"{path}: variants").items()
    }
    if not variants:
        msg = f"{path} declares no variant; add a table such as [variants.mine]"
        raise UsageError(msg)
    groups = {}
    for name, members in _table(content.get("groups", {}), f"{path}: groups").items():
        groups[name] = tuple(_strings(members, f"{path}: groups.{name}"))
        for member in groups[name]:
            _declared(member, variants, f"{path}: groups.{name}")
    comparisons = content.get("comparisons", [])
    if not isinstance(comparisons, list):
        msg = f"{path}: comparisons must be an array of tables, [[comparisons]]"
        raise UsageError(msg)
    return VariantsFile(
        variants,
        groups,
        tuple(
            _comparison(_table(table, f"{path}: comparison {number}"), variants, path, number)
            for number, table in enumerate(comparisons, start=1)
        ),
    )


def variants_toml(
    variants: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, str]]
) -> str:
    """
    A variants file that declares these: tables with the fields of Variant and of Comparison.
    """

    def toml(value: str | list[str]) -> str:
        # What JSON writes for strings and lists of them is TOML too.
        return json.dumps(value, ensure_ascii=False)

    lines = []
    for variant in variants:
        lines += [f"[variants.{toml(variant['name'])}]", f"about = {toml(variant['about'])}"]
        lines += [f"{factor} = {toml(level)}" for factor, level in variant["levels"].items()]
        lines += [f"overlays = {toml(variant['overlays'])}", ""]
    for comparison in comparisons:
        lines += ["[[comparisons]]", *(f"{key} = {toml(comparison[key])}" for key in comparison)]
        lines.append("")
    return "\n".join(lines)


def _variant(name: str, table: dict[str, Any], path: Path) -> Variant:
    where = f"{path}: variants.{name}"
    if not NAME.fullmatch(name):
        msg = f"{where}: a variant's name has letters, digits, '.', '_' and '-' only"
        raise UsageError(msg)
    _only_keys(table, {"about", "overlays", *FACTORS}, where)
    levels = {}
    for factor, known in FACTORS.items():
        if factor not in table:
            msg = f"{where} has no {factor}; choose one of: {', '.join(known)}"
            raise UsageError(msg)
        if table[factor] not in known:
            msg = f"{where}: {factor} is {table[factor]!r}; it must be one of: {', '.join(known)}"
            raise UsageError(msg)
        levels[factor] = str(table[factor])
    for combination, reason in IMPOSSIBLE:
        if combination.items() <= levels.items():
            named = " with ".join(f"{factor} = {level!r}" for factor, level in combination.items())
            msg = f"{where}: {named} cannot be: {reason}"
            raise UsageError(msg)
    overlays = tuple(
        (path.parent / overlay).resolve()
        for overlay in _strings(table.get("overlays", []), f"{where}.overlays")
    )
    for overlay in overlays:
        if not overlay.is_file():
            msg = f"{where}: overlay {overlay} is not a file"
            raise UsageError(msg)
    return Variant(name, str(table.get("about", "")), levels, overlays)


def _comparison(
    table: dict[str, Any], variants: dict[str, Variant], path: Path, number: int
) -> Comparison:
    where = f"{path}: comparison {number}"
    keys = ("name", "about", "baseline", "treatment")
    _only_keys(table, set(keys), where)
    for key in keys:
        if not isinstance(table.get(key), str):
            msg = f'{where} needs {key} = "…"'
            raise UsageError(msg)
    for key in ("baseline", "treatment"):
        _declared(table[key], variants, f"{where}: {key}")
    return Comparison(*(table[key] for key in keys))


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"{where} must be a table, not {value!r}"
        raise UsageError(msg)
    return value


def _strings(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        msg = f"{where} must be a list of strings, not {value!r}"
        raise UsageError(msg)
    return value


def _only_keys(table: dict[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            msg = f"{where}: unknown key {key!r}; known keys are: {', '.join(sorted(known))}"
            raise UsageError(msg)


def _declared(name: str, variants: dict[str, Variant], where: str) -> None:
    if name not in variants:
        msg = f"{where}: variant {name!r} is not declared; declared are: {', '.join(variants)}"
        raise UsageError(msg)
