"""
Records from JSON and as JSON; what is wrong is said with its place and value.
"""

from __future__ import annotations

import contextlib
import math
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

import msgspec

from experiments.errors import ResultsError
from experiments.records.files import SCHEMA_VERSION
from experiments.records.limits import Record, strict

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class OtherVersionError(ResultsError):
    """
    A record of another schema version, which is no damage.
    """


def decoded(kind: type[T], content: bytes, where: str) -> T:
    """
    A record of this kind from JSON; ``where`` says in messages where it stands.

    Raises ResultsError that names what is wrong, for a record of another version its version.
    """
    model: Any = kind
    try:
        version = msgspec.json.decode(content, type=_Versioned).schema_version
        if version == SCHEMA_VERSION:
            record = msgspec.json.decode(content, type=kind, dec_hook=_decode_path)
            if not issubclass(kind, Record):
                # Once more, because a dataclass has no limits and lets unknown fields pass.
                msgspec.json.decode(content, type=strict(model), dec_hook=_decode_path)
            return record
    except UNREADABLE as error:
        msg = f"{where}: {_in_words(error, content)}"
        raise ResultsError(msg) from error
    msg = (
        f"{where}: schema version {version:g}, and this version of the project reads "
        f"{SCHEMA_VERSION}; check out the commit that the run was made with, or run again"
    )
    raise OtherVersionError(msg)


class Decoder(Generic[T]):
    """
    Decodes many records of one kind as ``decoded`` does, and parts that they repeat only once.

    Such a part is decoded when its bytes are new, and all records with these bytes share it. It is
    half of a trial: time and memory limit the size of a run that can be read.
    """

    def __init__(self, kind: type[T], repeated: Iterable[str] = ()) -> None:
        """
        ``repeated`` are the names of these parts.
        """
        self._kind = kind
        hints = get_type_hints(kind, include_extras=True)
        self._parts = {name: msgspec.json.Decoder(hints[name]) for name in repeated}
        self._known: dict[tuple[str, bytes], object] = {}
        self._record: Any = msgspec.defstruct(
            kind.__name__,
            [(name, msgspec.Raw if name in self._parts else hint) for name, hint in hints.items()],
            forbid_unknown_fields=True,
        )

    def __call__(self, content: bytes, where: str) -> T:
        """
        A record from JSON; raises what ``decoded`` raises.
        """
        with contextlib.suppress(*UNREADABLE):
            fields = msgspec.structs.asdict(msgspec.json.decode(content, type=self._record))
            for name, decoder in self._parts.items():
                key = (name, sha256(fields[name]).digest())
                if key not in self._known:
                    self._known[key] = decoder.decode(fields[name])
                fields[name] = self._known[key]
            if fields["schema_version"] == SCHEMA_VERSION:
                return self._kind(**fields)
        # What is at fault, or lacks a field that has a default.
        return decoded(self._kind, content, where)


UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
"""What the decoder raises for what is no JSON, no text, or of another type."""


class _Versioned(msgspec.Struct):
    schema_version: float


UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*?)`( - at `(?P<at>.*)`)?$")
PLACE = re.compile(r" - at `(key in )?\$(?P<path>.*)`$")
STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
MOST_CHARACTERS = 80
"""Of a value in a message."""


def _in_words(error: Exception, content: bytes) -> str:
    """
    The decoder's words, with the value that it refused.
    """
    words = str(error)
    if unknown := UNKNOWN_FIELD.match(words):
        return f"unknown fields {unknown['at'] or '$'}.{unknown['name']}"
    place = PLACE.search(words)
    try:
        value = msgspec.json.decode(content)
    except UNREADABLE:
        return words
    if place is None:
        return words
    for step in STEP.finditer(place["path"]):
        if isinstance(value, list) and (step["index"] or "").isdigit():
            value = value[int(step["index"])]
        elif isinstance(value, dict) and step["name"] in value:
            value = value[step["name"]]
        else:
            break
    return f"{words}, the value is {shown(value)}"


def shown(value: object) -> str:
    """
    A value as JSON on one line, shortened.
    """
    text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def encoded(record: object) -> bytes:
    """
    A record as JSON, its fields sorted by their names.

    Raises ResultsError for what JSON does not have: NaN, an infinity, or text that is no Unicode,
    such as the name of a file in another encoding.
    """
    plain = _plain(record)
    _refuse_infinite(plain, "$")
    try:
        return msgspec.json.encode(plain, order="sorted")
    except UnicodeEncodeError as error:
        msg = f"cannot store {error.object!r}, which is no Unicode; use another name"
        raise ResultsError(msg) from error


def _refuse_infinite(value: object, place: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        # The encoder would write null.
        msg = f"cannot store {place} = {value}, which JSON does not have"
        raise ResultsError(msg)
    if isinstance(value, dict):
        for name, each in value.items():
            _refuse_infinite(each, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            _refuse_infinite(each, f"{place}[{index}]")


def _plain(record: object) -> object:
    # Numbers as keys become text, because keys are sorted.
    plain: object = msgspec.to_builtins(record, enc_hook=str, str_keys=True)
    return plain


def _decode_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    msg = f"cannot read a {kind.__name__} from {value!r}"
    raise TypeError(msg)
