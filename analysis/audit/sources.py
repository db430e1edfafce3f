"""
The files that are audited, and standard input: what could be read of each.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.audit.reading import NotAbOutputError, read
from analysis.audit.text import LARGEST_BYTES, LARGEST_OUTPUTS, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.audit.reading import Reading


@dataclass(frozen=True)
class Source:
    """
    One file: its outputs of ab, or the error why there are none, and whether it was read whole.
    """

    name: str
    outputs: Sequence[Reading] = ()
    error: str | None = None
    cut: str | None = None


def read_source(file: str) -> Source:
    """
    Read a file, or standard input for ``-``; never raises.
    """
    name = "standard input" if file == "-" else clean(file, 200)
    try:
        data = _bytes(file)
    except OSError as error:
        return Source(name, error=f"cannot be read: {error.strerror}")
    except ValueError as error:
        return Source(name, error=f"cannot be read: {error}")
    cut = None
    if len(data) > LARGEST_BYTES:
        data = data[:LARGEST_BYTES]
        cut = (
            f"Only the first {LARGEST_BYTES / 1e6:g} MB were read; ab's report is the end of what "
            "it prints: try tail -n 100."
        )
    try:
        outputs = read(data)
    except NotAbOutputError as error:
        return Source(name, error=str(error), cut=cut)
    if len(outputs) >= LARGEST_OUTPUTS:
        cut = f"Only the first {LARGEST_OUTPUTS} outputs were read."
    return Source(name, outputs, cut=cut)


def _bytes(file: str) -> bytes:
    if file == "-":
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
    with Path(file).open("rb") as opened:
        return opened.read(LARGEST_BYTES + 1)
