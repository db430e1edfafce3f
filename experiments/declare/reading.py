"""
The variants file: TOML, read and validated.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.declare.factors import FACTORS, different, impossible
from experiments.declare.profiles import PROFILES
from experiments.declare.variants import (
    ROLES,
    Comparison,
    Group,
    Ladder,
    Search,
    Variant,
    VariantsFile,
    Whole,
)
from experiments.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIANTS_FILE = Path(__file__).with_name("variants.toml")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Allowed names of variants: a name is part of the names of folders."""


LARGEST = 1_000_000
"""No number of a variants file is larger: blocks, rounds, minutes."""


def load_variants(path: Path = VARIANTS_FILE) -> VariantsFile:
    """
    Read and validate a variants file.

    Raises UsageError with the file, the variant, the key and the wrong value.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"there is no variants file {path}"
        raise UsageError(msg) from error
    except (OSError, ValueError, RecursionError) as error:
        msg = f"cannot read {path} as TOML: {error}"
        raise UsageError(msg) from error
    known_keys = {"variants", "groups", "comparisons", "ladders", "wholes", "search"}
    _only_keys(content, known_keys, str(path))
    tables = {
        name: _table(table, f"{path}: variants.{name}")
        for name, table in _table(content.get("variants", {}), f"{path}: variants").items()
    }
    if not tables:
        msg = f"{path} declares no variant; add a table such as [variants.mine]"
        raise UsageError(msg)
    variants = {name: _variant(name, _inherited(name, tables, path), path) for name in tables}
    search = _search(content, variants, f"{path}: search")
    if search is not None:
        start = variants[search.start]
        variants[search.name] = dataclasses.replace(
            start, name=search.name, about=search.about, every=search.every
        )
    ladders = [
        _ladder(table, variants, where) for table, where in _tables(content, path, "ladders")
    ]
    known = {ladder.name for ladder in ladders}
    if len(known) < len(ladders):
        msg = f"{path}: two ladders have the same name; give each a name of its own"
        raise UsageError(msg)
    return VariantsFile(
        variants,
        {
            name: _group(value, variants, f"{path}: groups.{name}")
            for name, value in _table(content.get("groups", {}), f"{path}: groups").items()
        },
        _comparisons(content, variants, path),
        tuple(ladders),
        tuple(
            _whole(table, variants, known, where)
            for table, where in _tables(content, path, "wholes")
        ),
        search,
    )


def _inherited(
    name: str, tables: dict[str, dict[str, Any]], path: Path, seen: tuple[str, ...] = ()
) -> dict[str, Any]:
    """
    A variant's table, with missing levels taken from the variant that ``like`` names.

    ``like`` may also name a variant of the project's own file.
    """
    table = dict(tables[name])
    like = table.pop("like", None)
    if like is None:
        return table
    where = f"{path}: variants.{name}"
    if not isinstance(like, str):
        msg = f"{where}: like is {like!r}; it must be the name of a variant"
        raise UsageError(msg)
    if like not in tables:
        shipped = _shipped() if path != VARIANTS_FILE else {}
        if like not in shipped:
            msg = f"{where}: like = {like!r} names no declared variant"
            raise UsageError(msg)
        return _levels(_inherited(like, shipped, VARIANTS_FILE)) | table
    if like in (*seen, name):
        msg = f"{where}: like = {like!r} leads back to the variant itself"
        raise UsageError(msg)
    return _levels(_inherited(like, tables, path, (*seen, name))) | table


def _levels(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key in FACTORS}


def _shipped() -> dict[str, dict[str, Any]]:
    """
    The tables of the project's own variants.
    """
    found: dict[str, dict[str, Any]] = tomllib.loads(VARIANTS_FILE.read_text(encoding="utf-8"))[
        "variants"
    ]
    return found


def _variant(name: str, table: dict[str, Any], path: Path) -> Variant:
    where = f"{path}: variants.{name}"
    _named(name, where)
    _only_keys(table, {"about", "overlays", "every", "like", *FACTORS}, where)
    levels: dict[str, str] = {}
    for name_of_factor, factor in FACTORS.items():
        default = factor.default.get(levels.get("runtime", ""))
        level = table.get(name_of_factor, default)
        if level is None:
            msg = f"{where}: {name_of_factor} is missing; choose one of: {factor.choices()}"
            raise UsageError(msg)
        if not isinstance(level, str) or not factor.allows(level):
            msg = f"{where}: {name_of_factor} is {level!r}; it must be one of: {factor.choices()}"
            raise UsageError(msg)
        levels[name_of_factor] = level
    if reason := impossible(levels):
        msg = f"{where}: {reason}"
        raise UsageError(msg)
    overlays = tuple(
        _overlay(path.parent / overlay, where)
        for overlay in _strings(table.get("overlays", []), f"{where}.overlays")
    )
    every = _positive(table, "every", where)
    return Variant(name, str(table.get("about", "")), levels, overlays, every)


def _named(name: str, where: str) -> None:
    if not NAME.fullmatch(name):
        msg = (
            f"{where}: {name!r} is no name of a variant: up to 100 letters, digits, '.', '_' and "
            "'-', of which the first is a letter or a digit"
        )
        raise UsageError(msg)


def _overlay(path: Path, where: str) -> Path:
    try:
        overlay = path.resolve()
        if overlay.is_file():
            return overlay
        msg = f"{where}: overlay {overlay} is not a file"
    except (OSError, ValueError) as error:
        # A name that is too long, or has a NUL.
        msg = f"{where}: overlay {str(path)!r}: {error}"
    raise UsageError(msg)


def _group(value: object, variants: dict[str, Variant], where: str) -> Group:
    table = value if isinstance(value, dict) else {"variants": value}
    _only_keys(table, {"variants", "minutes", "agreement"}, where)
    members = tuple(_strings(table.get("variants"), where))
    for member in members:
        _declared(member, variants, where)
    minutes = _table(table.get("minutes", {}), f"{where}.minutes")
    _only_keys(minutes, set(PROFILES), f"{where}.minutes")
    agreement = tuple(_strings(table.get("agreement", []), f"{where}.agreement"))
    for name in agreement:
        _declared(name, variants, f"{where}.agreement")
    for number in minutes.values():
        if type(number) not in {int, float} or not 0 < number <= LARGEST:
            msg = f"{where}.minutes has {number!r}; it must be a positive number of minutes"
            raise UsageError(msg)
    budgets = {name: float(number) for name, number in minutes.items()}
    return Group(members, budgets, agreement)


def _comparisons(
    content: dict[str, Any], variants: dict[str, Variant], path: Path
) -> tuple[Comparison, ...]:
    found = tuple(
        _comparison(table, variants, where)
        for table, where in _tables(content, path, "comparisons")
    )
    for role in ROLES:
        names = [each.name for each in found if each.role == role]
        if len(names) > 1:
            msg = (
                f"{path}: role {role!r} is given to {', '.join(names)}; one comparison can have it"
            )
            raise UsageError(msg)
    return found


def _comparison(table: dict[str, Any], variants: dict[str, Variant], where: str) -> Comparison:
    words = _words(table, ("name", "about", "baseline", "treatment"), ("focal", "role"), where)
    for key in ("baseline", "treatment"):
        _declared(words[key], variants, f"{where}: {key}")
    focal = table.get("focal", False)
    if not isinstance(focal, bool):
        msg = f"{where}: focal is {focal!r}; it must be true or false"
        raise UsageError(msg)
    role = table.get("role", "")
    if role not in ("", *ROLES):
        msg = f"{where}: role is {role!r}; it must be one of: {', '.join(ROLES)}"
        raise UsageError(msg)
    return Comparison(**words, focal=focal, role=role)


def _ladder(table: dict[str, Any], variants: dict[str, Variant], where: str) -> Ladder:
    words = _words(table, ("name", "about"), ("steps",), where)
    steps = tuple(_strings(table.get("steps"), f"{where}: steps"))
    if len(steps) < 2 or len(set(steps)) < len(steps):
        msg = f"{where}: steps is {list(steps)}; it must name two variants or more, each once"
        raise UsageError(msg)
    for step in steps:
        _declared(step, variants, f"{where}: steps")
    ladder = Ladder(**words, steps=steps)
    for lower, upper in ladder.pairs():
        factors = different(variants[lower].levels, variants[upper].levels)
        if len(factors) != 1 or variants[lower].overlays != variants[upper].overlays:
            what = ", ".join(factors) or "none"
            msg = (
                f"{where}: the neighbours {lower} and {upper} differ in these factors: {what}; "
                "neighbours must differ in exactly one factor and in no override file"
            )
            raise UsageError(msg)
    return ladder


def _whole(
    table: dict[str, Any], variants: dict[str, Variant], ladders: set[str], where: str
) -> Whole:
    words = _words(table, ("name", "baseline", "treatment"), ("ladders",), where)
    for key in ("baseline", "treatment"):
        _declared(words[key], variants, f"{where}: {key}")
    parts = tuple(_strings(table.get("ladders"), f"{where}: ladders"))
    if not parts:
        msg = f"{where}: ladders is empty; name the ladders whose steps add up to the whole"
        raise UsageError(msg)
    for part in parts:
        if part not in ladders:
            msg = f"{where}: ladder {part!r} is not declared; declared are: {', '.join(ladders)}"
            raise UsageError(msg)
    return Whole(**words, ladders=parts)


def _search(content: dict[str, Any], variants: dict[str, Variant], where: str) -> Search | None:
    if "search" not in content:
        return None
    table = _table(content["search"], where)
    others = ("blocks", "rounds", "changes", "also", "every")
    words = _words(table, ("name", "about", "start"), others, where)
    _declared(words["start"], variants, f"{where}: start")
    _named(words["name"], where)
    if words["name"] in variants:
        msg = f"{where}: {words['name']!r} is already a variant; give the search another name"
        raise UsageError(msg)
    also = _strings(table.get("also", []), f"{where}: also")
    for name in also:
        _declared(name, variants, f"{where}: also")
    changes = table.get("changes")
    if not isinstance(changes, list):
        msg = f"{where}: changes must be an array of tables"
        raise UsageError(msg)
    for change in changes:
        for name, level in _table(change, f"{where}: changes").items():
            known = name in FACTORS and isinstance(level, str) and FACTORS[name].allows(level)
            if not known:
                msg = f"{where}: changes: {name} = {level!r} is not a level of a factor"
                raise UsageError(msg)
    return Search(
        **words,
        also=tuple(also),
        changes=tuple(dict(change) for change in changes),
        blocks=_positive(table, "blocks", where, Search.blocks),
        rounds=_positive(table, "rounds", where, Search.rounds),
        every=_positive(table, "every", where),
    )


def _positive(table: dict[str, Any], key: str, where: str, default: int = 1) -> int:
    number = table.get(key, default)
    if type(number) is not int or not 1 <= number <= LARGEST:
        msg = f"{where}: {key} is {number!r}; it must be an integer from 1 to {LARGEST}"
        raise UsageError(msg)
    return number


def _words(
    table: dict[str, Any], keys: tuple[str, ...], others: tuple[str, ...], where: str
) -> dict[str, str]:
    _only_keys(table, {*keys, *others}, where)
    for key in keys:
        if not isinstance(table.get(key), str):
            msg = f'{where} needs {key} = "…"'
            raise UsageError(msg)
    return {key: table[key] for key in keys}


def _tables(content: dict[str, Any], path: Path, kind: str) -> list[tuple[dict[str, Any], str]]:
    tables = content.get(kind, [])
    if not isinstance(tables, list):
        msg = f"{path}: {kind} must be an array of tables, [[{kind}]]"
        raise UsageError(msg)
    named = {"comparisons": "comparison", "ladders": "ladder", "wholes": "whole"}[kind]
    found = []
    for number, table in enumerate(tables, start=1):
        where = f"{path}: {named} {number}"
        found.append((_table(table, where), where))
    return found


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
