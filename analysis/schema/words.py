"""
The few words of JSON Schema that the descriptions of records are made of.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
NAME: Schema = {"type": "string", "minLength": 1}
NAMES: Schema = {"type": "array", "items": NAME}
LINES: Schema = {"type": "array", "items": {"type": "string"}}
CPUS: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
PAIR: Schema = {"type": "array", "items": NAME, "minItems": 2, "maxItems": 2}
"""Values of a kind, of which nothing more is said."""


def said(text: str, **more: object) -> Schema:
    """
    A description, and whatever else is known of a value.
    """
    return {"description": text, **more}


def number(text: str, **more: object) -> Schema:
    """
    A number of at least zero, unless more is known of it.
    """
    return {"type": "number", "minimum": 0, **said(text, **more)}


def signed(text: str) -> Schema:
    """
    A number that may be less than zero, such as the difference of two counters.
    """
    return {"type": "number", **said(text)}


def whole(text: str, least: int | None = 0, **more: object) -> Schema:
    """
    A whole number.
    """
    bound = {} if least is None else {"minimum": least}
    return {"type": "integer", **bound, **said(text, **more)}


def string(text: str, **more: object) -> Schema:
    """
    A text.
    """
    return {"type": "string", **said(text, **more)}


def flag(text: str) -> Schema:
    """
    Yes or no.
    """
    return {"type": "boolean", **said(text)}


def unknown_too(schema: Schema) -> Schema:
    """
    The same of a simple type, or null where nobody knows.
    """
    return {**schema, "type": [schema["type"], "null"]}


def listed(text: str, each: Schema, **more: object) -> Schema:
    """
    A list of values of one kind.
    """
    return {"type": "array", "items": each, **said(text, **more)}


def by_name(text: str, each: Schema) -> Schema:
    """
    An object whose names are not known beforehand, with values of one kind.
    """
    return {"type": "object", "additionalProperties": each, **said(text)}


def shape(
    text: str,
    needed: dict[str, Schema],
    others: dict[str, Schema] | None = None,
    *,
    closed: bool = True,
) -> Schema:
    """
    An object that has all that is ``needed``, may have ``others``, and, if it is closed, no more.
    """
    return {
        "type": "object",
        "properties": {**needed, **(others or {})},
        "required": list(needed),
        **({"additionalProperties": False} if closed else {}),
        **said(text),
    }


def or_empty(schema: Schema) -> Schema:
    """
    An object of this shape, or one with nothing in it, because there is nothing of the kind.
    """
    rest = {key: value for key, value in schema.items() if key != "required"}
    return {**rest, "if": {"minProperties": 1}, "then": {"required": schema["required"]}}
