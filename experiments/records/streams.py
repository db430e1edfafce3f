"""
Reading of a run's files within limits: no file, compressed or endless, takes more than its share.
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from experiments.errors import ResultsError
from experiments.records.files import COMPRESSED
from experiments.records.folder import LARGEST_FILE_BYTES, opened

if TYPE_CHECKING:
    import lzma
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

LARGEST_LINE_BYTES = 16_000_000
"""The most that one record may hold; a trial of fifty services has 100 kB."""

LARGEST_MANIFEST_BYTES = 50_000_000

DECOMPRESSOR_BYTES = 100_000_000
"""The most memory that decompression may take; ``xz -9`` asks for 65 MB."""

CHUNK_BYTES = 1 << 20


def content(path: Path) -> bytes:
    """
    The content of a manifest.

    Raises ResultsError if it cannot be read, or exceeds LARGEST_MANIFEST_BYTES.
    """
    with _reading(path), opened(path.parent, path.name) as file:
        read = file.read(LARGEST_MANIFEST_BYTES + 1)
    _refuse_more(path, "a manifest", len(read), LARGEST_MANIFEST_BYTES)
    return read


def stored_as(path: Path) -> Path | None:
    """
    The file that holds these records: itself, or compressed; None if there is neither.

    Raises ResultsError if that cannot be told.
    """
    with _reading(path):
        compressed = path.with_name(f"{path.name}{COMPRESSED}")
        return next((each for each in (path, compressed) if os.path.lexists(each)), None)


def lines(path: Path) -> Iterator[bytes]:
    """
    The lines of a record file with their ends, decompressed if its name says so.

    Raises ResultsError if it cannot be read, or exceeds LARGEST_FILE_BYTES or LARGEST_LINE_BYTES.
    """
    size = 0
    with _reading(path), opened(path.parent, path.name) as file:
        stream: BinaryIO = file
        if path.suffix == COMPRESSED:
            stream = io.BufferedReader(_Decompressed(file), CHUNK_BYTES)
        while line := stream.readline(LARGEST_LINE_BYTES + 1):
            _refuse_more(path, "one record", len(line), LARGEST_LINE_BYTES)
            size += len(line)
            _refuse_more(path, "a file of records", size, LARGEST_FILE_BYTES)
            yield line


class _Decompressed(io.RawIOBase):
    """
    A file that is decompressed while it is read.
    """

    def __init__(self, file: BinaryIO) -> None:
        """
        Nothing is read yet.
        """
        # Imported on demand, because some interpreters are built without it.
        import lzma  # noqa: PLC0415

        self._lzma = lzma
        self._file = file
        self._decompressor = self._begin()

    def readable(self) -> bool:
        """
        It is.
        """
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """
        Fill the buffer as far as possible with one piece of the content.

        Raises OSError for content that is not whole.
        """
        view = memoryview(buffer).cast("B")
        while True:
            data = b""
            if self._decompressor.eof:
                data = self._decompressor.unused_data or self._file.read(CHUNK_BYTES)
                if not data:
                    return 0
                self._decompressor = self._begin()
            elif self._decompressor.needs_input:
                data = self._file.read(CHUNK_BYTES)
                if not data:
                    msg = "the compressed data end early"
                    raise OSError(msg)
            try:
                piece = self._decompressor.decompress(data, len(view))
            except self._lzma.LZMAError as error:
                raise OSError(*error.args) from error
            if piece:
                view[: len(piece)] = piece
                return len(piece)

    def _begin(self) -> lzma.LZMADecompressor:
        return self._lzma.LZMADecompressor(memlimit=DECOMPRESSOR_BYTES)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise ResultsError(msg) from error


def _refuse_more(path: Path, what: str, size: int, limit: int) -> None:
    if size > limit:
        msg = f"{path} is too large: {what} may have {limit / 1e6:g} MB"
        raise ResultsError(msg)
