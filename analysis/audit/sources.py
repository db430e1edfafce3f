"""
The files that are audited, and standard input: their outputs of ab, or why there are none.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from analysis.audit.findings import shortened
from analysis.audit.other_formats import AB_HTML, describe
from analysis.audit.prefixes import LEFT_OUT
from analysis.audit.reading import read
from analysis.audit.versions import as_measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.audit.findings import Finding
    from experiments.records.ab.output import AbOutput

STDIN = "-"
MB = 1_000_000
HALF_BYTES = 2 * MB
"""What is read of the beginning of a large file, and of its end, where ab prints its report."""

MOST_BYTES = 300 * MB
LONGEST_S = 5.0
"""Limits for standard input that does not end; they count after its first half."""

CHUNK_BYTES = 1 << 16
LARGEST_OUTPUTS = 200
SAMPLE_BYTES = 400

LATIN_1 = {0xDC00 + byte: chr(byte) for byte in range(0x80, 0x100)}
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")

HTML = (
    "this is ab's HTML (-w), which lacks most of what the audit checks: run ab without -w, and "
    "audit the text that it prints"
)


@dataclass(frozen=True)
class Source:
    """
    One file with its outputs; ``error`` says why there are none, ``cut`` that more were not read.

    ``notes`` are findings about the text of each output.
    """

    name: str
    outputs: Sequence[AbOutput] = ()
    error: str | None = None
    cut: str | None = None
    notes: Sequence[Sequence[Finding]] = ()


class Content(NamedTuple):
    """
    The first bytes of a file; its last ones and the size of it all, if not all was read.
    """

    first: bytes
    last: bytes = b""
    size: str = ""


def read_source(file: str) -> Source:
    """
    Read a file, or standard input for ``-``; never raises.
    """
    name = "standard input" if file == STDIN else shortened(file, 200)
    try:
        content = _content(file)
    except OSError as error:
        return Source(name, error=f"cannot be read: {error.strerror}")
    except ValueError as error:
        return Source(name, error=f"cannot be read: {error}")
    return source_of(name, *content)


def source_of(name: str, data: bytes, last: bytes = b"", size: str = "") -> Source:
    """
    The outputs in the content of a file.
    """
    text, cut = _decoded(data), None
    if last:
        half = f"{HALF_BYTES / MB:g} MB"
        cut = f"Only the first {half} and the last {half} of {size} were read."
        text = _joined(text, _decoded(last, sample=data))
    if AB_HTML.search(text):
        return Source(name, error=HTML, cut=cut)
    found = read(text)
    if not found.outputs:
        error = found.refused or f"this is not an output of ab: {describe(data, text)}"
        return Source(name, error=f"{error} ({cut[:-1]})" if cut else error)
    if found.cut:
        cut = "The text is long: lines in its middle were not read."
    if len(found.outputs) > LARGEST_OUTPUTS:
        cut = f"Only the first {LARGEST_OUTPUTS} outputs were read."
    outputs, notes = zip(*found.outputs[:LARGEST_OUTPUTS], strict=True)
    return Source(name, tuple(map(as_measured, outputs)), cut=cut, notes=notes)


def _content(file: str) -> Content:
    if file != STDIN:
        with Path(file).open("rb") as opened:
            return _parts(opened)
    if sys.stdin is None:
        msg = "there is no standard input"
        raise ValueError(msg)
    if sys.stdin.isatty():
        print("reading standard input; end it with Ctrl-D", file=sys.stderr)
    try:
        return _parts(sys.stdin.buffer)
    except KeyboardInterrupt:
        msg = "interrupted"
        raise ValueError(msg) from None


def _parts(stream: BinaryIO) -> Content:
    first = stream.read(HALF_BYTES)
    size = 0
    if stream.seekable():
        # A device has no end to seek.
        with contextlib.suppress(OSError):
            size = stream.seek(0, os.SEEK_END)
        stream.seek(len(first))
    if size <= 2 * HALF_BYTES:
        return _all_or_parts(stream, first)
    # An even place, because UTF-16 has two bytes for a letter.
    stream.seek((size - HALF_BYTES) & ~1)
    return Content(first, stream.read(HALF_BYTES), f"{size / MB:.0f} MB")


def _all_or_parts(stream: BinaryIO, first: bytes) -> Content:
    """
    Read on to the end, or to a limit.
    """
    last: deque[bytes] = deque()
    read_bytes = kept = len(first)
    deadline = time.monotonic() + LONGEST_S
    more = ""
    while chunk := stream.read(CHUNK_BYTES):
        last.append(chunk)
        read_bytes += len(chunk)
        kept += len(chunk)
        while kept - len(last[0]) >= 2 * HALF_BYTES:
            kept -= len(last.popleft())
        if read_bytes > MOST_BYTES or time.monotonic() > deadline:
            more = ", which did not end,"
            break
    rest = b"".join(last)
    if kept == read_bytes and not more:
        return Content(first + rest)
    return Content(first, rest[(read_bytes - kept) % 2 :], f"{read_bytes / MB:.0f} MB{more}")


def _joined(first: str, last: str) -> str:
    """
    Whole lines of both; a mark between them says that lines are left out.
    """
    head, line_end, _ = first.rpartition("\n")
    _, _, tail = last.partition("\n")
    return f"{head if line_end else first}\n{LEFT_OUT}\n{tail or last}"


def _decoded(data: bytes, sample: bytes | None = None) -> str:
    """
    Text from UTF-8 or, as some shells redirect, UTF-16; other bytes are read as Latin-1.
    """
    sample = (data if sample is None else sample)[:SAMPLE_BYTES]
    encoding = "utf-8-sig"
    odd, even = (sample[start::2].count(0) * 2 / max(len(sample), 1) for start in (1, 0))
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        little = sample.startswith(codecs.BOM_UTF16_LE)
        encoding = "utf-16-le" if little else "utf-16-be"
    elif odd > 0.5 > even:
        encoding = "utf-16-le"
    elif even > 0.5 > odd:
        encoding = "utf-16-be"
    if encoding != "utf-8-sig":
        return data.decode(encoding, errors="replace")
    # Some shells append UTF-16 to UTF-8.
    text = data.replace(codecs.BOM_UTF16_LE, b"").decode(encoding, errors="surrogateescape")
    return text.translate(LATIN_1) if ESCAPED_BYTE.search(text) else text
