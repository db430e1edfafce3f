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
from analysis.audit.other_formats import AB_HTML, AB_ITSELF, describe
from analysis.audit.prefixes import LEFT_OUT
from analysis.audit.reading import read
from analysis.audit.versions import as_measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.audit.findings import Finding
    from experiments.records.ab.output import AbOutput

STDIN = "-"
MB = 1_000_000
HALF_BYTES = MB // 2
"""What is read of the beginning of a large file, and of its end, where ab prints its report."""

MOST_BYTES = 300 * MB
LONGEST_S = 3.0
"""Limits for standard input that does not end; they count after its first half."""

CHUNK_BYTES = 1 << 14
MOST_NEAR_BYTES = MB // 2
NEAR = (
    b"ApacheBench, Version",
    b"(be patient)",
    b"Concurrency Level",
    b"Complete requests",
    b"Requests per second",
    b"Connection Times",
    b"Percentage of the requests",
    b"requests completed",
)
"""Words of ab; what is near them is read wherever it stands, up to a limit."""

LARGEST_OUTPUTS = 200
SAMPLE_BYTES = 400

LATIN_1 = {0xDC00 + byte: chr(byte) for byte in range(0x80, 0x100)}
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")

HTML = (
    "this is ab's HTML (-w), which lacks most of what the audit checks: run ab without -w, and "
    "audit the text that it prints"
)

ITSELF = "this is the program of ab or its source: audit the text that ab prints"


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
    The first bytes of a file; parts after them, and the size of it all, if not all was read.
    """

    first: bytes
    further: Sequence[bytes] = ()
    size: str = ""


def read_source(file: str) -> Source:
    """
    Read a file, or standard input for ``-``; never raises.
    """
    name = "standard input" if file == STDIN else shortened(file, 200)
    try:
        content = contents(file)
    except OSError as error:
        return Source(name, error=f"cannot be read: {error.strerror}")
    except ValueError as error:
        return Source(name, error=f"cannot be read: {error}")
    return source_of(name, *content)


def source_of(name: str, data: bytes, further: Sequence[bytes] = (), size: str = "") -> Source:
    """
    The outputs in the content of a file.
    """
    text, cut = _decoded(data), None
    if further:
        half = f"{HALF_BYTES / MB:g} MB"
        cut = (
            f"Only the first {half}, the last {half} and up to {MOST_NEAR_BYTES / MB:g} MB near "
            f"lines of ab were read of {size}."
        )
        text = _joined([text, *(_decoded(part, sample=data) for part in further)])
    for mark, error in ((AB_ITSELF, ITSELF), (AB_HTML, HTML)):
        if mark.search(text):
            return Source(name, error=error, cut=cut)
    found = read(text)
    if not found.outputs:
        error = (
            found.refused
            or f"this is not an output of ab: {describe(data, text.replace(LEFT_OUT, ''))}"
        )
        return Source(name, error=f"{error} ({cut[:-1]})" if cut else error)
    if found.cut:
        cut = "The text is long: lines in its middle were not read."
    if len(found.outputs) > LARGEST_OUTPUTS:
        cut = f"Only the first {LARGEST_OUTPUTS} outputs were read."
    outputs, notes = zip(*found.outputs[:LARGEST_OUTPUTS], strict=True)
    return Source(name, tuple(map(as_measured, outputs)), cut=cut, notes=notes)


def contents(file: str) -> Content:
    """
    What is read of a file, or of standard input; raises OSError, or ValueError if there is none.
    """
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
    """
    Read to the end, or to a limit; keep both ends and what is near lines of ab.
    """
    first = stream.read(HALF_BYTES)
    kept, last = _Kept([[first]], first), deque[bytes]()
    read_bytes, in_last, more = len(first), 0, ""
    deadline = time.monotonic() + LONGEST_S
    while chunk := stream.read(CHUNK_BYTES):
        last.append(chunk)
        read_bytes += len(chunk)
        in_last += len(chunk)
        if in_last > HALF_BYTES + CHUNK_BYTES:
            in_last -= len(last[0])
            kept.add(last.popleft())
        if read_bytes > MOST_BYTES or time.monotonic() > deadline:
            rest, more = _end_of(stream, read_bytes)
            kept.add(b"".join(last))
            last = deque([rest])
            break
    kept.end(b"".join(last))
    first, *further = map(b"".join, kept.parts)
    return Content(first, further, more or f"{read_bytes / MB:.0f} MB")


def _end_of(stream: BinaryIO, position: int) -> tuple[bytes, str]:
    """
    The last bytes of what was not read on, and its size in words.
    """
    if stream.seekable():
        # A device has no end to seek.
        with contextlib.suppress(OSError):
            if (size := stream.seek(0, os.SEEK_END)) > position:
                # An even place, because UTF-16 has two bytes for a letter.
                stream.seek(max(position, (size - HALF_BYTES) & ~1))
                return stream.read(HALF_BYTES), f"{size / MB:.0f} MB"
    return b"", f"{position / MB:.0f} MB that did not end"


@dataclass
class _Kept:
    """
    The parts of a text that are kept, each of chunks that follow each other, and its last chunk.
    """

    parts: list[list[bytes]]
    last: bytes
    near: bool = True
    last_is_kept: bool = True
    size: int = 0

    def add(self, chunk: bytes) -> None:
        """
        Keep the chunk if it, or one of its neighbours, has a line of ab.
        """
        after, self.near = self.near, self.size < MOST_NEAR_BYTES and _is_near(self.last, chunk)
        if self.near and not self.last_is_kept:
            self.parts.append([self.last])
        self.last_is_kept = after or self.near
        if self.last_is_kept:
            self.parts[-1].append(chunk)
            self.size += len(chunk)
        self.last = chunk

    def end(self, rest: bytes) -> None:
        """
        Keep the rest, and the chunk before it.
        """
        if not self.last_is_kept:
            self.parts.append([self.last])
        self.parts[-1].append(rest)


def _is_near(before: bytes, chunk: bytes) -> bool:
    """
    Whether a chunk, with the end of the one before it, has a line of ab.
    """
    searched = before[-SAMPLE_BYTES:] + chunk
    if b"\0" in searched:
        searched = searched.replace(b"\0", b"")
    return any(words in searched for words in NEAR)


def _joined(parts: Sequence[str]) -> str:
    """
    Whole lines of all parts; a mark between them says that lines are left out.
    """
    first, *others = parts
    head, line_end, _ = first.rpartition("\n")
    joined = [head if line_end else first]
    for number, part in enumerate(others, 1):
        _, _, tail = part.partition("\n")
        whole = tail or part
        joined.append(whole if number == len(others) else whole.rpartition("\n")[0])
    return f"\n{LEFT_OUT}\n".join(joined)


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
