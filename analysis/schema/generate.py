"""
Schemas from the dataclasses of the records: types from them, the rest from what is said of fields.

Libraries make schemas of dataclasses too (msgspec, pydantic). What they would save is the reading
of six kinds of types, below; descriptions, bounds and the shapes of tables would be the same, and
the records cannot carry them, because the lab reads them without any library.
"""

from __future__ import annotations

import builtins
import dataclasses
import json
import types
import typing
from typing import TYPE_CHECKING, Any

from analysis.schema.fields import FIELDS, TITLES
from experiments.records import OK, AgreementLoad, Manifest, TrialRecord

if TYPE_CHECKING:
    from analysis.schema.words import Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SIMPLE: dict[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
}

FILES = {
    "manifest.schema.json": Manifest,
    "trial.schema.json": TrialRecord,
    "agreement.schema.json": AgreementLoad,
}
"""The schema of manifest.json, and those of each line of trials.jsonl and of agreement.jsonl."""


def schema(kind: type) -> Schema:
    """
    The whole schema of one kind of record.
    """
    found: dict[str, Schema] = {}
    body = _record(kind, found)
    if kind is TrialRecord:
        good = {"properties": {"status": {"const": OK}}}
        body |= {
            "if": good,
            "then": {"properties": {"load": {"type": "object"}}},
            "else": {"properties": {"load": {"type": "null"}}},
        }
    return {
        "$schema": DIALECT,
        "$comment": "made by python -m analysis.schema; not to be edited",
        **body,
        **({"$defs": found} if found else {}),
    }


def as_text(made: Schema) -> str:
    """
    A schema as it is written into a file.
    """
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _record(kind: type, found: dict[str, Schema]) -> Schema:
    """
    A dataclass as an object with its fields and no others; what it refers to goes to ``found``.
    """
    hints = typing.get_type_hints(kind)
    notes = FIELDS[kind]
    properties, required = {}, []
    for each in dataclasses.fields(kind):
        made = {**_of(hints[each.name], found), **notes[each.name]}
        if each.default is not dataclasses.MISSING:
            made["default"] = each.default
        elif each.default_factory is not dataclasses.MISSING:
            made["default"] = each.default_factory()
        else:
            required.append(each.name)
        properties[each.name] = made
    return {
        "title": TITLES[kind],
        "type": "object",
        "properties": properties,
        # As the reader has it: a field that was added with a default may be missing.
        "required": required,
        "additionalProperties": False,
    }


def _of(hint: Any, found: dict[str, Schema]) -> Schema:  # noqa: ANN401 - a type's own form
    """
    The schema of a type.

    Raises TypeError for a kind of type that no record has had yet.
    """
    if hint in SIMPLE:
        return SIMPLE[hint]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if hint.__name__ not in found:
            found[hint.__name__] = _record(hint, found)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    match typing.get_origin(hint), typing.get_args(hint):
        case builtins.list, (item,):
            return {"type": "array", "items": _of(item, found)}
        case builtins.dict, (builtins.str, value):
            return {"type": "object", "additionalProperties": _of(value, found)}
        case types.UnionType, (one, types.NoneType):
            made = _of(one, found)
            if "type" in made:
                return {**made, "type": [made["type"], "null"]}
            return {"anyOf": [made, {"type": "null"}]}
    msg = f"no schema is known for the type {hint!r}; teach analysis/schema/generate.py"
    raise TypeError(msg)
