"""Decompresses streams that are in gzip format, in Zstandard format, or not compressed.

The first bytes show the format. The file's name does not: if a web server sent the file with
`Content-Encoding: gzip`, the download is already decompressed, but its name still ends in `.gz`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Literal

import pyarrow as pa

Compression = Literal["gzip", "zstd", "none"]

GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1: the first bytes of a file
_ZSTANDARD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # RFC 8878, sections 3.1.1 and 3.1.2
_BOM = b"\xef\xbb\xbf"
_START = 4096  # bytes that decide about the format
_CHUNK = 16 * 1024
_PIECE = 64  # compressed bytes of gzip; at most so many intact bytes before the damage are lost
_DECOMPRESSED = 2**20


class DamagedError(Exception):
    """Raised for a file whose compressed stream is cut off or broken.

    `reason` says what is wrong. `remainder` has the bytes after the last complete line.
    """

    def __init__(self, reason: str, remainder: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remainder = remainder


def is_zstandard(start: bytes) -> bool:
    """Returns whether a file is in Zstandard format. `start` has its first bytes, at least 4. Also recognises
    files that begin with a skippable frame. Parallel compressors write such files."""
    return _ZSTANDARD.match(start) is not None


def compression_of(start: bytes) -> Compression:
    """Returns the format of a file of JSON lines. `start` has its first bytes.

    A file that begins with a brace is not compressed. A file that neither begins with a brace nor is in
    Zstandard format counts as gzip, the format of GH Archive. If it is not gzip either, reading it raises
    DamagedError.
    """
    if is_zstandard(start):
        return "zstd"
    return "none" if start.removeprefix(_BOM).lstrip().startswith(b"{") else "gzip"


def decompressed_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the content of a stream in chunks of at most 1 MiB. The stream must be at its start.

    Raises DamagedError if the stream is cut off or broken, after it has yielded the content before the
    damage. If the stream is in Zstandard format, up to 16 KiB before the damage are lost.
    """
    start = stream.read(_START)
    compression = compression_of(start)
    if compression == "none":
        yield start
        while chunk := stream.read(_DECOMPRESSED):
            yield chunk
    elif compression == "zstd":
        yield from _zstandard_chunks(_Continued(start, stream))
    else:
        yield from _gzip_chunks(_Continued(start, stream))


class _Continued:
    """A stream whose first bytes were read before. `read` returns them first."""

    closed = False

    def __init__(self, start: bytes, stream: BinaryIO) -> None:
        self._start = start
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes, or b"" at the end of the stream."""
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._stream.read(size)

    def close(self) -> None:
        """Does nothing: whoever opened the stream closes it."""


def _zstandard_chunks(stream: _Continued) -> Iterator[bytes]:
    # pyarrow declares no type for a Python object with the method `read`
    source: Any = pa.PythonFile(stream, mode="r")
    reader = pa.CompressedInputStream(source, "zstd")
    while True:
        try:
            data = reader.read(_CHUNK)
        except OSError as error:
            if "Truncated" in str(error):
                reason = "the file is cut off: the end of its Zstandard stream is missing"
            else:
                reason = f"the file is damaged: {error}"
            raise DamagedError(reason) from None
        if not data:
            return
        yield data


def _gzip_chunks(stream: _Continued) -> Iterator[bytes]:
    """Yields the content of a gzip stream, which may have several members."""
    member, size, is_empty = zlib.decompressobj(wbits=31), 0, True
    while chunk := stream.read(_CHUNK):
        is_empty = False
        while chunk:
            if member.eof:
                chunk = chunk.lstrip(b"\0")  # padding after the last member is allowed
                if not chunk:
                    break
                member = zlib.decompressobj(wbits=31)
            undamaged = member.copy()
            try:
                data = member.decompress(chunk, _DECOMPRESSED)
            except zlib.error as error:
                yield from _up_to_damage(undamaged, chunk)
                is_not_gzip = not size and "header check" in str(error)
                raise DamagedError(
                    f"the file is {'not in gzip format' if is_not_gzip else 'damaged'}: {error}"
                ) from None
            size += len(data)
            if data:
                yield data
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise DamagedError(
            "the file is empty: it has no gzip stream"
            if is_empty
            else "the file is cut off: the end of its gzip stream is missing"
        )


def _up_to_damage(member: Any, chunk: bytes) -> Iterator[bytes]:
    """Decompresses `chunk`, a part of a damaged gzip stream, in small pieces. Yields the content before the
    damage."""
    with suppress(zlib.error):
        for start in range(0, len(chunk), _PIECE):
            yield member.decompress(chunk[start : start + _PIECE])
