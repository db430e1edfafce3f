"""
Limits of stored values: which numbers a record may hold.

``strict`` makes, from the type of a record, a type for msgspec that refuses unknown fields and
numbers outside of these limits. The limits stand here and not in the records' types, which are
dataclasses without dependencies.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from experiments.declare.variants import Variant
from experiments.records.ab.report import AbReport
from experiments.records.manifest import Candidate, Environment, Manifest
from experiments.records.trials import (
    AgreementLoad,
    CpuSpent,
    LoadResult,
    OpenLoad,
    PathCounters,
    RoundLoad,
    TrialRecord,
)

LARGEST = 2**53
"""No number is larger: a larger integer is not exact as a float, and no unit here needs it."""

POSITIVE = {
    AgreementLoad: {"repetition", "requests", "us_per_request"},
    CpuSpent: {"duration_s"},
    LoadResult: {
        *("requests", "concurrency", "requests_completed"),
        *("duration_s", "requests_per_second", "latency_mean_us"),
    },
    OpenLoad: {"rate_per_s", "requests"},
    RoundLoad: {"round", "turn", "requests", "us_per_request"},
    TrialRecord: {"number"},
    Variant: {"every"},
}
"""Numbers that are never zero."""

SMALLEST = 1e-9
"""Positive numbers that are not whole are not smaller: a nanosecond, or as good as no rate."""

SIGNED = {
    AbReport: {"connection_times_ms"},
    Candidate: {"log_ratios"},
    CpuSpent: {"machine_s", "unaccounted_s"},
    Environment: {"stolen_s"},
    Manifest: {"seed"},
    PathCounters: {"links", "forwarded", "translated", "accepted", "tracked", "proxy_s"},
}
"""
Numbers that may be below zero: logarithms, and differences of counters that may step back.

All other numbers are at least zero.
"""


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
        whole = 1 if low == SMALLEST else int(low)
        return Annotated[int, msgspec.Meta(ge=whole, le=LARGEST)]
    if hint is float:
        return Annotated[float, msgspec.Meta(ge=low, le=LARGEST)]
    arguments = get_args(hint)
    if not arguments:
        return hint
    limited = tuple(each if each is ... else _limited(each, low) for each in arguments)
    origin = get_origin(hint)
    if origin in {types.UnionType, Union}:
        return Union[limited]  # noqa: UP007 - the members are known at run time only
    return origin[limited]
