"""
Limits of stored values: which numbers a record may hold.

The records of trials have these limits in their types. A manifest is made of dataclasses without
dependencies; ``strict`` makes, from its type, a type for msgspec that refuses unknown fields and
numbers outside of these limits.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from experiments.declare.variants import Variant
from experiments.records.manifest import Candidate, Environment, Manifest

LARGEST = 2**53
"""No number is larger: a larger integer is not exact as a float, and no unit here needs it."""

SMALLEST = 1e-9
"""Positive numbers that are not whole are not smaller: a nanosecond, or as good as no rate."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
PositiveCount = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
SignedCount = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
PositiveAmount = Annotated[float, msgspec.Meta(ge=SMALLEST, le=LARGEST)]
SignedAmount = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
"""Signed are logarithms, and differences of counters that may step back."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    A record, or a part of one, that is read with the limits in its type.
    """


POSITIVE = {Variant: {"every"}}
"""Numbers of a manifest that are never zero."""

SIGNED = {
    Candidate: {"log_ratios"},
    Environment: {"stolen_s"},
    Manifest: {"seed"},
}
"""Numbers of a manifest that may be below zero. All others are at least zero."""


@cache
def strict(kind: Any) -> Any:  # noqa: ANN401 - types made at run time
    """
    The type of a record of this kind, without unknown fields and with these limits.
    """
    hints = get_type_hints(kind)
    fields: list[Any] = []
    for field in dataclasses.fields(kind):
        low: float = 0
        if field.name in SIGNED.get(kind, ()):
            low = -LARGEST
        elif field.name in POSITIVE.get(kind, ()):
            low = SMALLEST
        name, limited = field.name, _limited(hints[field.name], low)
        required = field.default is field.default_factory is dataclasses.MISSING
        required |= field.name == "schema_version"
        fields.append((name, limited) if required else (name, limited, None))
    return msgspec.defstruct(kind.__name__, fields, forbid_unknown_fields=True, kw_only=True)


def _limited(hint: Any, low: float) -> Any:  # noqa: ANN401 - any type of a field
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return strict(hint)
    if hint is int:
        return {0: Count, SMALLEST: PositiveCount, -LARGEST: SignedCount}[low]
    if hint is float:
        return {0: Amount, SMALLEST: PositiveAmount, -LARGEST: SignedAmount}[low]
    arguments = get_args(hint)
    if not arguments:
        return hint
    limited = tuple(each if each is ... else _limited(each, low) for each in arguments)
    origin = get_origin(hint)
    if origin in {types.UnionType, Union}:
        return Union[limited]  # noqa: UP007 - the members are known at run time only
    return origin[limited]
