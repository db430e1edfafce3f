"""
The files that are audited, and standard input: their outputs of ab, or why there are none.
"""

from __future__ import annotations

import codecs
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.audit.findings import shortened
from analysis.audit.other_formats import describe
from analysis.audit.versions import as_measured
from experiments.records.ab.output import read_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.ab.output import AbOutput

STDIN = "-"
LARGEST_BYTES = 10_000_000
LARGEST_OUTPUTS = 200
SAMPLE_BYTES = 400


@dataclass(frozen=True)
class Source:
    """
    One file with its outputs; ``error`` says why there are none, ``cut`` that more were not read.
    """

    name: str
    outputs: Sequence[AbOutput] = ()
    error: str | None = None
    cut: str | None = None


def read_source(file: str) -> Source:
    """
    Read a file, or standard input for ``-``; never raises.
    """
    name = "standard input" if file == STDIN else shortened(file, 200)
    try:
        data = _bytes(file)
    except OSError as error:
        return Source(name, error=f"cannot be read: {error.strerror}")
    except ValueError as error:
        return Source(name, error=f"cannot be read: {error}")
    return source_of(name, data)


def source_of(name: str, data: bytes) -> Source:
    """
    The outputs in the content of a file.
    """
    cut = None
    if len(data) > LARGEST_BYTES:
        data = data[:LARGEST_BYTES]
        cut = (
            f"Only the first {LARGEST_BYTES / 1e6:g} MB were read. ab prints its report last: try "
            "tail -n 100."
        )
    text = _decoded(data)
    of_ab = (as_measured(output) for output in read_outputs(text) if output.is_of_ab)
    outputs = list(islice(of_ab, LARGEST_OUTPUTS + 1))
    if not outputs:
        return Source(name, error=f"this is not an output of ab: {describe(text)}", cut=cut)
    if len(outputs) > LARGEST_OUTPUTS:
        cut = f"Only the first {LARGEST_OUTPUTS} outputs were read."
    return Source(name, outputs[:LARGEST_OUTPUTS], cut=cut)


def _bytes(file: str) -> bytes:
    if file != STDIN:
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST_BYTES + 1)
    if sys.stdin is None:
        msg = "there is no standard input"
        raise ValueError(msg)
    if sys.stdin.isatty():
        print("reading standard input; end it with Ctrl-D", file=sys.stderr)
    try:
        return sys.stdin.buffer.read(LARGEST_BYTES + 1)
    except KeyboardInterrupt:
        msg = "interrupted"
        raise ValueError(msg) from None


def _decoded(data: bytes) -> str:
    """
    Text from UTF-8 or, as some shells redirect, UTF-16; other bytes are replaced.
    """
    encoding = "utf-8-sig"
    sample = data[:SAMPLE_BYTES]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif sample[1::2].count(0) > len(sample) // 4:
        encoding = "utf-16-le"
    elif sample[::2].count(0) > len(sample) // 4:
        encoding = "utf-16-be"
    return data.decode(encoding, errors="replace")
