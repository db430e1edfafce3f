"""
The kept corpus: few small inputs of each target that together reach what all known inputs reach.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.paths import PROJECT
from tests.fuzz.targets import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from tests.fuzz.targets import Target

CORPUS = Path(__file__).with_name("corpus")

MOST_KEPT = 25
"""Inputs of each target."""

LARGEST_BYTES = 20_000
"""Of a kept input."""

MEASURED = tuple(f"{PROJECT}/{room}/" for room in ("experiments", "analysis"))


def kept(name: str) -> list[Path]:
    """
    The kept inputs of a target.
    """
    return sorted((CORPUS / name).glob("*"))


def keep(target: Target, inputs: Iterable[Path]) -> int:
    """
    Replace the kept inputs by those that reach most, the smallest first; their number.
    """
    known: dict[bytes, set[tuple[str, int]]] = {}
    contents = {path.read_bytes() for path in (*inputs, *kept(target.name))}
    for data in sorted(contents, key=len):
        if len(data) <= LARGEST_BYTES:
            known[data] = _lines_of(target, data)
    # What every run reaches, the samples reach.
    reached = set[tuple[str, int]]().union(*(_lines_of(target, data) for data in target.samples))
    chosen: list[bytes] = []
    while len(chosen) < MOST_KEPT:
        best = max(known, key=lambda data: len(known[data] - reached), default=b"")
        if not known.get(best, reached) - reached:
            break
        chosen.append(best)
        reached |= known.pop(best)
    shutil.rmtree(CORPUS / target.name, ignore_errors=True)
    if chosen:
        (CORPUS / target.name).mkdir(parents=True)
    for data in chosen:
        (CORPUS / target.name / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return len(chosen)


def _lines_of(target: Target, data: bytes) -> set[tuple[str, int]]:
    """
    The lines of the project that reading the data reaches.
    """
    found: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: object) -> object:
        name = frame.f_code.co_filename
        if not name.startswith(MEASURED):
            return None
        if event == "line":
            found.add((name, frame.f_lineno))
        return trace

    with empty_folder() as folder, suppress(Exception):
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            check(target, data, folder)
        finally:
            sys.settrace(None)
    return found


@contextmanager
def empty_folder() -> Iterator[Path]:
    """
    A folder for one example, in memory where the system has such a file system.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder's name is random
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)
